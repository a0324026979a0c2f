"""The archive: closed months of audit trails as files in private blob storage (R-AUDIT-1).

A chain is cut by number, not by time: a month's archive begins where the archive before it ended, and ends before the
first entry of a later month. An entry that was written late, after the first entry of the next month, is in the later
archive. So every entry is in exactly one archive.

The file is written first, then its manifest. Both are read back and proven. The row in the database is written last. A
file without its row is written again, and the same entries make the same file.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.domain.audit.archive_file import compressed
from shared.domain.audit.chain import BEGINNING, ChainBroken, ChainEnd, Link, Walk
from shared.domain.audit.errors import NoSuchArchive
from shared.domain.audit.models import AuditArchive, AuditEntry, AuditHead
from shared.domain.audit.months import is_month, month_after, month_of, open_since, start_of
from shared.domain.audit.proof import Unproven, file_name, manifest_name, prove
from shared.domain.audit.queries import links_in_order
from shared.domain.audit.schemas import ArchiveManifest, ArchiveReport, AuditArchiveOut
from shared.kit.db.unit_of_work import UnitOfWork
from shared.kit.pages import Page, PageQuery, cut, total_of
from shared.kit.storage import blobs
from shared.kit.storage.account import storage_errors

log = logging.getLogger(__name__)

_LINK_MINUTES = 10


@dataclass(frozen=True, slots=True)
class Stretch:
    """The part of an event's chain that is one month's archive."""

    event_id: UUID
    month: str
    after: ChainEnd
    last_seq: int


# --- reading --------------------------------------------------------------------------------------------------------


def list_archives(session: Session, event_id: UUID, query: PageQuery) -> Page[AuditArchiveOut]:
    """Return the event's archived months, the newest first."""
    statement = select(AuditArchive).where(AuditArchive.event_id == event_id).order_by(AuditArchive.month.desc())
    items = [_out(archive) for archive in session.scalars(cut(statement, query))]
    total = total_of(session, statement, query, shown=len(items))
    return Page(items=items, page=query.page, page_size=query.page_size, total=total)


def download_link(session: Session, event_id: UUID, month: str, *, now: datetime) -> str:
    """Return a link to a month's file that works for ten minutes; raises `NoSuchArchive`."""
    archive = _get_archive(session, event_id, month)
    return blobs.read_link(
        blobs.ARCHIVE,
        file_name(event_id, archive.month),
        now=now,
        minutes=_LINK_MINUTES,
        file_name=f"audit-{archive.month}.jsonl.gz",
    )


def manifests(session: Session, event_id: UUID) -> list[ArchiveManifest]:
    """Return what the manifests of the event's archives must say, the oldest first."""
    statement = select(AuditArchive).where(AuditArchive.event_id == event_id).order_by(AuditArchive.month)
    return [_manifest(archive) for archive in session.scalars(statement)]


def events_to_archive(session: Session, *, now: datetime) -> list[UUID]:
    """Return the events that have entries of closed months which are not archived yet."""
    last = (
        select(AuditArchive.event_id, func.max(AuditArchive.last_seq).label("seq"))
        .group_by(AuditArchive.event_id)
        .subquery()
    )
    archived = func.coalesce(last.c.seq, 0)
    waiting = exists().where(
        AuditEntry.event_id == AuditHead.event_id, AuditEntry.seq > archived, AuditEntry.at < open_since(now)
    )
    statement = select(AuditHead.event_id).outerjoin(last, last.c.event_id == AuditHead.event_id)
    return list(session.scalars(statement.where(AuditHead.seq > archived, waiting).order_by(AuditHead.event_id)))


# --- writing --------------------------------------------------------------------------------------------------------


def archive_event(event_id: UUID, *, now: datetime) -> int:
    """Archive the event's closed months that are not archived yet, and return how many there were.

    Uses the storage and the database outside any transaction. Raises `ChainBroken` for a trail that was tampered with,
    `Unproven` when the storage does not return what was written, and `StorageDown`.
    """
    written = 0
    while (stretch := _next_stretch(event_id, now=now)) is not None:
        try:
            _archive(stretch, now=now)
            written += 1
        except ChainBroken:
            if _next_stretch(event_id, now=now) == stretch:
                raise
            # Another run has archived and pruned this month at the same time.
    return written


def rewrite_archive(event_id: UUID, month: str, *, now: datetime) -> None:
    """Write a lost or damaged archive again from its entries, as long as they are in the database.

    Raises `NoSuchArchive`, or `ChainBroken` where the entries are not the ones that were archived.
    """
    with UnitOfWork(read_only=True) as unit_of_work:
        known = _manifest(_get_archive(unit_of_work.session, event_id, month))
    after = ChainEnd(known.first_seq - 1, bytes.fromhex(known.previous_hash))
    stretch = Stretch(event_id, month, after, known.last_seq)
    with UnitOfWork(read_only=True) as unit_of_work:  # before anything in the storage is overwritten
        walk = Walk(event_id, after=after)
        for _ in _links_of(unit_of_work.session, stretch, walk):
            pass
        walk.must_end_at(ChainEnd(known.last_seq, bytes.fromhex(known.last_hash)))
    _archive(stretch, now=now)


def verify_archives(event_id: UUID) -> list[ArchiveReport]:
    """Prove all of the event's archives, and that each begins where the one before it ended; raises `StorageDown`."""
    with UnitOfWork(read_only=True) as unit_of_work:
        known = manifests(unit_of_work.session, event_id)
    reports, after = [], BEGINNING
    for manifest in known:
        fault = None
        try:
            prove(manifest, after=after)
        except Unproven as unproven:
            fault = unproven.reason
        reports.append(ArchiveReport(month=manifest.month, rows=manifest.rows, fault=fault))
        after = ChainEnd(manifest.last_seq, bytes.fromhex(manifest.last_hash))
    return reports


