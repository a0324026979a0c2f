"""Which report files are removed, and when (R-SALES-4).

When a run ends, its row gets the time at which its report is removed. At that time the report is removed first from the
catalogue, then its file is deleted, and then the run. So nobody is shown a file that is not there, and if the process
is killed in between, the next timer still finds the run.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session

from shared.domain.reports import catalogue
from shared.domain.reports.models import ReportRun, ReportSchedule
from shared.kit.db.unit_of_work import UnitOfWork
from shared.kit.storage import blobs

_AT_ONCE = 100

# Files beyond `keep_files` are removed at once. An interval of null days gives null, which means: never.
_PLAN = text(
    """
    UPDATE report_runs r SET remove_at = planned.remove_at
      FROM (SELECT id, CASE WHEN newer_or_same > :keep_files THEN finished_at
                            ELSE finished_at + make_interval(days => :keep_days) END AS remove_at
              FROM (SELECT id, finished_at, count(*) FILTER (WHERE outcome = 'ready') OVER (
                             PARTITION BY kind ORDER BY due_at DESC, id DESC) AS newer_or_same
                      FROM report_runs
                     WHERE event_id = :event_id AND schedule_id = :schedule_id AND finished_at IS NOT NULL) AS ended
           ) AS planned
     WHERE r.event_id = :event_id AND r.id = planned.id AND r.remove_at IS DISTINCT FROM planned.remove_at
    """
)


def plan_removal(session: Session, schedule: ReportSchedule) -> None:
    """Set again, for each ended run of a schedule, when its report is removed; the caller has locked the schedule."""
    which = {"event_id": schedule.event_id, "schedule_id": schedule.id}
    session.execute(_PLAN, which | {"keep_days": schedule.keep_days, "keep_files": schedule.keep_files})


def remove_outdated(*, now: datetime) -> int:
    """Remove the reports whose `remove_at` has passed, and return how many; errors of the storage pass through."""
    with UnitOfWork(read_only=True) as unit_of_work:
        outdated = unit_of_work.session.execute(
            select(ReportRun.event_id, ReportRun.id)
            .where(ReportRun.remove_at <= now)
            .order_by(ReportRun.remove_at)
            .limit(_AT_ONCE)
        ).all()
    for event_id, report_id in outdated:
        remove(event_id, report_id)
    return len(outdated)


def remove(event_id: UUID, report_id: UUID) -> None:
    """Remove a report: first from the catalogue, then its files, then its run."""
    catalogue.remove(event_id, report_id)
    found, _ = blobs.list_page(blobs.REPORTS, prefix=blob_prefix(event_id, report_id), size=100, marker=None)
    for blob in found:
        blobs.delete_blob(blobs.REPORTS, blob.name)
    with UnitOfWork() as unit_of_work:
        unit_of_work.session.execute(delete(ReportRun).where(ReportRun.event_id == event_id, ReportRun.id == report_id))
        unit_of_work.commit()


def remove_finished_by(event_id: UUID, moment: datetime) -> None:
    """Remove the event's reports whose files were finished by `moment`, because they may hold data that was erased.

    Uses the storage outside any transaction. Doing it twice has the same effect as once. Errors of the storage pass
    through.
    """
    for entry in catalogue.entries(event_id):
        if entry["status"] == "ready" and entry["finished_at"] <= moment:
            remove(event_id, entry["id"])


def blob_prefix(event_id: UUID, report_id: UUID) -> str:
    """Return the beginning of the names of all files of a report."""
    return f"{event_id}/{report_id}."
