"""Telling those who asked that a schedule's files are there: an outbox row each, written as the last run ends."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.domain.reports.messages import REPORT_NOTICE
from shared.domain.reports.models import ReportRun, ReportSchedule
from shared.kit.db.unit_of_work import driver_connection
from shared.kit.outbox.writing import enqueue


def tell_when_all_are_done(session: Session, schedule: ReportSchedule, *, due_at: datetime, now: datetime) -> None:
    """Write the notices of what fell due at `due_at`, unless some of it has still to be written.

    Called once by each run, at its end, under the schedule's lock; so the last to end writes them, and nobody else.
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
