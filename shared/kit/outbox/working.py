"""Doing the work of messages: once for each message, even if the queue delivers it several times."""

import logging
from datetime import datetime
from typing import Any

from shared.kit.clock import utc_now
from shared.kit.db.unit_of_work import raw_connection
from shared.kit.mail import Mailer
from shared.kit.outbox.kinds import Kind, Message, NotNow, known_kinds
from shared.kit.outbox.publishing import MessageKey
from shared.kit.outbox.retrying import LEASE, PUBLISH_AGAIN_AFTER, UNKNOWN_KIND_WAITS, wait_after
from shared.kit.tracing import working_on

log = logging.getLogger(__name__)

_BEGIN = """
UPDATE outbox SET leased_until = %(until)s, attempts = attempts + 1
 WHERE event_id = %(event_id)s AND id = %(id)s AND done_at IS NULL AND kind = ANY(%(known)s)
   AND (leased_until IS NULL OR leased_until < %(now)s)
RETURNING kind, payload, attempts
"""
_WAITING = "SELECT kind FROM outbox WHERE event_id = %(event_id)s AND id = %(id)s AND done_at IS NULL"
_FINISH = """
UPDATE outbox SET leased_until = NULL, last_error = %(error)s, done_at = coalesce(%(done_at)s, done_at)
 WHERE event_id = %(event_id)s AND id = %(id)s
"""
_POSTPONE = """
UPDATE outbox SET leased_until = NULL, last_error = %(error)s, published_at = %(published_at)s
 WHERE event_id = %(event_id)s AND id = %(id)s AND done_at IS NULL
"""


class BeingWorkedOn(Exception):
    """Another worker has leased this message; try again later."""


def work_on(key: MessageKey, mailer: Mailer) -> None:
    """Do the work of a message; a message that is done already is not done again.

    A message is postponed if its work raises `NotNow`, or if only another version of the app knows its kind. Any other
    error is noted with the message and raised again. Raises `BeingWorkedOn` while another worker has the message. After
    an exception the queue delivers the message again.
    """
    begun = _begin(key, now=utc_now())
    if begun is None:
        return
    kind, message, attempts = begun
    cause = message.payload.get("traceparent")
    try:
        with working_on(kind.name, traceparent=cause if isinstance(cause, str) else None):
            kind.work(message, mailer)
    except NotNow as reason:
        now = utc_now()
        _postpone(key, until=now + wait_after(attempts), error=f"{reason}"[:500])
    except Exception as error:
        _finish(key, error=f"{type(error).__name__}: {error}"[:500])
        raise
    else:
        _finish(key, done_at=utc_now())


def _begin(key: MessageKey, *, now: datetime) -> tuple[Kind, Message, int] | None:
    """Lease a message; return None if there is nothing to do. Each lease counts as an attempt."""
    kinds = known_kinds()
    which = _which(key)
    with raw_connection() as connection:
        lease = {"now": now, "until": now + LEASE, "known": list(kinds)}
        leased = connection.execute(_BEGIN, which | lease).fetchone()
        waiting = None if leased else connection.execute(_WAITING, which).fetchone()
    if leased:
        kind, payload, attempts = leased
        return kinds[kind], Message(*key, payload), attempts
    if waiting is None:
        return None
    if waiting[0] in kinds:
        raise BeingWorkedOn
    # No attempt is counted, because it is not the message's fault that this version does not know its kind.
    log.warning("A message of the kind %s is left to the version of the app that knows it", waiting[0])
    _postpone(key, until=now + UNKNOWN_KIND_WAITS, error="This version of the app does not know the kind.")
    return None


def _finish(key: MessageKey, *, done_at: datetime | None = None, error: str | None = None) -> None:
    """Mark the message as done, or note its error and end the lease so that a later attempt can take it."""
    with raw_connection() as connection:
        connection.execute(_FINISH, _which(key) | {"done_at": done_at, "error": error})


def _postpone(key: MessageKey, *, until: datetime, error: str) -> None:
    """Have the outbox publish the message again at `until`, so that the queue need not keep it and never poisons it."""
    with raw_connection() as connection:
        connection.execute(_POSTPONE, _which(key) | {"error": error, "published_at": until - PUBLISH_AGAIN_AFTER})


def _which(key: MessageKey) -> dict[str, Any]:
    return {"event_id": key[0], "id": key[1]}
