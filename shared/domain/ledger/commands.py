"""Writes the books, in the transaction of the sale or the refund that they record."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import psycopg

from shared.domain.ledger.rules import Pair
from shared.kit.ids import new_id

INSERT_ENTRIES = """
  INSERT INTO ledger (event_id, id, order_id, kind, debit, credit, amount_cents, currency, cause, created_at)
  SELECT %(event_id)s, l.id, %(order_id)s, l.kind, l.debit, l.credit, l.amount_cents, %(currency)s, %(cause)s, %(now)s
    FROM json_to_recordset(%(entries)s::json)
      AS l(id uuid, kind text, debit text, credit text, amount_cents bigint)"""
"""A part of the one statement that writes an order; `entries` is what `entries_of` returns."""


def entries_of(pairs: Sequence[Pair]) -> str:
    """Return movements as the rows that `INSERT_ENTRIES` takes."""
    return orjson.dumps([{"id": new_id(), **pair._asdict()} for pair in pairs]).decode()


def book(
    connection: psycopg.Connection[Any],
    event_id: UUID,
    order_id: UUID,
    pairs: Sequence[Pair],
    *,
    currency: str,
    cause: UUID,
    now: datetime,
) -> None:
    """Book the movements of money that `cause` (a payment, a refund) makes for an order."""
    what = {"event_id": event_id, "order_id": order_id, "currency": currency, "cause": cause, "now": now}
    connection.execute(INSERT_ENTRIES, what | {"entries": entries_of(pairs)})
