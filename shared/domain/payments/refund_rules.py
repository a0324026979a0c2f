"""How much of an order is refunded, which tickets become void, and what may be sold again (R-ORD-7). Pure.

What a line cost with its charges is shared among its tickets, to the cent; if it has no tickets, among its units. A
refund never exceeds what is left of the payment. Units return to the stock when all of their tickets have been given
back.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from uuid import UUID

from shared.domain.orders.returning import SoldLine
from shared.domain.payments.errors import NotRefundable, RefundExceedsPaid
from shared.kit.errors import InvalidInput
from shared.kit.money import split


@dataclass(frozen=True, slots=True)
class Wish:
    """What to refund: an amount, some tickets, or some units of lines; if nothing is named, all that is left."""

    amount_cents: int | None = None
    ticket_ids: Sequence[UUID] = ()
    items: Mapping[UUID, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a refund does."""

    amount_cents: int
    voided: list[UUID]
    returned: dict[UUID, int]
    """Units that may be sold again, by line."""
    is_all: bool


def plan_refund(wish: Wish, lines: Sequence[SoldLine], *, total_cents: int, refunded_cents: int) -> Plan:
    """Return what the refund does; raises `RefundExceedsPaid`, `NotRefundable`, `InvalidInput`."""
    left = total_cents - refunded_cents
    if left <= 0:
        raise NotRefundable("Everything that was paid has been refunded.")
    voided: list[UUID] = []
    units: dict[UUID, int] = {}
    if wish.amount_cents is not None:
        if wish.amount_cents > left:
            raise RefundExceedsPaid(f"Only {left} of what was paid is left.", remaining_cents=left)
        amount = wish.amount_cents
    elif wish.ticket_ids or wish.items:
        voided, units = _chosen(wish, lines)
        chosen = set(voided)
        amount = min(left, sum(_cost(line, chosen, units.get(line.id, 0)) for line in lines))
        if amount == 0:
            raise NotRefundable("These tickets cost nothing.")
    else:
        amount = left
    is_all = amount == left
    if is_all:
        voided = [ticket_id for line in lines for ticket_id, void in line.tickets if not void]
    return Plan(amount, voided, _returned(lines, set(voided), units, is_all=is_all), is_all)


def _chosen(wish: Wish, lines: Sequence[SoldLine]) -> tuple[list[UUID], dict[UUID, int]]:
    """Return the tickets that the wish names, singly or by their lines, and the units of lines that have no tickets."""
    valid = {ticket_id for line in lines for ticket_id, void in line.tickets if not void}
    for index, ticket_id in enumerate(wish.ticket_ids):
        if ticket_id not in valid:
            raise InvalidInput("This order has no such valid ticket.", pointer=f"/ticket_ids/{index}")
    chosen = list(dict.fromkeys(wish.ticket_ids))
    units: dict[UUID, int] = {}
    by_id = {line.id: line for line in lines}
    for index, (line_id, quantity) in enumerate(wish.items.items()):
        if line_id not in by_id:
            raise InvalidInput("This order has no such item.", pointer=f"/items/{index}/item_id")
        line = by_id[line_id]
        free = [ticket_id for ticket_id, void in reversed(line.tickets) if not void and ticket_id not in chosen]
        most = len(free) // line.tickets_each if line.tickets_each else line.quantity - line.returned
        if most < quantity:
            raise RefundExceedsPaid(
                f"Only {most} of this item can be refunded.", item_id=str(line_id), remaining_quantity=most
            )
        chosen += free[: quantity * line.tickets_each]
        if not line.tickets_each:
            units[line_id] = quantity
    return chosen, units


def _cost(line: SoldLine, voided: AbstractSet[UUID], units: int) -> int:
    """Return what these tickets of a line, or this many units of it, have cost; the last units go back first."""
    if line.tickets_each:
        shares = split(line.gross_cents, [1] * len(line.tickets))
        return sum(share for (ticket_id, _), share in zip(line.tickets, shares, strict=True) if ticket_id in voided)
    end = line.quantity - line.returned
    return sum(split(line.gross_cents, [1] * line.quantity)[end - units : end])


def _returned(
    lines: Sequence[SoldLine], voided: AbstractSet[UUID], units: Mapping[UUID, int], *, is_all: bool
) -> dict[UUID, int]:
    """Return how many units of each line this refund gives back."""
    returned = {}
    for line in lines:
        dead = sum(void or ticket_id in voided for ticket_id, void in line.tickets)
        if is_all:
            whole = line.quantity
        elif line.tickets_each:
            whole = dead // line.tickets_each
        else:
            whole = line.returned + units.get(line.id, 0)
        if whole > line.returned:
            returned[line.id] = whole - line.returned
    return returned
