"""Writing messages, with their cause and the trace that they belong to; they are published after the commit."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import orjson
import psycopg

from shared.kit.ids import new_id
from shared.kit.outbox.kinds import Kind
from shared.kit.outbox.publishing import nudge_after_commit
from shared.kit.tracing import traceparent

INSERT: LiteralString = """
INSERT INTO outbox (event_id, id, kind, payload, created_at, attempts)
SELECT m.event_id, m.id, m.kind, m.payload, m.created_at, 0
  FROM json_to_recordset(%(messages)s::json)
    AS m(event_id uuid, id uuid, kind text, payload jsonb, created_at timestamptz)
"""
"""Writes any number of messages. It is a statement, or the last part of a statement that also writes the cause. The
function `messages` makes the value of `%(messages)s`."""

type New = tuple[Kind, Mapping[str, object]]


def enqueue(
    connection: psycopg.Connection[Any], event_id: UUID, kind: Kind, payload: Mapping[str, object], *, now: datetime
) -> UUID:
    """Have work done outside the database once its cause has been committed; return the message's id."""
    message_id = new_id()
    connection.execute(INSERT, {"messages": _as_json(event_id, [(message_id, kind, payload)], now=now)})
    nudge_after_commit()
    return message_id


def messages(event_id: UUID, *new: New, now: datetime) -> str:
    """Return `%(messages)s` for a statement that contains `INSERT`; the messages are published after the commit."""
    if new:
        nudge_after_commit()
    return _as_json(event_id, [(new_id(), kind, payload) for kind, payload in new], now=now)


def _as_json(event_id: UUID, new: list[tuple[UUID, Kind, Mapping[str, object]]], *, now: datetime) -> str:
    trace = traceparent()
    rows = [
        {
            "event_id": event_id,
            "id": message_id,
            "kind": kind.name,
            "payload": {**payload, "traceparent": trace},
            "created_at": now,
        }
        for message_id, kind, payload in new
    ]
    return orjson.dumps(rows).decode()
