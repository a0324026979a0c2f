"""Putting messages on their queues: right after the commit, and by a timer if that failed.

Nothing is sent inside a transaction: rows are marked as published, then sent. If the sender dies in between, or the
queue loses the message, the row is published again after a while. So a message may reach the queue twice, and the
worker that takes it checks `done_at` first.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from uuid import UUID

import orjson
from sqlalchemy import text, tuple_, update

from shared.kit.clock import utc_now
from shared.kit.db.unit_of_work import UnitOfWork, current_unit_of_work
from shared.kit.gathering import Gathering
from shared.kit.outbox.kinds import known_kinds
from shared.kit.outbox.models import OutboxMessage
from shared.kit.outbox.retrying import ATTEMPTS_AT_MOST, PUBLISH_AGAIN_AFTER
from shared.kit.storage.queues import send_message

# One queue message carries many messages, because putting one on the queue costs more than placing an order.
_BATCH = 32
# During this wait the messages of a rush gather into one batch. An e-mail's reader does not notice the delay.
_GATHER_SECONDS = 0.2

_TAKE = text(
    """
    UPDATE outbox SET published_at = :now
     WHERE (event_id, id) IN (
           SELECT event_id, id FROM outbox
            WHERE done_at IS NULL AND kind = ANY(:known) AND (attempts < :attempts OR kind = ANY(:until_done))
              AND (published_at IS NULL OR published_at < :again)
            ORDER BY published_at NULLS FIRST LIMIT :batch FOR UPDATE SKIP LOCKED)
    RETURNING event_id, id, kind
    """
)

type MessageKey = tuple[UUID, UUID]  # (event id, message id)


def publish_waiting() -> int:
    """Put the waiting messages on their queues and return how many; raises what the storage raises, but loses none.

    It ends with the first batch that is not full: later messages gather first, and their own nudge publishes them.
    """
    published, full = 0, True
    while full and (batch := _take(utc_now())):
        full = len(batch) == _BATCH
        try:
            for queue, keys in _by_queue(batch).items():
                put_on_queue(queue, keys)
        except Exception:
            _put_back([key for key, _ in batch])
            raise
        published += len(batch)
    return published


def put_on_queue(queue: str, keys: Iterable[MessageKey]) -> None:
    """Put one queue message that carries these messages on the queue."""
    send_message(queue, {"messages": [[str(part) for part in key] for key in keys]})


def keys_in(queue_message: bytes) -> list[MessageKey]:
    """Return which messages a queue message carries."""
    return [(UUID(event_id), UUID(id_)) for event_id, id_ in orjson.loads(queue_message)["messages"]]


def nudge_after_commit() -> None:
    """Have the messages that are being written published soon after the commit of the present unit of work.

    Without a unit of work the writer is in autocommit, so they are published at once.
    """
    unit_of_work = current_unit_of_work()
    if unit_of_work is None:
        nudge()
    else:
        unit_of_work.after_commit(nudge)


def nudge() -> None:
    """Have the committed messages published soon; a process that knows no kinds leaves this to processes that do."""
    if known_kinds():
        _publisher().add("all")


@lru_cache(maxsize=1)
def _publisher() -> Gathering[str]:
    """Return the thread that publishes soon, so that no buyer waits for the queue; if it fails, the timer publishes."""
    return Gathering("publishing the outbox", lambda _: publish_waiting(), seconds=_GATHER_SECONDS)


def _by_queue(batch: Sequence[tuple[MessageKey, str]]) -> dict[str, list[MessageKey]]:
    queues: dict[str, list[MessageKey]] = {}
    for key, queue in batch:
        queues.setdefault(queue, []).append(key)
    return queues


def _take(now: datetime) -> list[tuple[MessageKey, str]]:
    """Mark a batch as published; return each message's key and queue."""
    kinds = known_kinds()
    with UnitOfWork() as unit_of_work:
        rows = unit_of_work.session.execute(
            _TAKE,
            {
                "now": now,
                "again": now - PUBLISH_AGAIN_AFTER,
                "attempts": ATTEMPTS_AT_MOST,
                "known": list(kinds),
                "until_done": [name for name, kind in kinds.items() if kind.until_done],
                "batch": _BATCH,
            },
        ).all()
        unit_of_work.commit()
    return [((row.event_id, row.id), kinds[row.kind].queue) for row in rows]


def _put_back(batch: Sequence[MessageKey]) -> None:
    with UnitOfWork() as unit_of_work:
        unit_of_work.session.execute(
            update(OutboxMessage)
            .where(tuple_(OutboxMessage.event_id, OutboxMessage.id).in_(batch))
            .values(published_at=None)
        )
        unit_of_work.commit()
