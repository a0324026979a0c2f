"""The outbox: rows written with their cause, put on the queue right after the commit, and by a timer if that failed.

Nothing is sent inside a transaction: rows are marked as published, then sent. Should the sender die in between, or the
queue lose the message, the row is published again after a while, so a message may reach the queue twice; whoever takes
it off asks `done_at` first.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

from sqlalchemy import text, tuple_, update

from shared.domain.messaging.models import OutboxMessage
from shared.kit.clock import utc_now
from shared.kit.db.unit_of_work import UnitOfWork, raw_connection
from shared.kit.gathering import Gathering
from shared.kit.storage.queues import send_message

EMAIL_QUEUE = "email"
PAYMENTS_QUEUE = "payments"
_QUEUES = {"provider_refund": PAYMENTS_QUEUE, "give_up_payment": PAYMENTS_QUEUE}
"""Where a kind of message goes; all others are e-mails."""
UNTIL_DONE = tuple(_QUEUES)
"""Money that is owed is tried for as long as it takes."""

# One queue message carries many: putting one on the queue costs more than placing an order does.
_BATCH = 32
_LEASE = timedelta(seconds=30)
_PUBLISH_AGAIN_AFTER = timedelta(minutes=10)
_RETRY_AFTER = timedelta(seconds=2)
ATTEMPTS_AT_MOST = 5  # as often as the queue brings a message before it puts it on the poison queue
# A moment's wait lets the orders of a rush gather into a batch; nobody notices it in an e-mail.
_GATHER_SECONDS = 0.2

_TAKE = text(
    """
    UPDATE outbox SET published_at = :now
     WHERE (event_id, id) IN (
           SELECT event_id, id FROM outbox
            WHERE done_at IS NULL AND (attempts < :attempts OR kind = ANY(:until_done))
              AND (published_at IS NULL OR published_at < :again)
            ORDER BY published_at NULLS FIRST LIMIT :batch FOR UPDATE SKIP LOCKED)
    RETURNING event_id, id, kind
    """
)

_LEASE_IT = """
UPDATE outbox SET leased_until = %(until)s, attempts = attempts + 1
 WHERE event_id = %(event_id)s AND id = %(id)s AND done_at IS NULL AND (leased_until IS NULL OR leased_until < %(now)s)
RETURNING kind, payload
"""
_IS_WAITING = "SELECT 1 FROM outbox WHERE event_id = %(event_id)s AND id = %(id)s AND done_at IS NULL"
_ATTEMPTS = "SELECT attempts FROM outbox WHERE event_id = %(event_id)s AND id = %(id)s"
_END_LEASE = """
UPDATE outbox SET leased_until = NULL, last_error = %(error)s, done_at = coalesce(%(done_at)s, done_at),
       published_at = coalesce(%(published_at)s, published_at)
 WHERE event_id = %(event_id)s AND id = %(id)s
"""

type Address = tuple[UUID, UUID]  # (event id, message id)


def publish_waiting() -> int:
    """Put the waiting messages on their queue and say how many; raises what the storage raises, and loses nothing.

    Ends with the first batch that is not full: what has come since is left to gather, and its own nudge publishes it.
    """
    published, full = 0, True
    while full and (batch := _take(utc_now())):
        full = len(batch) == _BATCH
        try:
            for queue, addresses in _by_queue(batch).items():
                send_message(queue, {"messages": [[str(part) for part in address] for address in addresses]})
        except Exception:
            _put_back([address for address, _ in batch])
            raise
        published += len(batch)
    return published


def _by_queue(batch: Sequence[tuple[Address, str]]) -> dict[str, list[Address]]:
    queues: dict[str, list[Address]] = {}
    for address, kind in batch:
        queues.setdefault(_QUEUES.get(kind, EMAIL_QUEUE), []).append(address)
    return queues


def _take(now: datetime) -> list[tuple[Address, str]]:
    with UnitOfWork() as unit_of_work:
        rows = unit_of_work.session.execute(
            _TAKE,
            {
                "now": now,
                "again": now - _PUBLISH_AGAIN_AFTER,
                "attempts": ATTEMPTS_AT_MOST,
                "until_done": list(UNTIL_DONE),
                "batch": _BATCH,
            },
        ).all()
        unit_of_work.commit()
    return [((row.event_id, row.id), row.kind) for row in rows]


def _put_back(batch: Sequence[Address]) -> None:
    with UnitOfWork() as unit_of_work:
        unit_of_work.session.execute(
            update(OutboxMessage)
            .where(tuple_(OutboxMessage.event_id, OutboxMessage.id).in_(batch))
            .values(published_at=None)
        )
        unit_of_work.commit()


@lru_cache(maxsize=1)
def _publisher() -> Gathering[str]:
    """Publishes soon after it is asked, so that no buyer waits for the queue; should it fail, the timer publishes."""
    return Gathering("publishing the outbox", lambda _: publish_waiting(), seconds=_GATHER_SECONDS)


def nudge() -> None:
    """Have what has just been committed published soon; call it after the commit."""
    _publisher().add("all")


def begin_work(address: Address, *, now: datetime) -> tuple[str, dict[str, object]] | None:
    """Lease a message for its work and return its kind and payload; None when it is done already.

    Raises `BeingWorkedOn` while somebody else holds the lease.
    """
    which = {"event_id": address[0], "id": address[1]}
    with raw_connection() as connection:
        leased = connection.execute(_LEASE_IT, which | {"now": now, "until": now + _LEASE}).fetchone()
        if leased is None and connection.execute(_IS_WAITING, which).fetchone():
            raise BeingWorkedOn
    return None if leased is None else (leased[0], leased[1])


class BeingWorkedOn(Exception):
    """Somebody else is doing this message just now; look again later."""


def finish_work(address: Address, *, now: datetime, error: str | None = None) -> None:
    """Strike the message off, or note why it failed so that a later attempt may take it."""
    _end_lease(address, done_at=None if error else now, error=error)


def postpone_work(address: Address, *, now: datetime, error: str) -> None:
    """Have the message published again by the timer: soon at first, and then every ten minutes for as long as it takes.

    For what fails through nobody's fault, so that it need not end in the poison queue.
    """
    with raw_connection() as connection:
        row = connection.execute(_ATTEMPTS, {"event_id": address[0], "id": address[1]}).fetchone()
    attempts = row[0] if row else 1
    wait = min(_RETRY_AFTER * 2 ** min(attempts - 1, 10), _PUBLISH_AGAIN_AFTER)
    _end_lease(address, error=error, published_at=now + wait - _PUBLISH_AGAIN_AFTER)


def _end_lease(
    address: Address, *, error: str | None, done_at: datetime | None = None, published_at: datetime | None = None
) -> None:
    which = {"event_id": address[0], "id": address[1]}
    with raw_connection() as connection:
        connection.execute(_END_LEASE, which | {"error": error, "done_at": done_at, "published_at": published_at})
