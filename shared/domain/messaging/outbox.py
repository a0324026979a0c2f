"""The outbox: rows written with their cause, put on the queue right after the commit, and by a timer if that failed.

Nothing is sent inside a transaction: rows are marked as published, then sent. Should the sender die in between, or the
queue lose the message, the row is published again after a while, so a message may reach the queue twice; whoever takes
it off asks `done_at` first.
"""

import logging
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

from sqlalchemy import select, text, tuple_, update

from shared.domain.messaging.models import OutboxMessage
from shared.kit.clock import utc_now
from shared.kit.db.unit_of_work import UnitOfWork
from shared.kit.storage.queues import send_message

log = logging.getLogger(__name__)

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


class _Publisher:
    """A thread that publishes soon after it is nudged, so that no buyer waits for the queue."""

    def __init__(self) -> None:
        self._wanted = threading.Event()
        threading.Thread(target=self._run, name="outbox", daemon=True).start()

    def nudge(self) -> None:
        self._wanted.set()

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            self._wanted.wait()
            pause.wait(_GATHER_SECONDS)
            self._wanted.clear()
            try:
                publish_waiting()
            except Exception as error:  # noqa: BLE001 - whatever it is, the rows are safe and the timer comes by
                log.warning("The outbox could not be published (%s); the timer will", type(error).__name__)


@lru_cache(maxsize=1)
def _publisher() -> _Publisher:
    return _Publisher()


def nudge() -> None:
    """Have what has just been committed published soon; call it after the commit."""
    _publisher().nudge()


def begin_work(address: Address, *, now: datetime) -> tuple[str, dict[str, object]] | None:
    """Lease a message for its work and return its kind and payload; None when it is done already.

    Raises `BeingWorkedOn` while somebody else holds the lease.
    """
    event_id, message_id = address
    this = (OutboxMessage.event_id == event_id, OutboxMessage.id == message_id)
    with UnitOfWork() as unit_of_work:
        session = unit_of_work.session
        leased = session.execute(
            update(OutboxMessage)
            .where(
                *this,
                OutboxMessage.done_at.is_(None),
                (OutboxMessage.leased_until.is_(None)) | (OutboxMessage.leased_until < now),
            )
            .values(leased_until=now + _LEASE, attempts=OutboxMessage.attempts + 1)
            .returning(OutboxMessage.kind, OutboxMessage.payload)
        ).one_or_none()
        unit_of_work.commit()
        if leased is not None:
            return leased.kind, leased.payload
        waiting = session.scalar(select(OutboxMessage.id).where(*this, OutboxMessage.done_at.is_(None)))
    if waiting is not None:
        raise BeingWorkedOn
    return None


class BeingWorkedOn(Exception):
    """Somebody else is doing this message just now; look again later."""


def finish_work(address: Address, *, now: datetime, error: str | None = None) -> None:
    """Strike the message off, or note why it failed so that a later attempt may take it."""
    _end_lease(address, last_error=error, done_at=None if error else now)


def postpone_work(address: Address, *, now: datetime, error: str) -> None:
    """Have the message published again by the timer: soon at first, and then every ten minutes for as long as it takes.

    For what fails through nobody's fault, so that it need not end in the poison queue.
    """
    with UnitOfWork(read_only=True) as unit_of_work:
        attempts = unit_of_work.session.scalar(
            select(OutboxMessage.attempts).where(OutboxMessage.event_id == address[0], OutboxMessage.id == address[1])
        )
    wait = min(_RETRY_AFTER * 2 ** min((attempts or 1) - 1, 10), _PUBLISH_AGAIN_AFTER)
    _end_lease(address, last_error=error, published_at=now + wait - _PUBLISH_AGAIN_AFTER)


def _end_lease(address: Address, **fields: datetime | str | None) -> None:
    with UnitOfWork() as unit_of_work:
        unit_of_work.session.execute(
            update(OutboxMessage)
            .where(OutboxMessage.event_id == address[0], OutboxMessage.id == address[1])
            .values(leased_until=None, **fields)
        )
        unit_of_work.commit()
