"""Removing personal data from orders, and keeping what the books need (docs/decisions/0021)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from shared.domain.privacy.placeholders import ERASED, ERASED_EMAIL

_ERASE_ORDERS = """
UPDATE orders SET customer_name = %(erased)s, customer_email = %(erased_email)s, customer_phone = NULL,
       customer_user_id = NULL, erased_at = %(now)s
 WHERE event_id = %(event_id)s AND id = ANY(%(order_ids)s) AND erased_at IS NULL
"""
_ERASE_ANSWERS = """
UPDATE option_answers a SET value = %(erased_value)s
  FROM order_items i
 WHERE i.event_id = %(event_id)s AND i.order_id = ANY(%(order_ids)s)
   AND a.event_id = i.event_id AND a.order_item_id = i.id AND a.value IS NOT NULL AND a.value <> %(erased_value)s
"""
_ERASE_NOTES = """
UPDATE order_notes SET text = %(erased)s
 WHERE event_id = %(event_id)s AND order_id = ANY(%(order_ids)s) AND text <> %(erased)s
"""


def erase_buyers(
    connection: psycopg.Connection[Any], event_id: UUID, order_ids: Sequence[UUID], *, now: datetime
) -> dict[str, int]:
    """Replace the buyers' data, their answers and the team's notes with placeholders; return the counts.

    The counts say how many orders and how many answers were changed.

    Runs inside the caller's transaction, which has locked the orders. Erasing twice changes nothing.
    """
    which = {
        "event_id": event_id,
        "order_ids": list(order_ids),
        "erased": ERASED,
        "erased_email": ERASED_EMAIL,
        "erased_value": Jsonb(ERASED),
        "now": now,
    }
    counts = {
        "orders": connection.execute(_ERASE_ORDERS, which).rowcount,
        "answers": connection.execute(_ERASE_ANSWERS, which).rowcount,
    }
    connection.execute(_ERASE_NOTES, which)
    return counts
