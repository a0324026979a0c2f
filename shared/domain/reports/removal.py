"""Which report files go, and when (R-SALES-4).

A run that has ended knows when its report goes. Then the catalogue forgets it first, the file is deleted next, the run
last: nobody is shown a file that is not there, and whoever is killed in between leaves the run for the next timer.
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

# What is beyond the number of files goes at once; an interval of null days leaves null, which is for ever.
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
    """Say anew of each ended run of a schedule when its report goes; the schedule is locked by the caller."""
    which = {"event_id": schedule.event_id, "schedule_id": schedule.id}
    session.execute(_PLAN, which | {"keep_days": schedule.keep_days, "keep_files": schedule.keep_files})


def remove_outdated(*, now: datetime) -> int:
    """Remove the reports whose time has come and return how many; raises what the storage raises."""
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
    """Remove a report: from the catalogue, its files, the run."""
    catalogue.remove(event_id, report_id)
    found, _ = blobs.list_page(blobs.REPORTS, prefix=blob_prefix(event_id, report_id), size=100, marker=None)
    for blob in found:
        blobs.delete_blob(blobs.REPORTS, blob.name)
    with UnitOfWork() as unit_of_work:
        unit_of_work.session.execute(delete(ReportRun).where(ReportRun.event_id == event_id, ReportRun.id == report_id))
        unit_of_work.commit()


def remove_finished_by(event_id: UUID, moment: datetime) -> None:
    """Remove the event's reports whose files were there by a moment, because what they tell of is told no more.

    Works on the storage outside any transaction; twice is as once. Raises what the storage raises.
    """
    for entry in catalogue.entries(event_id):
        if entry["status"] == "ready" and entry["finished_at"] <= moment:
            remove(event_id, entry["id"])


def blob_prefix(event_id: UUID, report_id: UUID) -> str:
    """How the names of all files of a report begin."""
    return f"{event_id}/{report_id}."
