"""Takes back a paid order or parts of it: tickets become void, stock and promo codes are free again (R-ORD-7).

The payments area decides how much money goes back; here the order itself is changed to match. Locks: the order, its
tickets, the stock, then the promo code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import class_row, dict_row

from shared.domain.orders.errors import NoSuchOrder
from shared.domain.orders.lines.kinds import sold_id
from shared.domain.orders.states import State
from shared.domain.promotions.redeeming import return_uses
from shared.domain.stock.commands import give_back
from shared.domain.tickets.commands import lock_tickets, void

_LOCK = """
SELECT o.status, o.total_cents, o.refunded_cents, o.payment_method, o.payment_reference, o.currency, e.return_promo_uses
  FROM orders o JOIN events e ON e.id = o.event_id
 WHERE o.event_id = %(event_id)s AND o.id = %(order_id)s FOR NO KEY UPDATE OF o
"""
_LINES = f"""
SELECT i.id, {sold_id("i")} AS stock_id, i.quantity, i.seats_per_package AS tickets_each,
       i.total_cents + i.fee_cents + i.tax_cents AS gross_cents, i.returned
  FROM order_items i WHERE i.event_id = %(event_id)s AND i.order_id = %(order_id)s ORDER BY i.position
"""  # noqa: S608 - constants
_UPDATE_ORDER = """
UPDATE orders SET refunded_cents = refunded_cents + %(amount_cents)s, status = %(status)s
 WHERE event_id = %(event_id)s AND id = %(order_id)s
"""
_NOTE_RETURNED = """
UPDATE order_items i SET returned = i.returned + r.quantity
  FROM unnest(%(line_ids)s::uuid[], %(quantities)s::bigint[]) AS r(line_id, quantity)
 WHERE i.event_id = %(event_id)s AND i.id = r.line_id
"""


@dataclass(frozen=True, slots=True)
class PaidOrder:
    """An order whose row is locked."""

    status: State
    total_cents: int
    refunded_cents: int
    payment_method: str
    payment_reference: str | None
    currency: str
    return_promo_uses: bool


@dataclass(frozen=True, slots=True)
class SoldLine:
    """A line of a paid order."""

    id: UUID
    stock_id: UUID
    quantity: int
    tickets_each: int
    """How many tickets one unit brings; 0 for things that admit nobody."""
    gross_cents: int
    """With the discount taken off and the charges added."""
    returned: int
    """How many units have been given back."""
    tickets: tuple[tuple[UUID, bool], ...] = ()
    """Each ticket's id, in the order of their numbers, and whether it is already void."""


def lock_paid(connection: psycopg.Connection[Any], event_id: UUID, order_id: UUID) -> PaidOrder:
    """Lock an order to take back parts of it; raises `NoSuchOrder`. Changes of one order happen one by one."""
    with connection.cursor(row_factory=class_row(PaidOrder)) as cursor:
        order = cursor.execute(_LOCK, {"event_id": event_id, "order_id": order_id}).fetchone()
    if order is None:
        raise NoSuchOrder
    return order


def sold_lines(connection: psycopg.Connection[Any], event_id: UUID, order_id: UUID) -> list[SoldLine]:
    """Return the lines of a locked order with their tickets; locks the tickets too."""
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_LINES.encode(), {"event_id": event_id, "order_id": order_id}).fetchall()
    tickets = lock_tickets(connection, event_id, [row["id"] for row in rows])
    return [SoldLine(**row, tickets=tuple(tickets[row["id"]])) for row in rows]


def return_lines(
    connection: psycopg.Connection[Any],
    event_id: UUID,
    order_id: UUID,
    lines: Sequence[SoldLine],
    *,
    amount_cents: int,
    voided: Sequence[UUID],
    returned: Mapping[UUID, int],
    is_all: bool,
    return_promo_uses: bool,
    now: datetime,
) -> None:
    """Apply a refund to the order: make the `voided` tickets void, and free the `returned` units of each line.

    Others may buy these units once the caller commits.
    """
    which = {"event_id": event_id, "order_id": order_id}
    status = State.REFUNDED if is_all else State.PARTIALLY_REFUNDED
    connection.execute(_UPDATE_ORDER, which | {"amount_cents": amount_cents, "status": status.value})
    void(connection, event_id, voided)
    if returned:
        noted = {"line_ids": list(returned), "quantities": list(returned.values())}
        connection.execute(_NOTE_RETURNED, which | noted)
        free: dict[UUID, int] = {}
        for line in lines:
            if line.id in returned:
                free[line.stock_id] = free.get(line.stock_id, 0) + returned[line.id]
        give_back(connection, event_id, free, was="sold")
    if is_all and return_promo_uses:
        return_uses(connection, event_id, [order_id], now=now)
