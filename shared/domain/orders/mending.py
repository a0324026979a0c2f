"""Repairs orders whose tickets do not match what was paid: issues missing ones, or takes them back (R-ORD-8)."""

from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from shared.domain.orders.messages import ORDER_CONFIRMATION
from shared.domain.tickets import commands as tickets
from shared.kit.outbox.keeping import About, was_queued
from shared.kit.outbox.writing import enqueue

_LINES = """
SELECT i.id, i.quantity * i.seats_per_package, substr(o.number, 5)
  FROM order_items i JOIN orders o ON o.event_id = i.event_id AND o.id = i.order_id
 WHERE i.event_id = %(event_id)s AND i.order_id = %(order_id)s ORDER BY i.position
"""
_WAS_PAID = "SELECT paid_at IS NOT NULL FROM orders WHERE event_id = %(event_id)s AND id = %(order_id)s"


def issue_missing(connection: psycopg.Connection[Any], event_id: UUID, order_id: UUID, *, now: datetime) -> None:
    """Issue the missing tickets of a paid order, and queue the confirmation if it was never queued.

    Doing it twice has the same effect as once. Runs inside the caller's transaction, which has locked the order.
    """
    rows = connection.execute(_LINES, {"event_id": event_id, "order_id": order_id}).fetchall()
    lines = [(line_id, count) for line_id, count, _ in rows]
    tickets.issue_missing(connection, event_id, order_id, lines, word=rows[0][2], now=now)
    if not was_queued(connection, About(event_id, "order_id", [order_id]), ORDER_CONFIRMATION):
        enqueue(connection, event_id, ORDER_CONFIRMATION, {"order_id": order_id}, now=now)


def take_back(connection: psycopg.Connection[Any], event_id: UUID, order_id: UUID) -> None:
    """Take back the tickets of an order that is not paid; tickets that were used stay as they are.

    Runs inside the caller's transaction, which has locked the order.
    """
    row = connection.execute(_WAS_PAID, {"event_id": event_id, "order_id": order_id}).fetchone()
    assert row is not None
    tickets.take_back(connection, event_id, order_id, was_paid=row[0])
