"""Reads the trail, and verifies that nobody has changed it."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.domain.audit.chain import BEGINNING, FACTS, ChainBroken, ChainEnd, Link, Walk
from shared.domain.audit.models import AuditArchive, AuditEntry, AuditHead
from shared.domain.audit.rules import GENESIS, Entity, plain
from shared.domain.audit.schemas import (
    AuditActor,
    AuditEntryOut,
    AuditQuery,
    BrokenLink,
    ChainReport,
)
from shared.kit.pages import Page, PageQuery, cut, total_of

_BATCH = 1_000


def list_entries(session: Session, event_id: UUID, query: AuditQuery) -> Page[AuditEntryOut]:
    """Return the event's trail, the newest entry first."""
    statement = select(AuditEntry).where(AuditEntry.event_id == event_id)
    if query.entity_type is not None:
        statement = statement.where(AuditEntry.entity_type == query.entity_type)
    if query.entity_id is not None:
        statement = statement.where(AuditEntry.entity_id == query.entity_id)
    if query.field is not None:
        statement = statement.where(AuditEntry.field == query.field)
    if query.actor_id is not None:
        statement = statement.where(AuditEntry.actor_id == query.actor_id)
    return _page(session, statement, query)


def list_package_entries(session: Session, event_id: UUID, package_id: UUID, query: PageQuery) -> Page[AuditEntryOut]:
    """Return the trail of one package, the newest entry first; it also works for a deleted package."""
    statement = select(AuditEntry).where(
        AuditEntry.event_id == event_id,
        AuditEntry.entity_type == Entity.PACKAGE,
        AuditEntry.entity_id == str(package_id),
    )
    return _page(session, statement, query)


def _page(session: Session, statement: Any, query: PageQuery) -> Page[AuditEntryOut]:
    ordered = statement.order_by(AuditEntry.seq.desc())
    items = [_out(entry) for entry in session.scalars(cut(ordered, query))]
    total = total_of(session, ordered, query, shown=len(items))
    return Page(items=items, page=query.page, page_size=query.page_size, total=total)


def _out(entry: AuditEntry) -> AuditEntryOut:
    fields = {name: getattr(entry, name) for name in AuditEntryOut.model_fields if name != "actor"}
    actor = AuditActor(id=entry.actor_id, name=entry.actor_name, email=entry.actor_email)
    return AuditEntryOut.model_validate(fields | {"actor": actor})


def verify_chain(session: Session, event_id: UUID) -> ChainReport:
    """Compute every hash of the event's trail again, in limited memory; the report names the first entry that is wrong.

    Where months were pruned, the chain must begin where the last pruned month ended.
    """
    while True:
        start, _ = ends_of(session, event_id)
        walk = Walk(event_id, after=start)
        broken = _fault_of_start(session, event_id, start) or _fault_of_walk(session, event_id, walk)
        now_start, end = ends_of(session, event_id)
        if broken is None or now_start == start:  # otherwise another run pruned months during the walk
            break
    return ChainReport(
        valid=broken is None,
        entries=walk.count,
        archived=_archived_seq(session, event_id),
        pruned=start.seq,
        first_broken=broken,
        head=end.hash.hex(),
    )


def ends_of(session: Session, event_id: UUID) -> tuple[ChainEnd, ChainEnd]:
    """Return where the event's chain in the database begins (after the pruned entries), and where it ends."""
    head = session.execute(
        select(AuditHead.pruned_seq, AuditHead.pruned_hash, AuditHead.seq, AuditHead.hash).where(
            AuditHead.event_id == event_id
        )
    ).one_or_none()
    if head is None:
        return BEGINNING, BEGINNING
    return ChainEnd(head.pruned_seq, head.pruned_hash or GENESIS), ChainEnd(head.seq, head.hash)


def _fault_of_start(session: Session, event_id: UUID, start: ChainEnd) -> BrokenLink | None:
    """Return a fault unless an archive holds everything that was pruned."""
    archived = select(AuditArchive.month).where(
        AuditArchive.event_id == event_id,
        AuditArchive.last_seq == start.seq,
        AuditArchive.last_hash == start.hash,
        AuditArchive.pruned_at.is_not(None),
    )
    if start == BEGINNING or session.scalar(archived) is not None:
        return None
    return BrokenLink(seq=start.seq, id=None, reason="entries up to here were removed, and no archive holds them")


def _fault_of_walk(session: Session, event_id: UUID, walk: Walk) -> BrokenLink | None:
    """Walk until the walk has reached the head; entries that are added in the meantime move the head further."""
    try:
        after, before = 0, -1
        while walk.count > before:
            before = walk.count
            for _ in walk.over(links_in_order(session, event_id, after=after)):
                pass
            after, (_, end) = walk.end.seq, ends_of(session, event_id)
            if walk.end == end:
                return None
        walk.must_end_at(end)
    except ChainBroken as broken:
        return BrokenLink(seq=broken.seq, id=broken.id, reason=broken.reason)
    return None


def _archived_seq(session: Session, event_id: UUID) -> int:
    last = session.scalar(select(func.max(AuditArchive.last_seq)).where(AuditArchive.event_id == event_id))
    return last or 0


def links_in_order(session: Session, event_id: UUID, *, after: int = 0, until: int | None = None) -> Iterator[Link]:
    """Yield the event's entries after number `after`, up to number `until`; reads a thousand at a time."""
    while True:
        statement = select(AuditEntry).where(AuditEntry.event_id == event_id, AuditEntry.seq > after)
        if until is not None:
            statement = statement.where(AuditEntry.seq <= until)
        batch = session.scalars(statement.order_by(AuditEntry.seq).limit(_BATCH)).all()
        yield from map(_link, batch)
        if len(batch) < _BATCH:
            return
        after = batch[-1].seq
        session.expunge_all()


def _link(entry: AuditEntry) -> Link:
    facts = {name: getattr(entry, name) for name in FACTS} | {"actor_id": plain(entry.actor_id)}
    return Link(
        id=entry.id, seq=entry.seq, at=entry.at, facts=facts, previous_hash=entry.previous_hash, hash=entry.hash
    )
