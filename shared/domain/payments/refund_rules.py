"""How much of an order goes back, which tickets die with it, and what may be sold again (R-ORD-7). Pure.

Each ticket of a line has its share of what the line cost with its charges, to the cent; a refund never exceeds what is
left of the payment. Packages return to the stock when all of their seats have been given back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from shared.domain.payments.errors import NotRefundable, RefundExceedsPaid
from shared.kit.errors import InvalidInput
from shared.kit.money import split


@dataclass(frozen=True, slots=True)
class SoldLine:
    """A line of a paid order."""

    item_id: UUID
    package_id: UUID
    quantity: int
    seats_per_package: int
    gross_cents: int
    """With the discount taken off and the charges added."""
    returned: int
    tickets: tuple[tuple[UUID, bool], ...]
    """Each ticket in order, and whether it is void already."""

    @property
    def shares(self) -> dict[UUID, int]:
        """What each ticket cost."""
        parts = split(self.gross_cents, [1] * len(self.tickets)) if self.tickets else []
        # `split` never gives a part more than its weight would allow; equal weights may exceed theirs here.
        return {ticket_id: part for (ticket_id, _), part in zip(self.tickets, parts, strict=True)}


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be refunded: an amount, some tickets, some packages; nothing of these is all that is left."""

    amount_cents: int | None = None
    ticket_ids: Sequence[UUID] = ()
    items: Mapping[UUID, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a refund does."""

    amount_cents: int
    voided: list[UUID]
    returned: dict[UUID, int]
    """Packages that may be sold again, by item."""
    is_all: bool


def plan_refund(wish: Wish, lines: Sequence[SoldLine], *, total_cents: int, refunded_cents: int) -> Plan:
    """Return what the refund comes to; raises `RefundExceedsPaid`, `NotRefundable`, `InvalidInput`."""
    left = total_cents - refunded_cents
    if left <= 0:
        raise NotRefundable("Everything that was paid has been refunded.")
    voided: list[UUID] = []
    if wish.amount_cents is not None:
        if wish.amount_cents > left:
            raise RefundExceedsPaid(f"{left} is left of what was paid.", remaining_cents=left)
        amount = wish.amount_cents
    elif wish.ticket_ids or wish.items:
        voided = _tickets(wish, lines)
        shares = {ticket_id: share for line in lines for ticket_id, share in line.shares.items()}
        amount = min(left, sum(shares[ticket_id] for ticket_id in voided))
        if amount == 0:
            raise NotRefundable("These tickets cost nothing.")
    else:
        amount = left
    is_all = amount == left
    if is_all:
        voided = [ticket_id for line in lines for ticket_id, void in line.tickets if not void]
    return Plan(amount, voided, _returned(lines, set(voided), is_all=is_all), is_all)


def _tickets(wish: Wish, lines: Sequence[SoldLine]) -> list[UUID]:
    """The tickets that the wish names, by themselves or by their packages."""
    valid = {ticket_id for line in lines for ticket_id, void in line.tickets if not void}
    for index, ticket_id in enumerate(wish.ticket_ids):
        if ticket_id not in valid:
            raise InvalidInput("This order has no such valid ticket.", pointer=f"/ticket_ids/{index}")
    chosen = list(dict.fromkeys(wish.ticket_ids))
    by_id = {line.item_id: line for line in lines}
    for index, (item_id, quantity) in enumerate(wish.items.items()):
        if item_id not in by_id:
            raise InvalidInput("This order has no such item.", pointer=f"/items/{index}/item_id")
        line = by_id[item_id]
        free = [ticket_id for ticket_id, void in reversed(line.tickets) if not void and ticket_id not in chosen]
        seats = quantity * line.seats_per_package
        if len(free) < seats:
            most = len(free) // line.seats_per_package
            raise RefundExceedsPaid(
                f"Only {most} of this item can be refunded.", item_id=str(item_id), remaining_quantity=most
            )
        chosen += free[:seats]
    return chosen


def _returned(lines: Sequence[SoldLine], voided: set[UUID], *, is_all: bool) -> dict[UUID, int]:
    returned = {}
    for line in lines:
        dead = sum(void or ticket_id in voided for ticket_id, void in line.tickets)
        whole = line.quantity if is_all else dead // line.seats_per_package
        if whole > line.returned:
            returned[line.item_id] = whole - line.returned
    return returned
