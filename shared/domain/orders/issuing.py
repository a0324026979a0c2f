"""Tickets of a paid order that were not issued: made good, with the numbers that they should have had."""

from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from shared.domain.orders.messages import ORDER_CONFIRMATION
from shared.kit.ids import new_id
from shared.kit.outbox.keeping import About, was_queued
from shared.kit.outbox.writing import enqueue

_ITEMS = """
SELECT i.id, i.quantity * i.seats_per_package, substr(o.number, 5)
  FROM order_items i JOIN orders o ON o.event_id = i.event_id AND o.id = i.order_id
 WHERE i.event_id = %(event_id)s AND i.order_id = %(order_id)s ORDER BY i.position
"""
_ADD = """
INSERT INTO tickets (event_id, id, order_item_id, number, status, code_revision, created_at)
VALUES (%(event_id)s, %(id)s, %(item_id)s, %(number)s, 'valid', 1, %(now)s)
    ON CONFLICT (event_id, number) DO NOTHING
"""
_ISSUE = """
UPDATE tickets SET status = 'valid'
 WHERE event_id = %(event_id)s AND status = 'reserved' AND order_item_id IN (
       SELECT id FROM order_items WHERE event_id = %(event_id)s AND order_id = %(order_id)s)
"""
# A late payment issues what is reserved; of an order that had been paid, nothing may come to life again.
_TAKE_BACK = """
UPDATE tickets t SET status = CASE WHEN o.paid_at IS NULL THEN 'reserved' ELSE 'void' END
  FROM order_items i, orders o
 WHERE t.event_id = %(event_id)s AND t.status IN ('valid', 'transferred')
   AND i.event_id = t.event_id AND i.id = t.order_item_id AND i.order_id = %(order_id)s
   AND o.event_id = i.event_id AND o.id = i.order_id
"""


def issue_missing(connection: psycopg.Connection[Any], event_id: UUID, order_id: UUID, *, now: datetime) -> None:
    """Issue what is missing of a paid order's tickets, and queue the confirmation if none ever was.

    Twice is as once. Inside the caller's transaction, which has locked the order.
    """
    which = {"event_id": event_id, "order_id": order_id, "now": now}
    items = connection.execute(_ITEMS, which).fetchall()
    owners = [item_id for item_id, seats, _ in items for _ in range(seats)]
    width = max(2, len(str(len(owners))))  # as they are numbered when the order is placed
    for place, item_id in enumerate(owners, start=1):
        number = f"TKT-{items[0][2]}-{place:0{width}d}"
        connection.execute(_ADD, which | {"id": new_id(), "item_id": item_id, "number": number})
    connection.execute(_ISSUE, which)
    if not was_queued(connection, About(event_id, "order_id", [order_id]), ORDER_CONFIRMATION):
        enqueue(connection, event_id, ORDER_CONFIRMATION, {"order_id": order_id}, now=now)


def take_back(connection: psycopg.Connection[Any], event_id: UUID, order_id: UUID) -> None:
    """Take back the tickets of an order that is not paid; those that were used stay as they are.

    Inside the caller's transaction, which has locked the order.
    """
    connection.execute(_TAKE_BACK, {"event_id": event_id, "order_id": order_id})
