"""Orders whose tickets do not fit what was paid: made good, or taken back (R-ORD-8)."""

from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import psycopg

from shared.domain.tickets import commands as tickets
from shared.kit.ids import new_id

_LINES = """
SELECT i.id, i.quantity * i.seats_per_package, substr(o.number, 5)
  FROM order_items i JOIN orders o ON o.event_id = i.event_id AND o.id = i.order_id
 WHERE i.event_id = %(event_id)s AND i.order_id = %(order_id)s ORDER BY i.position
"""
_CONFIRM = """
INSERT INTO outbox (event_id, id, kind, payload, created_at, attempts)
SELECT %(event_id)s, %(message_id)s, 'order_confirmation', %(payload)s::jsonb, %(now)s, 0
 WHERE NOT EXISTS (SELECT FROM outbox WHERE event_id = %(event_id)s AND kind = 'order_confirmation'
                                        AND payload ->> 'order_id' = %(order_id)s::text)
"""
_WAS_PAID = "SELECT paid_at IS NOT NULL FROM orders WHERE event_id = %(event_id)s AND id = %(order_id)s"


def issue_missing(connection: psycopg.Connection[Any], event_id: UUID, order_id: UUID, *, now: datetime) -> None:
    """Issue what is missing of a paid order's tickets, and queue the confirmation if none ever was.

    Twice is as once. Inside the caller's transaction, which has locked the order.
    """
    which = {"event_id": event_id, "order_id": order_id, "now": now}
    rows = connection.execute(_LINES, which).fetchall()
    lines = [(line_id, count) for line_id, count, _ in rows]
    tickets.issue_missing(connection, event_id, order_id, lines, word=rows[0][2], now=now)
    payload = orjson.dumps({"order_id": order_id}).decode()
    connection.execute(_CONFIRM, which | {"message_id": new_id(), "payload": payload})


def take_back(connection: psycopg.Connection[Any], event_id: UUID, order_id: UUID) -> None:
    """Take back the tickets of an order that is not paid; those that were used stay as they are.

    Inside the caller's transaction, which has locked the order.
    """
    row = connection.execute(_WAS_PAID, {"event_id": event_id, "order_id": order_id}).fetchone()
    assert row is not None
    tickets.take_back(connection, event_id, order_id, was_paid=row[0])
