"""Removes automatically what is too old: personal data, messages that are done, report files from before an erasure.

Everything here works in batches, each in its own transaction, the oldest first. It may run twice, late, at the same
time as another run, and be killed in between: the next run finds what is left.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from shared.domain.payments.erasing import prune_messages
from shared.domain.privacy.erasing import AT_ONCE, erase_orders
from shared.domain.reports.removal import remove_finished_by
from shared.kit.actor import Actor
from shared.kit.db.faults import is_lost_connection
from shared.kit.db.unit_of_work import UnitOfWork, driver_connection, raw_connection
from shared.kit.outbox.keeping import prune
from shared.kit.storage.account import StorageDown, storage_errors

log = logging.getLogger(__name__)

TIMER = Actor(user_id=None, email=None, name="Retention", request_id="apply_retention")
"""The actor that the audit trail names for these erasures."""
_BATCHES_AT_MOST = 100  # of each kind in one run; the next run does the rest
_ROWS_AT_ONCE = 1_000
# An export that read the data before the erasure's commit may end after it. By then all such exports have ended.
_SETTLED_AFTER = timedelta(minutes=5)

_EVENTS_LONG_OVER = """
SELECT e.id FROM events e
 WHERE e.ends_at < %(before)s
   AND EXISTS (SELECT FROM orders o WHERE o.event_id = e.id AND o.erased_at IS NULL AND o.status <> 'pending')
 ORDER BY e.ends_at LIMIT %(at_most)s
"""
_UNERASED = """
SELECT event_id, id FROM orders
 WHERE event_id = %(event_id)s AND erased_at IS NULL AND status <> 'pending' ORDER BY id LIMIT %(at_most)s
"""
_EVENTS = "SELECT id FROM events ORDER BY id"
_FILES_TO_DROP = """
SELECT event_id, max(erased_at), array_agg(id) FROM erasures
 WHERE files_dropped_at IS NULL AND erased_at < %(before)s GROUP BY event_id LIMIT %(at_most)s
"""
_FILES_DROPPED = "UPDATE erasures SET files_dropped_at = %(now)s WHERE event_id = %(event_id)s AND id = ANY(%(ids)s)"


@dataclass(frozen=True, slots=True)
class Rules:
    """After how many days each kind of data is removed; 0 keeps it."""

    personal_data_days: int
    provider_message_days: int
    outbox_days: int


@dataclass(frozen=True, slots=True)
class Gone:
    """How much one run has erased and removed."""

    orders: int
    provider_messages: int
    outbox: int
    events_without_old_files: int


def apply(rules: Rules, *, now: datetime) -> Gone:
    """Erase and prune what is due, and return how much; the audit trail notes erasures, the log notes the rest."""
    gone = Gone(
        orders=_erase_past_events(now - timedelta(days=rules.personal_data_days), now=now)
        if rules.personal_data_days
        else 0,
        provider_messages=_prune_messages(now - timedelta(days=rules.provider_message_days))
        if rules.provider_message_days
        else 0,
        outbox=_prune_outbox(now - timedelta(days=rules.outbox_days)) if rules.outbox_days else 0,
        events_without_old_files=drop_old_files(now=now),
    )
    if gone != Gone(0, 0, 0, 0):
        log.info("Retention: %s", gone)
    return gone


def _erase_past_events(before: datetime, *, now: datetime) -> int:
    with raw_connection() as connection:
        due = connection.execute(_EVENTS_LONG_OVER, {"before": before, "at_most": _BATCHES_AT_MOST}).fetchall()
    erased = 0
    for (event_id,) in due:
        try:
            erased += _erase_event(event_id, now=now)
        except Exception as error:
            if is_lost_connection(error):
                raise
            log.exception("The personal data of event %s could not be erased; the next run tries again", event_id)
    return erased


def _erase_event(event_id: UUID, *, now: datetime) -> int:
    """Erase what is left in one event, batch by batch; returns how many orders."""

    def batch() -> int:
        with UnitOfWork() as unit_of_work:
            which = {"event_id": event_id, "at_most": AT_ONCE}
            rows = driver_connection(unit_of_work.session).execute(_UNERASED, which).fetchall()
            erased = erase_orders(unit_of_work.session, rows, actor=TIMER, now=now) if rows else 0
            unit_of_work.commit()
        return erased

    return _in_batches(batch, full=AT_ONCE)


def _prune_messages(before: datetime) -> int:
    def batch() -> int:
        with raw_connection() as connection:
            return prune_messages(connection, before=before, at_most=_ROWS_AT_ONCE)

    return _in_batches(batch, full=_ROWS_AT_ONCE)


def _prune_outbox(before: datetime) -> int:
    with raw_connection() as connection:
        events = connection.execute(_EVENTS).fetchall()

    def batch(event_id: UUID) -> int:
        with raw_connection() as connection:
            return prune(connection, event_id, before=before, at_most=_ROWS_AT_ONCE)

    return sum(_in_batches(partial(batch, event_id), full=_ROWS_AT_ONCE) for (event_id,) in events)


def _in_batches(batch: Callable[[], int], *, full: int) -> int:
    """Do batches until one is not full; each commits on its own."""
    done = 0
    for _ in range(_BATCHES_AT_MOST):
        count = batch()
        done += count
        if count < full:
            break
    return done


def drop_old_files(*, now: datetime) -> int:
    """Remove the report files that are older than an erasure in their event; returns for how many events."""
    with raw_connection() as connection:
        which = {"before": now - _SETTLED_AFTER, "at_most": _BATCHES_AT_MOST}
        due = connection.execute(_FILES_TO_DROP, which).fetchall()
    dropped = 0
    for event_id, erased_at, ids in due:
        try:
            with storage_errors():
                remove_finished_by(event_id, erased_at + _SETTLED_AFTER)
        except StorageDown:
            log.warning("The storage is out of reach: the next run removes the files that are older than an erasure")
            break
        with raw_connection() as connection:
            connection.execute(_FILES_DROPPED, {"now": now, "event_id": event_id, "ids": ids})
        dropped += 1
    return dropped
