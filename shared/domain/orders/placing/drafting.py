"""An order before it is written: what may be bought now, what it costs, and how it is paid, computed from one read.

Nothing is locked and nothing is written here. Whether the terms still hold is decided when the stock is claimed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from shared.domain.access.errors import NoSuchEvent
from shared.domain.catalog.errors import EventCancelled
from shared.domain.ledger.rules import Amounts
from shared.domain.orders.errors import PaymentMethodUnavailable
from shared.domain.orders.placing import statements
from shared.domain.orders.placing.answers import Answer, Option
from shared.domain.orders.placing.charges import Rates, charges_on
from shared.domain.orders.placing.rules import Line, Offer, price_lines
from shared.domain.orders.schemas import BoxOfficeOrder, OrderPlace
from shared.domain.orders.states import State
from shared.domain.promotions.redeeming import Promo, customer_of, discounts, read_promo
from shared.kit.actor import Actor
from shared.kit.db.arrays import array
from shared.kit.errors import InvalidInput
from shared.kit.ids import new_id, random_word

_READ_AS_IT_IS = Offer.__dataclass_fields__.keys() - {"package_id", "options", "rates"}
_RATES = tuple(Rates.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Counter:
    """Where an order is placed, and how it can be paid there."""

    channel: Literal["online", "box_office"] = "online"
    paid_at_once: frozenset[str] = frozenset()
    """Ways of paying with which the order is paid when it is placed."""
    paid_later: frozenset[str] = frozenset()
    """Those for which it waits, and holds its tickets meanwhile."""
    seller: UUID | None = None
    """Who sells, at the box office; online buyers serve themselves."""


@dataclass(frozen=True, slots=True)
class Evening:
    """What an order needs to know of its event."""

    currency: str
    max_tickets_per_customer: int | None
    order_expiry: timedelta


@dataclass(frozen=True, slots=True)
class DraftItem:
    """One line of the order, with the ids of what it sells."""

    id: UUID
    line: Line
    tickets: list[UUID]
    answers: list[tuple[UUID, Answer]]

    def ticket_of(self, answer: Answer) -> UUID | None:
        """The ticket that the answer is about; None when it is about the item."""
        return None if answer.ticket is None else self.tickets[answer.ticket]


@dataclass(frozen=True, slots=True)
class Draft:
    """An order ready to be written."""

    event_id: UUID
    id: UUID
    number: str
    evening: Evening
    items: list[DraftItem]
    tickets: list[tuple[UUID, UUID, str]]  # ticket id, item id, number
    method: str
    is_paid: bool
    promo: Promo | None
    customer: str
    placed_at: datetime

    @property
    def answers(self) -> list[tuple[DraftItem, UUID, Answer]]:
        """What the buyer answered: (item, the answer's id, answer)."""
        return [(item, answer_id, answer) for item in self.items for answer_id, answer in item.answers]

    @property
    def amounts(self) -> Amounts:
        """The order's sums, in cents."""
        lines = [item.line for item in self.items]
        return Amounts(
            subtotal=sum(line.subtotal_cents for line in lines),
            discount=sum(line.discount_cents for line in lines),
            fee=sum(line.charges.fee_cents for line in lines),
            tax=sum(line.charges.tax_cents for line in lines),
            included_fee=sum(line.charges.included_fee_cents for line in lines),
            included_tax=sum(line.charges.included_tax_cents for line in lines),
        )

    @property
    def status(self) -> State:
        """Paid at once, or waiting for its payment."""
        return State.PAID if self.is_paid else State.PENDING

    @property
    def expires_at(self) -> datetime | None:
        """Until when it waits; None when nothing is owed any more."""
        return None if self.is_paid else self.placed_at + self.evening.order_expiry

    @property
    def payment_reference(self) -> str | None:
        """What the payment is called elsewhere, where the order is its own payment (R-ORD-6)."""
        return f"test_{self.id.hex}" if self.method == "test" else None


def draft_order(
    connection: psycopg.Connection[Any],
    event_id: UUID,
    body: OrderPlace | BoxOfficeOrder,
    *,
    actor: Actor,
    counter: Counter,
    now: datetime,
) -> Draft:
    """Compute the order from what the database says now; its price is that of this moment (R-PROMO-2).

    Raises `NoSuchEvent`, `EventCancelled`, `UnknownPackage`, `PackageNotOnSale`, `SoldOut`, `QuantityOutOfRange`,
    `TooManyTickets`, `InvalidAnswers`, `PaymentMethodUnavailable`, and the refusals of promo codes.
    """
    customer = customer_of(actor.user_id, body.customer.email)
    evening, offers = _read_offers(connection, event_id, list({item.package_id for item in body.items}))
    lines = price_lines(body.items, offers, now=now)
    if body.payment_method == "comp" and body.promo_code is not None:
        raise InvalidInput("What is given away takes no promo code.", pointer="/promo_code")
    promo = None
    if body.promo_code is not None:
        promo = read_promo(connection, event_id, body.promo_code, customer=customer)
        lines = _discounted(lines, promo, now=now)
    if body.payment_method == "comp":
        lines = [replace(line, discount_cents=line.subtotal_cents) for line in lines]
    lines = [replace(line, charges=charges_on(line.total_cents, line.quantity, line.offer.rates)) for line in lines]
    method, is_paid = _payment_method(body, lines, counter)
    return draft_of(event_id, evening, lines, method=method, is_paid=is_paid, promo=promo, customer=customer, now=now)


def draft_of(
    event_id: UUID,
    evening: Evening,
    lines: Sequence[Line],
    *,
    method: str,
    is_paid: bool,
    promo: Promo | None,
    customer: str,
    now: datetime,
) -> Draft:
    """Give everything its id and number."""
    word = f"{now:%Y%m%d}-{random_word(6)}"
    items = [
        DraftItem(
            new_id(), line, [new_id() for _ in range(line.seats)], [(new_id(), answer) for answer in line.answers]
        )
        for line in lines
    ]
    owned = [(ticket_id, item.id) for item in items for ticket_id in item.tickets]
    width = max(2, len(str(len(owned))))
    tickets = [(*ids, f"TKT-{word}-{number:0{width}d}") for number, ids in enumerate(owned, start=1)]
    return Draft(
        event_id=event_id,
        id=new_id(),
        number=f"ORD-{word}",
        evening=evening,
        items=items,
        tickets=tickets,
        method=method,
        is_paid=is_paid,
        promo=promo,
        customer=customer,
        placed_at=now,
    )


def _read_offers(
    connection: psycopg.Connection[Any], event_id: UUID, package_ids: list[UUID]
) -> tuple[Evening, dict[UUID, Offer]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            statements.READ_OFFERS, {"event_id": event_id, "package_ids": array(package_ids)}, prepare=True
        ).fetchall()
    if not rows or rows[0]["status"] == "draft":
        raise NoSuchEvent
    if rows[0]["status"] == "cancelled":
        raise EventCancelled
    evening = Evening(
        rows[0]["currency"], rows[0]["max_tickets_per_customer"], timedelta(minutes=rows[0]["order_expiry_minutes"])
    )
    return evening, {row["id"]: _offer(row) for row in rows if row["id"]}


def _offer(row: dict[str, Any]) -> Offer:
    options = tuple(
        Option(**{**option, "id": UUID(option["id"]), "choices": tuple(option["choices"])})
        for option in row["options"] or ()
    )
    return Offer(
        package_id=row["id"],
        options=options,
        rates=Rates(**{name: row[name] for name in _RATES}),
        **{name: row[name] for name in _READ_AS_IT_IS},
    )


def _discounted(lines: list[Line], promo: Promo, *, now: datetime) -> list[Line]:
    off = discounts(promo, [(line.offer.package_id, line.subtotal_cents) for line in lines], now=now)
    return [replace(line, discount_cents=cents) for line, cents in zip(lines, off, strict=True)]


def _payment_method(body: OrderPlace | BoxOfficeOrder, lines: Sequence[Line], counter: Counter) -> tuple[str, bool]:
    """Return how the order is paid, and whether it is paid by that already."""
    method = body.payment_method
    if method is not None and method not in counter.paid_at_once | counter.paid_later:
        raise PaymentMethodUnavailable(f"“{method}” is not available here.", pointer="/payment_method")
    if not any(line.total_cents + line.charges.fee_cents + line.charges.tax_cents for line in lines):
        return (method if method in counter.paid_at_once else "free"), True
    if method is None:
        raise PaymentMethodUnavailable("Say how you pay: something is owed.", pointer="/payment_method")
    return method, method in counter.paid_at_once
