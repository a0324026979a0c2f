"""Pure rules of placing an order: what may be bought, and what it costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.domain.orders.errors import InvalidAnswers, QuantityOutOfRange, SoldOut, TooManyTickets
from shared.domain.orders.lines.answers import Answer, check_answers
from shared.domain.orders.lines.charges import NOTHING, Charges
from shared.domain.orders.lines.offers import Offer
from shared.domain.orders.placing.basket import Wanted
from shared.kit.errors import InputFault

MAX_TICKETS = 1_000


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
        """What the line costs after the discount, before added charges."""
        return self.subtotal_cents - self.discount_cents

    @property
    def ticket_count(self) -> int:
        """How many tickets the line brings."""
        return self.quantity * self.offer.tickets_each


def price_lines(wanted: Sequence[Wanted], offers: Mapping[UUID, Offer], *, now: datetime) -> list[Line]:
    """Return the priced lines of an order, or refuse what may not be bought.

    Raises the refusals of the line's kind for a thing that is unknown or not on sale (`UnknownPackage`,
    `PackageNotOnSale`), `QuantityOutOfRange`, `TooManyTickets`, `InvalidAnswers`, and `SoldOut` if the stock that was
    read is already too little. If it is enough, the claim decides later.
    """
    lines: list[Line] = []
    faults: list[InputFault] = []
    for index, each in enumerate(wanted):
        offer = offers.get(each.id)
        if offer is None:
            raise each.kind.unknown(pointer=f"/items/{index}/{each.kind.column}")
        _check_on_sale(offer, now)
        lines.append(Line(offer, each.quantity, _answers(each, offer, index, faults)))
    for offer_id, quantity in quantities(lines).items():
        first = next(index for index, each in enumerate(wanted) if each.id == offer_id)
        _check_quantity(offers[offer_id], quantity, index=first)
    if faults:
        raise InvalidAnswers(faults=faults)
    if sum(line.ticket_count for line in lines) > MAX_TICKETS:
        raise TooManyTickets(pointer="/items")
    return lines


def _answers(wanted: Wanted, offer: Offer, index: int, faults: list[InputFault]) -> tuple[Answer, ...]:
    if not offer.options and not wanted.answers:
        return ()
    tickets = wanted.quantity * offer.tickets_each if offer.options_per == "ticket" else None
    answers, wrong = check_answers(offer.options, wanted.answers, tickets=tickets, pointer=f"/items/{index}/answers")
    faults += wrong
    return answers


def quantities(lines: Sequence[Line]) -> dict[UUID, int]:
    """Return how many of each offer the lines ask for together."""
    wanted: dict[UUID, int] = {}
    for line in lines:
        wanted[line.offer.id] = wanted.get(line.offer.id, 0) + line.quantity
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
        raise offer.kind.not_on_sale(reason, **offer.reference)


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
    """Return the refusal that says how many are left."""
    left = "is sold out" if remaining <= 0 else f"has only {remaining} left"
    return SoldOut(f"“{offer.name}” {left}.", **offer.reference, remaining=remaining)
