"""Pruning: entries older than seven years are removed from the database, right after their archive was proven."""

import logging
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select, text, update
from sqlalchemy.orm import Session

from shared.domain.audit.archives import manifests
from shared.domain.audit.chain import ChainEnd, Walk
from shared.domain.audit.models import AuditArchive, AuditEntry, AuditHead
from shared.domain.audit.months import kept_from
from shared.domain.audit.proof import prove
from shared.domain.audit.queries import ends_of, links_in_order
from shared.domain.audit.schemas import ArchiveManifest
from shared.kit.db.unit_of_work import UnitOfWork

log = logging.getLogger(__name__)


def events_to_prune(session: Session, *, now: datetime) -> list[UUID]:
    """Return the events with archived months older than seven years that are still in the database."""
    statement = (
        select(AuditArchive.event_id)
        .where(AuditArchive.month < kept_from(now), AuditArchive.pruned_at.is_(None))
        .distinct()
        .order_by(AuditArchive.event_id)
    )
    return list(session.scalars(statement))


def prune_event(event_id: UUID, *, now: datetime) -> int:
    """Prune the event's months older than seven years, the oldest first; returns how many were pruned.

    Each month is proven right before, and is removed wholly or not at all. Raises `Unproven`, `ChainBroken` or
    `StorageDown` at the first month that can't be proven; it and all later months stay.
    """
    with UnitOfWork(read_only=True) as unit_of_work:
        start, _ = ends_of(unit_of_work.session, event_id)
        known = manifests(unit_of_work.session, event_id)
    due = [manifest for manifest in known if manifest.last_seq > start.seq and manifest.month < kept_from(now)]
    pruned = 0
    for manifest in due:
        prove(manifest, after=start)
        pruned += _remove(manifest, after=start, now=now)
        start = ChainEnd(manifest.last_seq, bytes.fromhex(manifest.last_hash))
    return pruned


def _remove(manifest: ArchiveManifest, *, after: ChainEnd, now: datetime) -> bool:
    """Remove a proven month in one transaction; returns False when another run has already removed it.

    Locks the chain's head first, because another run may prune at the same time; changes of this event wait until the
    end. The entries must match, hash by hash, what was proven, and each must be old enough for the trigger.
    """
    event_id, end = manifest.event_id, ChainEnd(manifest.last_seq, bytes.fromhex(manifest.last_hash))
    with UnitOfWork() as unit_of_work:
        session = unit_of_work.session
        session.execute(text("SET LOCAL boxoffice.prune_audit = 'on'"))
        session.execute(text("SET LOCAL statement_timeout = '2min'"))
        session.execute(select(AuditHead.seq).where(AuditHead.event_id == event_id).with_for_update())
        if ends_of(session, event_id)[0] != after:
            return False
        walk = Walk(event_id, after=after)
        for _ in walk.over(links_in_order(session, event_id, after=after.seq, until=end.seq)):
            pass
        walk.must_end_at(end)
        session.execute(
            delete(AuditEntry)
            .where(AuditEntry.event_id == event_id, AuditEntry.seq.between(manifest.first_seq, manifest.last_seq))
            .execution_options(synchronize_session=False)
        )
        head = update(AuditHead).where(AuditHead.event_id == event_id)
        session.execute(head.values(pruned_seq=end.seq, pruned_hash=end.hash))
        archive = update(AuditArchive).where(AuditArchive.event_id == event_id, AuditArchive.month == manifest.month)
        session.execute(archive.values(proven_at=now, pruned_at=now))
        unit_of_work.commit()
    log.info("Pruned %s of event %s (%s entries)", manifest.month, event_id, manifest.rows)
    return True
