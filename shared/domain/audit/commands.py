"""Adds to an event's audit trail, in the transaction of the change itself."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.domain.audit.models import AuditEntry, AuditHead
from shared.domain.audit.rules import GENESIS, Entity, entry_hash, plain
from shared.kit.actor import Actor
from shared.kit.ids import new_id

__all__ = ["Entity", "record"]

type Change = tuple[object, object]  # (old, new)


def record(
    session: Session,
    event_id: UUID,
    entity: Entity,
    entity_id: UUID | str,
    changes: Mapping[str, Change],
    *,
    actor: Actor,
    now: datetime,
) -> None:
    """Add one entry for each changed field; fields whose value stays the same get none.

    Locks the end of the event's chain until the transaction ends. Call this last, after taking all other locks, so that
    two changes never wait for each other (a deadlock).
    """
    differing = {field: change for field, change in changes.items() if plain(change[0]) != plain(change[1])}
    if not differing:
        return
    session.flush()
    seq, previous = _lock_head(session, event_id)
    rows: list[dict[str, Any]] = []
    for field, (old, new) in differing.items():
        seq += 1
        facts = {
            "actor_id": plain(actor.user_id),
            "actor_name": actor.name,
            "actor_email": actor.email,
            "entity_type": entity.value,
            "entity_id": str(entity_id),
            "field": field,
            "old_value": plain(old),
            "new_value": plain(new),
            "request_id": actor.request_id,
        }
        digest = entry_hash(previous, event_id=event_id, seq=seq, at=now, facts=facts)
        rows.append(
            facts
            | {
                "event_id": event_id,
                "id": new_id(),
                "seq": seq,
                "at": now,
                "actor_id": actor.user_id,
                "previous_hash": previous,
                "hash": digest,
            }
        )
        previous = digest
    session.execute(insert(AuditEntry), rows)
    session.execute(update(AuditHead).where(AuditHead.event_id == event_id).values(seq=seq, hash=previous))


def _lock_head(session: Session, event_id: UUID) -> tuple[int, bytes]:
    session.execute(insert(AuditHead).values(event_id=event_id, seq=0, hash=GENESIS).on_conflict_do_nothing())
    head = session.execute(
        select(AuditHead.seq, AuditHead.hash).where(AuditHead.event_id == event_id).with_for_update()
    ).one()
    return head.seq, head.hash
