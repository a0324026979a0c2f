"""Orders that end without being paid give everything back: stock, and uses of promo codes (R-ORD-9).

Locks: orders in id order, then the packages' stock, then the promo codes, each in order. Placing an order locks them in
the same way, so there are no deadlocks.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from shared.domain.orders.lines.queries import claimed
from shared.domain.orders.states import State
from shared.domain.promotions.redeeming import return_uses
from shared.domain.stock.commands import give_back

_AT_ONCE = 100

_OVERDUE = """
SELECT id FROM orders
 WHERE event_id = %(event_id)s AND status = 'pending' AND expires_at <= %(now)s ORDER BY expires_at LIMIT %(at_once)s
"""
_EVENTS_WITH_OVERDUE = "SELECT DISTINCT event_id FROM orders WHERE status = 'pending' AND expires_at <= %(now)s"

_LOCK = """
SELECT id FROM orders WHERE event_id = %(event_id)s AND id = ANY(%(order_ids)s) AND status = 'pending'
 ORDER BY id FOR NO KEY UPDATE
"""
_CLOSE = """
UPDATE orders SET status = %(status)s, expires_at = NULL, ended_at = %(now)s
 WHERE event_id = %(event_id)s AND id = ANY(%(order_ids)s)
"""


def release(
    connection: psycopg.Connection[Any], event_id: UUID, order_ids: Sequence[UUID], *, to: State, now: datetime
) -> list[UUID]:
    """Close the orders that are still pending, give back what they held, and return their ids.

    Runs inside the caller's transaction.
    """
    rows = connection.execute(_LOCK, {"event_id": event_id, "order_ids": list(order_ids)}).fetchall()
    released = [row[0] for row in rows]
    if released:
        which = {"event_id": event_id, "order_ids": released}
        connection.execute(_CLOSE, which | {"status": to.value, "now": now})
        give_back(connection, event_id, claimed(connection, event_id, released), was="held")
        return_uses(connection, event_id, released, now=now)
    return released


def release_overdue(connection: psycopg.Connection[Any], event_id: UUID, *, now: datetime) -> bool:
    """Expire the event's orders whose time is up, commit, and return whether there were any.

    Code that finds too little stock calls this before it refuses a buyer. If another process is expiring the same
    orders at this moment, this call waits for it, so the stock is free when it returns.
    """
    rows = connection.execute(_OVERDUE, {"event_id": event_id, "now": now, "at_once": _AT_ONCE}).fetchall()
    if not rows:
        return False
    with connection.transaction():
        release(connection, event_id, [row[0] for row in rows], to=State.EXPIRED, now=now)
    return True


def release_all_overdue(connection: psycopg.Connection[Any], *, now: datetime) -> None:
    """Expire the orders of all events whose time is up, at most a hundred in one transaction."""
    for (event_id,) in connection.execute(_EVENTS_WITH_OVERDUE, {"now": now}).fetchall():
        while release_overdue(connection, event_id, now=now):
            pass