def _next_stretch(event_id: UUID, *, now: datetime) -> Stretch | None:
    """Return the oldest month that is closed and not archived; it has the same entries in every run."""
    with UnitOfWork(read_only=True) as unit_of_work:
        session = unit_of_work.session
        last = session.scalar(
            select(AuditArchive).where(AuditArchive.event_id == event_id).order_by(AuditArchive.month.desc()).limit(1)
        )
        after = ChainEnd(last.last_seq, last.last_hash) if last else BEGINNING
        left = (AuditEntry.event_id == event_id, AuditEntry.seq > after.seq)
        first_at = session.scalar(select(AuditEntry.at).where(*left).order_by(AuditEntry.seq).limit(1))
        if first_at is None:
            return None
        month = max(month_of(first_at), month_after(last.month)) if last else month_of(first_at)
        end = start_of(month_after(month))
        if end > open_since(now):
            return None
        later = session.scalar(select(func.min(AuditEntry.seq)).where(*left, AuditEntry.at >= end))
        last_seq = later - 1 if later else session.scalar(select(func.max(AuditEntry.seq)).where(*left))
    assert last_seq is not None
    return Stretch(event_id, month, after, last_seq)


def _archive(stretch: Stretch, *, now: datetime) -> None:
    manifest = _put_file(stretch, now=now)
    name = manifest_name(stretch.event_id, stretch.month)
    text = manifest.model_dump_json(indent=2).encode()
    with storage_errors():
        blobs.put_blob(blobs.ARCHIVE, name, text, content_type="application/json")
    prove(manifest, after=stretch.after)
    _note(manifest)
    log.info("Archived %s (%s entries)", file_name(stretch.event_id, stretch.month), manifest.rows)


def _put_file(stretch: Stretch, *, now: datetime) -> ArchiveManifest:
    """Write the file and return its manifest."""
    walk = Walk(stretch.event_id, after=stretch.after)
    with UnitOfWork(read_only=True) as unit_of_work, storage_errors():
        links = _links_of(unit_of_work.session, stretch, walk)
        measured = blobs.Measured(compressed(stretch.event_id, links))
        name = file_name(stretch.event_id, stretch.month)
        blobs.put_stream(blobs.ARCHIVE, name, measured, content_type="application/gzip")
    return ArchiveManifest(
        event_id=stretch.event_id,
        month=stretch.month,
        first_seq=stretch.after.seq + 1,
        last_seq=stretch.last_seq,
        rows=walk.count,
        bytes=measured.bytes,
        sha256=measured.sha256,
        previous_hash=stretch.after.hash.hex(),
        last_hash=walk.end.hash.hex(),
        written_at=now,
    )


def _links_of(session: Session, stretch: Stretch, walk: Walk) -> Iterator[Link]:
    """Yield the stretch's links and verify each; a missing or changed entry raises, so that no archive is written."""
    yield from walk.over(links_in_order(session, stretch.event_id, after=stretch.after.seq, until=stretch.last_seq))
    walk.must_end_at(ChainEnd(stretch.last_seq, walk.end.hash))


def _note(manifest: ArchiveManifest) -> None:
    """Write a proven archive into the database; another run, or the repair of a damaged archive, may write it again.

    Raises `Unproven` when the database has another archive in its place.
    """
    month = {"event_id": manifest.event_id, "month": manifest.month}
    stretch = {
        "first_seq": manifest.first_seq,
        "last_seq": manifest.last_seq,
        "previous_hash": bytes.fromhex(manifest.previous_hash),
        "last_hash": bytes.fromhex(manifest.last_hash),
    }
    file = {
        "size_bytes": manifest.bytes,
        "sha256": bytes.fromhex(manifest.sha256),
        "written_at": manifest.written_at,
        "proven_at": manifest.written_at,
    }
    new = insert(AuditArchive).values(month | stretch | file).on_conflict_do_nothing().returning(AuditArchive.month)
    again = update(AuditArchive).filter_by(**month, **stretch).values(file).returning(AuditArchive.month)
    with UnitOfWork() as unit_of_work:
        if all(unit_of_work.session.scalar(statement) is None for statement in (new, again)):
            raise Unproven(manifest, "the database has another archive in its place")
        unit_of_work.commit()


def _get_archive(session: Session, event_id: UUID, month: str) -> AuditArchive:
    archive = session.get(AuditArchive, (event_id, month)) if is_month(month) else None
    if archive is None:
        raise NoSuchArchive
    return archive


def _manifest(archive: AuditArchive) -> ArchiveManifest:
    return ArchiveManifest(event_id=archive.event_id, **_facts(archive), written_at=archive.written_at)


def _out(archive: AuditArchive) -> AuditArchiveOut:
    return AuditArchiveOut(
        **_facts(archive), written_at=archive.written_at, proven_at=archive.proven_at, pruned_at=archive.pruned_at
    )


def _facts(archive: AuditArchive) -> dict[str, Any]:
    return {
        "month": archive.month,
        "first_seq": archive.first_seq,
        "last_seq": archive.last_seq,
        "rows": archive.last_seq - archive.first_seq + 1,
        "bytes": archive.size_bytes,
        "sha256": archive.sha256.hex(),
        "previous_hash": archive.previous_hash.hex(),
        "last_hash": archive.last_hash.hex(),
    }
