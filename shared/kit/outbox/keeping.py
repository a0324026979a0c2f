"""What other packages may do to messages that are in the outbox already: only this package writes the table."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql

from shared.kit.ids import least_id_at
from shared.kit.outbox.kinds import Kind
from shared.kit.outbox.publishing import nudge_after_commit

_DROP_WAITING: LiteralString = """
UPDATE outbox SET done_at = %(now)s, leased_until = NULL, last_error = NULL
 WHERE event_id = %(event_id)s AND done_at IS NULL AND kind = ANY(%(kinds)s)
   AND payload ->> {field} = ANY(%(ids)s::uuid[]::text[])
"""
_FORGET_ERRORS: LiteralString = """
UPDATE outbox SET last_error = NULL
 WHERE event_id = %(event_id)s AND last_error IS NOT NULL AND done_at IS NOT NULL
   AND payload ->> {field} = ANY(%(ids)s::uuid[]::text[])
"""
_TRY_AGAIN: LiteralString = """
UPDATE outbox SET attempts = 0, published_at = NULL
 WHERE event_id = %(event_id)s AND kind = ANY(%(kinds)s) AND done_at IS NULL
   AND payload ->> {field} = ANY(%(ids)s::uuid[]::text[])
"""
_EXISTS: LiteralString = """
SELECT FROM outbox
 WHERE event_id = %(event_id)s AND kind = ANY(%(kinds)s) AND payload ->> {field} = ANY(%(ids)s::uuid[]::text[]) LIMIT 1
"""
# An id holds its time, so this statement reads only the oldest rows of an event. It skips rows that another run is
# pruning, instead of waiting for them.
_PRUNE = """
DELETE FROM outbox WHERE event_id = %(event_id)s AND id IN (
       SELECT id FROM outbox WHERE event_id = %(event_id)s AND id < %(below)s AND done_at < %(before)s
        ORDER BY id LIMIT %(at_most)s FOR UPDATE SKIP LOCKED)
"""


@dataclass(frozen=True, slots=True)
class About:
    """The messages of an event whose payload names one of the ids in a field."""

    event_id: UUID
    field: str
    ids: Sequence[UUID]


def drop_waiting(connection: psycopg.Connection[Any], about: About, kinds: Collection[Kind], *, now: datetime) -> None:
    """Mark the waiting messages as done, so that their work is never done."""
    _execute(connection, _DROP_WAITING, about, kinds, now=now)


def forget_errors(connection: psycopg.Connection[Any], about: About) -> None:
    """Forget the errors of messages that are done: an error may quote the person that it is about."""
    _execute(connection, _FORGET_ERRORS, about)


def try_again(connection: psycopg.Connection[Any], about: About, kind: Kind) -> bool:
    """Have waiting messages tried from the start after the commit; return whether any was waiting."""
    is_waiting = _execute(connection, _TRY_AGAIN, about, [kind]).rowcount > 0
    if is_waiting:
        nudge_after_commit()
    return is_waiting


def was_queued(connection: psycopg.Connection[Any], about: About, kind: Kind) -> bool:
    """Whether there is such a message, whether it is done or not."""
    return _execute(connection, _EXISTS, about, [kind]).rowcount > 0


def prune(connection: psycopg.Connection[Any], event_id: UUID, *, before: datetime, at_most: int) -> int:
    """Remove messages that were written and done before `before`, the oldest first; return how many were removed."""
    which = {"event_id": event_id, "below": least_id_at(before), "before": before, "at_most": at_most}
    return connection.execute(_PRUNE, which).rowcount


def _execute(
    connection: psycopg.Connection[Any],
    statement: LiteralString,
    about: About,
    kinds: Collection[Kind] = (),
    *,
    now: datetime | None = None,
) -> psycopg.Cursor[Any]:
    # The field is written into the statement instead of a parameter, so that an index on it can be used.
    composed = sql.SQL(statement).format(field=sql.Literal(about.field))
    names = [kind.name for kind in kinds]
    return connection.execute(
        composed, {"event_id": about.event_id, "ids": list(about.ids), "kinds": names, "now": now}
    )
