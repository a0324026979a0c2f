"""Pure rules of placing an order: what may be bought, and what it costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.domain.orders.errors import (
    InvalidAnswers,
    PackageNotOnSale,
    QuantityOutOfRange,
    SoldOut,
    TooManyTickets,
    UnknownPackage,
)
from shared.domain.orders.placing.answers import Answer, Option, check_answers
from shared.domain.orders.placing.charges import NO_RATES, NOTHING, Charges, Rates
from shared.domain.orders.schemas import OrderItemIn
from shared.kit.errors import InputFault

MAX_TICKETS = 1_000


@dataclass(frozen=True, slots=True)
class Offer:
    """A package as it stands at the moment of purchase."""

    package_id: UUID
    name: str
    price_cents: int
    seats_per_package: int
    is_enabled: bool
    min_per_order: int
    max_per_order: int | None
    sale_starts_at: datetime | None
    sale_ends_at: datetime | None
    remaining: int | None
    terms: int
    options_per: str
    options: tuple[Option, ...]
    rates: Rates = NO_RATES
    fair_market_value_cents: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the order, priced, with the answers to its options."""

    offer: Offer
    quantity: int
    answers: tuple[Answer, ...] = ()
    discount_cents: int = 0
    charges: Charges = NOTHING

    @property
    def subtotal_cents(self) -> int:
        """What the line costs before the discount."""
        return self.quantity * self.offer.price_cents

    @property
    def total_cents(self) -> int:
        """What the line costs."""
        return self.subtotal_cents - self.discount_cents

    @property
    def seats(self) -> int:
        """How many tickets the line brings."""
        return self.quantity * self.offer.seats_per_package


def price_lines(items: Sequence[OrderItemIn], offers: Mapping[UUID, Offer], *, now: datetime) -> list[Line]:
    """Return the priced lines of an order, or refuse what may not be bought.

    Raises `UnknownPackage`, `PackageNotOnSale`, `QuantityOutOfRange`, `TooManyTickets`, `InvalidAnswers`, and `SoldOut`
    where the stock that was read already tells that it is in vain; whether the rest succeeds, the claim decides.
    """
    lines: list[Line] = []
    faults: list[InputFault] = []
    for index, item in enumerate(items):
        offer = offers.get(item.package_id)
        if offer is None:
            raise UnknownPackage(pointer=f"/items/{index}/package_id")
        _check_on_sale(offer, now)
        lines.append(Line(offer, item.quantity, _answers(item, offer, index, faults)))
    for package_id, quantity in quantities(lines).items():
        _check_quantity(offers[package_id], quantity, index=_index_of(items, package_id))
    if faults:
        raise InvalidAnswers(faults=faults)
    if sum(line.seats for line in lines) > MAX_TICKETS:
        raise TooManyTickets(pointer="/items")
    return lines


def _answers(item: OrderItemIn, offer: Offer, index: int, faults: list[InputFault]) -> tuple[Answer, ...]:
    if not offer.options and not item.answers:
        return ()
    tickets = item.quantity * offer.seats_per_package if offer.options_per == "ticket" else None
    answers, wrong = check_answers(offer.options, item.answers, tickets=tickets, pointer=f"/items/{index}/answers")
    faults += wrong
    return answers


def quantities(lines: Sequence[Line]) -> dict[UUID, int]:
    """How many of each package the lines ask for together."""
    wanted: dict[UUID, int] = {}
    for line in lines:
        wanted[line.offer.package_id] = wanted.get(line.offer.package_id, 0) + line.quantity
    return wanted


def _check_on_sale(offer: Offer, now: datetime) -> None:
    reason = None
    if not offer.is_enabled:
        reason = f"“{offer.name}” is not for sale."
    elif offer.sale_starts_at and now < offer.sale_starts_at:
        reason = f"The sale of “{offer.name}” has not begun yet."
    elif offer.sale_ends_at and now >= offer.sale_ends_at:
        reason = f"The sale of “{offer.name}” has ended."
    if reason:
        raise PackageNotOnSale(reason, package_id=str(offer.package_id))


def _check_quantity(offer: Offer, quantity: int, *, index: int) -> None:
    low, high = offer.min_per_order, offer.max_per_order
    if quantity < low or (high is not None and quantity > high):
        bounds = f"at least {low}" if high is None else f"between {low} and {high}"
        raise QuantityOutOfRange(
            f"One order may have {bounds} of “{offer.name}”.",
            pointer=f"/items/{index}/quantity",
            min_per_order=low,
            max_per_order=high,
        )
    if offer.remaining is not None and offer.remaining < quantity:
        raise sold_out(offer, offer.remaining)


def sold_out(offer: Offer, remaining: int) -> SoldOut:
    """Return the refusal that tells what is left."""
    left = "is sold out" if remaining <= 0 else f"has only {remaining} left"
    return SoldOut(f"“{offer.name}” {left}.", package_id=str(offer.package_id), remaining=remaining)


def _index_of(items: Sequence[OrderItemIn], package_id: UUID) -> int:
    return next(index for index, item in enumerate(items) if item.package_id == package_id)
