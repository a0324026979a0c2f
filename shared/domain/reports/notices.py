"""Notifies people that a schedule's files are ready: one outbox row for each, written when the last run ends."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.domain.reports.messages import REPORT_NOTICE
from shared.domain.reports.models import ReportRun, ReportSchedule
from shared.kit.db.unit_of_work import driver_connection
from shared.kit.outbox.writing import enqueue


def tell_when_all_are_done(session: Session, schedule: ReportSchedule, *, due_at: datetime, now: datetime) -> None:
    """Write the notices about the reports that were due at `due_at`, unless some of them are still to be written.

    Each run calls this once, when it ends, while it holds the schedule's lock. So only the last run writes the notices.
    """
    if not schedule.notify:
        return
    runs = session.scalars(
        select(ReportRun)
        .where(
            ReportRun.event_id == schedule.event_id, ReportRun.schedule_id == schedule.id, ReportRun.due_at == due_at
        )
        .order_by(ReportRun.kind)
        .execution_options(populate_existing=True)
    ).all()
    if any(run.finished_at is None for run in runs):
        return
    reports = [{"id": run.id, "kind": run.kind, "outcome": run.outcome, "error": run.last_error} for run in runs]
    connection = driver_connection(session)
    for address in schedule.notify:
        told = {"to": address, "due_at": due_at, "reports": reports}
        enqueue(connection, schedule.event_id, REPORT_NOTICE, told, now=now)
