"""Removes personal data from refunds and providers' messages (docs/decisions/0021), and prunes the messages."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from shared.domain.privacy.placeholders import ERASED

# The reasons that the system itself writes for refunds, and reads again later.
_OWN_WORDS = ["paid_twice", "paid_too_late", "paid_wrongly", "refunded_at_the_provider", ERASED]

_ERASE_REFUNDS = """
UPDATE refunds SET last_error = NULL,
       reason = CASE WHEN reason = ANY(%(own_words)s) THEN reason ELSE %(erased)s END
 WHERE event_id = %(event_id)s AND order_id = ANY(%(order_ids)s)
"""
_ERASE_MESSAGES = """
UPDATE provider_messages m SET payload = jsonb_build_object('id', m.id, 'type', m.kind, 'erased', true)
  FROM payments p
 WHERE p.event_id = %(event_id)s AND p.order_id = ANY(%(order_ids)s)
   AND m.provider = p.provider AND m.reference = p.reference AND NOT m.payload ? 'erased'
"""
# Rows that somebody else is pruning are skipped, not waited for.
_PRUNE = """
DELETE FROM provider_messages WHERE (provider, id) IN (
       SELECT provider, id FROM provider_messages WHERE received_at < %(before)s
        ORDER BY received_at LIMIT %(at_most)s FOR UPDATE SKIP LOCKED)
"""


def erase_payers(connection: psycopg.Connection[Any], event_id: UUID, order_ids: Sequence[UUID]) -> int:
    """Keep of refunds and messages only what the books need; return how many messages were erased.

    Runs inside the caller's transaction, which has locked the orders.
    """
    which = {"event_id": event_id, "order_ids": list(order_ids), "own_words": _OWN_WORDS, "erased": ERASED}
    connection.execute(_ERASE_REFUNDS, which)
    return connection.execute(_ERASE_MESSAGES, which).rowcount


def prune_messages(connection: psycopg.Connection[Any], *, before: datetime, at_most: int) -> int:
    """Delete up to `at_most` messages received earlier than `before`, the oldest first; return how many."""
    return connection.execute(_PRUNE, {"before": before, "at_most": at_most}).rowcount
