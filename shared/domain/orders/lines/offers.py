"""What a line of an order may sell: an offer, which is of some kind.

Placing, pricing, refunds, the books and the reports know only offers and lines, and not the things behind them. A kind
says all that they need; `kinds.py` lists the kinds and says how to add one.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

import psycopg

from shared.domain.orders.lines.answers import Option
from shared.domain.orders.lines.charges import NO_RATES, Rates
from shared.kit.errors import Conflict, InvalidInput


@dataclass(frozen=True, slots=True)
class EventTerms:
    """What an order needs to know about its event."""

    status: str
    currency: str
    max_tickets_per_customer: int | None
    order_expiry: timedelta


type Offers = dict[UUID, "Offer"]
type ReadOffers = Callable[[psycopg.Connection[Any], UUID, Collection[UUID]], tuple[EventTerms | None, Offers]]


@dataclass(frozen=True, slots=True, eq=False)
class LineKind:
    """A kind of thing that an order's line sells."""

    name: str
    """The value of `order_items.kind` and `stock.kind`."""
    column: LiteralString
    """The column of `order_items` that refers to what is sold; the API's field has the same name."""
    table: LiteralString
    """The table that holds the name of what is sold, by `event_id` and `id`."""
    read: ReadOffers
    """Returns the event's terms (None if there is no such event) and the offers that exist, in one read."""
    unknown: type[InvalidInput]
    """The refusal for a thing that the event does not sell."""
    not_on_sale: type[Conflict]
    """The refusal for a thing that can't be bought now."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Something for sale, as it is at the moment of purchase. Amounts are in cents, for one unit."""

    kind: LineKind
    id: UUID
    name: str
    price_cents: int
    tickets_each: int
    """How many tickets one unit brings; 0 for things that admit nobody."""
    remaining: int | None
    terms: int
    is_enabled: bool = True
    min_per_order: int = 1
    max_per_order: int | None = None
    sale_starts_at: datetime | None = None
    sale_ends_at: datetime | None = None
    options_per: str = "item"
    options: tuple[Option, ...] = ()
    rates: Rates = NO_RATES
    fair_market_value_cents: int | None = None

    @property
    def reference(self) -> dict[str, str]:
        """The field that names the offer to a client: `{"package_id": "…"}`."""
        return {self.kind.column: str(self.id)}
