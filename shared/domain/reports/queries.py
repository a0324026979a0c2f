"""Reads of reports and schedules."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.domain.reports import catalogue
from shared.domain.reports.errors import NoSuchReport, NoSuchSchedule, ReportNotReady
from shared.domain.reports.kinds.all import KINDS
from shared.domain.reports.models import ReportRun, ReportSchedule
from shared.domain.reports.schemas import ReportListQuery, ReportOut, ScheduleOut
from shared.kit.actor import Actor
from shared.kit.pages import Page
from shared.kit.storage import blobs

_LINK_MINUTES = 10


def list_reports(session: Session, event_id: UUID, query: ReportListQuery, *, actor: Actor) -> Page[ReportOut]:
    """Return the event's reports of the kinds that the actor may read, the newest first.

    The list has the reports in the catalogue, and also the runs that the catalogue does not know yet or could not be
    told about: those that are running, or have failed (with the cause). So a failed report always shows as failed and
    is never missing, even if the storage was down.
    """
    unready = session.scalars(
        select(ReportRun).where(ReportRun.event_id == event_id, ReportRun.outcome.is_distinct_from("ready"))
    ).all()
    found = {entry["id"]: _out(entry) for entry in catalogue.entries(event_id)}
    for run in unready:
        if run.id not in found or found[run.id].status != "ready":
            found[run.id] = _unready(run)
    wanted = [
        report
        for report in found.values()
        if query.kind in {None, report.kind}
        and query.schedule_id in {None, report.schedule_id}
        and actor.may(KINDS[report.kind].permission)
    ]
    wanted.sort(key=lambda report: (report.created_at, report.id), reverse=True)
    first = (query.page - 1) * query.page_size
    return Page(
        items=wanted[first : first + query.page_size],
        page=query.page,
        page_size=query.page_size,
        total=len(wanted),
    )


def report_of(session: Session, run: ReportRun) -> ReportOut:
    """Return the report of a run that was just written; if writing failed, this does not need the storage."""
    session.refresh(run)
    entry = None if run.last_error else catalogue.find(run.event_id, run.id)
    return _unready(run) if entry is None else _out(entry)


def download_link(session: Session, event_id: UUID, report_id: UUID, *, actor: Actor, now: datetime) -> str:
    """Return a link to the report's file that works for ten minutes; raises `NoSuchReport` or `ReportNotReady`."""
    entry = catalogue.find(event_id, report_id)
    if entry is None:
        run = session.get(ReportRun, (event_id, report_id), populate_existing=True)
        report = None if run is None else _unready(run)
    else:
        report = _out(entry)
    if report is None or not actor.may(KINDS[report.kind].permission):
        raise NoSuchReport
    if entry is None or report.status != "ready":
        raise ReportNotReady(f"The report is {report.status}.", report_status=report.status)
    return blobs.read_link(
        blobs.REPORTS,
        entry.get("blob", f"{event_id}/{report_id}.csv"),
        now=now,
        minutes=_LINK_MINUTES,
        file_name=file_name(report.kind, report.created_at),
    )


def file_name(kind: str, moment: datetime) -> str:
    """Return the file name of a downloaded report."""
    return f"{kind.replace('_', '-')}-{moment:%Y%m%d-%H%M%S}.csv"


def _out(entry: dict[str, Any]) -> ReportOut:
    return ReportOut.model_validate(entry)


def _unready(run: ReportRun) -> ReportOut:
    failed = run.last_error is not None
    return ReportOut(
        id=run.id,
        kind=run.kind,
        status="failed" if failed else "running",
        error=run.last_error,
        retry_at=run.next_attempt_at if failed else None,
        with_bom=run.with_bom,
        schedule_id=run.schedule_id,
        due_at=run.due_at,
        created_at=run.created_at,
    )


def list_schedules(session: Session, event_id: UUID) -> list[ScheduleOut]:
    """Return the event's schedules, the oldest first."""
    schedules = session.scalars(
        select(ReportSchedule).where(ReportSchedule.event_id == event_id).order_by(ReportSchedule.id)
    )
    return [ScheduleOut.model_validate(schedule) for schedule in schedules]


def get_schedule(session: Session, event_id: UUID, schedule_id: UUID) -> ScheduleOut:
    """Return one schedule of the event; raises `NoSuchSchedule`."""
    schedule = session.get(ReportSchedule, (event_id, schedule_id), populate_existing=True)
    if schedule is None:
        raise NoSuchSchedule
    return ScheduleOut.model_validate(schedule)


def lock_schedule(session: Session, event_id: UUID, schedule_id: UUID) -> ReportSchedule | None:
    """Return the schedule, locked until the transaction ends; None if it is gone. Lock it before any of its runs."""
    return session.scalar(
        select(ReportSchedule)
        .where(ReportSchedule.event_id == event_id, ReportSchedule.id == schedule_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
