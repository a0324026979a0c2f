"""Writes one report: takes its run, writes its file, shows it in the catalogue, and ends the run (R-SALES-4).

If the process is killed at any point, the run is taken again when its lease is over, and goes on from what is there: a
file that the catalogue shows is not written again, and a file that it does not show is replaced. Each attempt writes a
file with its own name, so the catalogue's size and hash always belong to the file that it names.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

import psycopg
from sqlalchemy import ColumnElement, select, update
from sqlalchemy.exc import SQLAlchemyError

from shared.domain.access.errors import NoSuchEvent
from shared.domain.reports import catalogue
from shared.domain.reports.csv_file import LONGEST_SECONDS, CsvExport
from shared.domain.reports.kinds.all import KINDS
from shared.domain.reports.models import ReportRun
from shared.domain.reports.notices import tell_when_all_are_done
from shared.domain.reports.queries import lock_schedule
from shared.domain.reports.removal import blob_prefix, plan_removal
from shared.domain.reports.rules import ATTEMPTS_AT_MOST, pause_after
from shared.domain.reports.settings import report_settings
from shared.kit.clock import utc_now
from shared.kit.db.unit_of_work import UnitOfWork, raw_connection
from shared.kit.storage import blobs, tables
from shared.kit.storage.account import StorageDown, storage_errors

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=LONGEST_SECONDS + 60)
"""How long nobody else can take a run that was taken: longer than an export can last."""

CONTENT_TYPE = "text/csv; charset=utf-8"


def take_next(*, now: datetime) -> ReportRun | None:
    """Take the run that has waited longest; nobody else gets it before its lease is over. None if nothing is due."""
    with UnitOfWork() as unit_of_work:
        run = unit_of_work.session.scalar(
            select(ReportRun)
            .where(ReportRun.finished_at.is_(None), ReportRun.next_attempt_at <= now)
            .order_by(ReportRun.next_attempt_at)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        if run is not None:
            run.attempts += 1
            run.next_attempt_at = now + LEASE
            unit_of_work.commit()
        return run


def write(run: ReportRun, *, clock: Callable[[], datetime] = utc_now) -> None:
    """Write the report of a run that was taken; a failure is noted with its cause, and tried again later."""
    try:
        with storage_errors():
            begun = catalogue.begin(run)
            if begun.properties["status"] != "ready":
                _write_file(run, begun, clock)
                _remove_others(run)
    except Exception as error:
        cause = _told(error)
        log.warning("The report %s of event %s was not written: %s", run.id, run.event_id, cause, exc_info=True)
        _note_failure(run, cause, now=clock())
    else:
        _strike_off(run, "ready", now=clock())


def _write_file(run: ReportRun, begun: tables.Seen, clock: Callable[[], datetime]) -> None:
    name = f"{blob_prefix(run.event_id, run.id)}{run.attempts}.csv"
    with raw_connection(longest_seconds=LONGEST_SECONDS) as connection:
        export = CsvExport(connection, KINDS[run.kind], run.event_id, with_bom=run.with_bom)
        measured = blobs.Measured(export)
        blobs.put_stream(blobs.REPORTS, name, measured, content_type=CONTENT_TYPE)
    shown = catalogue.finish(
        run, begun, blob=name, rows=export.rows, size=measured.bytes, sha256=measured.sha256, now=clock()
    )
    if not shown:
        blobs.delete_blob(blobs.REPORTS, name)


def _remove_others(run: ReportRun) -> None:
    """Remove files of earlier attempts that the catalogue does not show."""
    if run.attempts == 1:
        return
    shown = (catalogue.find(run.event_id, run.id) or {}).get("blob")
    found, _ = blobs.list_page(blobs.REPORTS, prefix=blob_prefix(run.event_id, run.id), size=100, marker=None)
    for blob in found:
        if blob.name != shown:
            blobs.delete_blob(blobs.REPORTS, blob.name)


def _told(error: Exception) -> str:
    """Return the cause in words that reveal nothing confidential."""
    match error:
        case StorageDown():
            return "The storage was out of reach or refused the file."
        case psycopg.errors.QueryCanceled():
            return "The database took too long."
        case psycopg.Error() | SQLAlchemyError():
            return "The database was out of reach or refused the query."
        case NoSuchEvent():
            return "The event no longer exists."
    return f"The export broke off ({type(error).__name__})."


def _note_failure(run: ReportRun, cause: str, *, now: datetime) -> None:
    try:
        with storage_errors():
            catalogue.fail(run, error=cause, now=now)
    except StorageDown:
        log.warning("The catalogue can't note the failure; lists show it from the run itself")
    if run.attempts >= ATTEMPTS_AT_MOST:
        _strike_off(run, "failed", now=now, error=cause)
        return
    with UnitOfWork() as unit_of_work:
        unit_of_work.session.execute(
            update(ReportRun)
            .where(*_unfinished(run), ReportRun.attempts == run.attempts)
            .values(next_attempt_at=now + pause_after(run.attempts), last_error=cause)
        )
        unit_of_work.commit()


def _strike_off(run: ReportRun, outcome: str, *, now: datetime, error: str | None = None) -> None:
    """End the run, once; the same transaction writes the notices, and sets when outdated reports are removed.

    Locks the schedule before its runs, as all code does. So if several runs end at the same time, one of them is the
    last.
    """
    with UnitOfWork() as unit_of_work:
        session = unit_of_work.session
        schedule = lock_schedule(session, run.event_id, run.schedule_id) if run.schedule_id else None
        ended = session.execute(
            update(ReportRun)
            .where(*_unfinished(run))
            .values(
                outcome=outcome,
                finished_at=now,
                next_attempt_at=None,
                last_error=error,
                remove_at=now + timedelta(days=report_settings().report_keep_days),
            )
            .returning(ReportRun.id)
        ).one_or_none()
        if ended is not None and schedule is not None:
            plan_removal(session, schedule)
            tell_when_all_are_done(session, schedule, due_at=run.due_at, now=now)
        unit_of_work.commit()


def _unfinished(run: ReportRun) -> tuple[ColumnElement[bool], ...]:
    return ReportRun.event_id == run.event_id, ReportRun.id == run.id, ReportRun.finished_at.is_(None)
