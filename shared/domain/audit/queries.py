"""Reading the trail, and verifying that nobody has changed it."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.domain.audit.models import AuditEntry, AuditHead
from shared.domain.audit.rules import GENESIS, Entity, entry_hash, plain
from shared.domain.audit.schemas import AuditActor, AuditEntryOut, AuditQuery, BrokenLink, ChainReport
from shared.kit.pages import Page, PageQuery, cut, total_of

_BATCH = 1_000
_FACTS = (
    "actor_name",
    "actor_email",
    "entity_type",
    "entity_id",
    "field",
    "old_value",
    "new_value",
    "request_id",
)


def list_entries(session: Session, event_id: UUID, query: AuditQuery) -> Page[AuditEntryOut]:
    """The event's trail, the newest entry first."""
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
    """The trail of one package, the newest entry first; also of one that has been deleted."""
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
    """Compute every hash of the event's trail again, in bounded memory; names the first link that does not hold."""
    previous: bytes | None = None
    expected = count = 0
    broken: BrokenLink | None = None
    for entry in _in_order(session, event_id):
        if previous is None:  # the first one that has not been pruned
            expected, previous = entry.seq, entry.previous_hash if entry.seq > 1 else GENESIS
        reason = _reason(entry, expected, previous)
        if reason is not None:
            broken = BrokenLink(seq=entry.seq, id=entry.id, reason=reason)
            break
        previous, expected, count = entry.hash, expected + 1, count + 1
    head = session.execute(select(AuditHead.seq, AuditHead.hash).where(AuditHead.event_id == event_id)).one_or_none()
    if broken is None and head is not None and (head.seq, head.hash) != (max(0, expected - 1), previous or GENESIS):
        broken = BrokenLink(seq=expected, id=None, reason="entries are missing at the end")
    return ChainReport(
        valid=broken is None, entries=count, first_broken=broken, head=(head.hash if head else GENESIS).hex()
    )


def _in_order(session: Session, event_id: UUID) -> Iterator[AuditEntry]:
    """The event's entries from the first to the last, a thousand at a time."""
    after = 0
    while True:
        batch = session.scalars(
            select(AuditEntry)
            .where(AuditEntry.event_id == event_id, AuditEntry.seq > after)
            .order_by(AuditEntry.seq)
            .limit(_BATCH)
        ).all()
        yield from batch
        if len(batch) < _BATCH:
            return
        after = batch[-1].seq
        session.expunge_all()


def _reason(entry: AuditEntry, expected: int, previous: bytes) -> str | None:
    if entry.seq != expected:
        return f"entry {expected} is missing"
    if entry.previous_hash != previous:
        return "it does not follow the entry before it"
    facts = {name: getattr(entry, name) for name in _FACTS} | {"actor_id": plain(entry.actor_id)}
    digest = entry_hash(previous, event_id=entry.event_id, seq=entry.seq, at=entry.at, facts=facts)
    return None if digest == entry.hash else "its content has been changed"
