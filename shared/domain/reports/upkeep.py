"""What the timer does for all events: it writes reports that are due, and removes outdated ones (R-SALES-4).

It may run twice, late, at the same time as another run, or be killed. One transaction adds the run of a due report and
moves its schedule on; runs are taken one at a time; and a run that did not end is taken again.
"""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.domain.catalog.queries import get_event
from shared.domain.orders.messages import ORDER_CONFIRMATION
from shared.domain.reports.commands import reckon
from shared.domain.reports.models import ReportRun
from shared.domain.reports.queries import lock_schedule
from shared.domain.reports.removal import remove_outdated
from shared.domain.reports.rules import GOES_ON_FOR
from shared.domain.reports.writing import take_next, write
from shared.kit.clock import utc_now
from shared.kit.db.faults import is_lost_connection
from shared.kit.db.unit_of_work import UnitOfWork
from shared.kit.ids import least_id_at, new_id
from shared.kit.storage.account import storage_errors

log = logging.getLogger(__name__)

_WORK_SECONDS = 300
"""After this time the next run does the rest; the platform stops a function after ten minutes."""

_SETTLED_AFTER = timedelta(seconds=3)
"""Orders commit soon after they get their id. Younger ones wait for the next run, so that none is missed."""

_SALES_FILES_KEPT = 100

_DUE_SCHEDULES = text(
    """
    SELECT s.event_id, s.id FROM report_schedules s JOIN events e ON e.id = s.event_id
     WHERE s.next_run_at <= :now OR (s.is_active AND (s.reckoned_zone, s.reckoned_end) <> (e.timezone, e.ends_at))
     ORDER BY s.next_run_at
    """
)
# Events without schedules; for each event this reads only the ends of two indexes.
_UNREPORTED_SALES = text(
    """
    SELECT e.id AS event_id, news.id AS seen
      FROM events e
      CROSS JOIN LATERAL (SELECT m.id FROM outbox m WHERE m.event_id = e.id AND m.id < :settled
                            AND m.kind = :sale ORDER BY m.id DESC LIMIT 1) AS news
      LEFT JOIN LATERAL (SELECT r.seen, r.due_at FROM report_runs r WHERE r.event_id = e.id AND r.cause = 'sales'
                          ORDER BY r.seen DESC LIMIT 1) AS last ON true
     WHERE e.ends_at > :recently AND (last.seen IS NULL OR (last.seen < news.id AND last.due_at <= :not_since))
       AND NOT EXISTS (SELECT FROM report_schedules s WHERE s.event_id = e.id)
     ORDER BY e.id
    """
)
_TOO_MANY_OF_SALES = text(
    """
    UPDATE report_runs SET remove_at = finished_at
     WHERE event_id = :event_id AND cause = 'sales' AND remove_at > finished_at AND seen < (
           SELECT seen FROM report_runs WHERE event_id = :event_id AND cause = 'sales'
            ORDER BY seen DESC OFFSET :kept LIMIT 1)
    """
)


def keep_reports(*, sales_every: timedelta, clock: Callable[[], datetime] = utc_now) -> int:
    """Write every report that is due, and remove outdated ones; returns how many reports it tried to write.

    An event without schedules gets a sales report after new sales, at most once in `sales_every`.
    """
    plan_schedules(now=clock())
    plan_sales_reports(now=clock(), every=sales_every)
    started, taken = time.monotonic(), 0
    while time.monotonic() - started < _WORK_SECONDS and (run := take_next(now=clock())) is not None:
        taken += 1
        try:
            write(run, clock=clock)
        except Exception as error:
            if is_lost_connection(error):
                raise
            log.exception("The run of report %s of event %s could not be ended", run.id, run.event_id)
    with storage_errors():
        remove_outdated(now=clock())
    return taken


def plan_schedules(*, now: datetime) -> int:
    """Add a run for each kind of every schedule that is due, and move the schedule on; returns how many were due.

    A schedule that is late gets one run of each kind, even if it was due several times since. A schedule that is not
    due yet, or waits for the event's end, only gets a new time when the event's zone or end has changed.
    """
    with UnitOfWork(read_only=True) as unit_of_work:
        due = unit_of_work.session.execute(_DUE_SCHEDULES, {"now": now}).all()
    planned = 0
    for event_id, schedule_id in due:
        try:
            with UnitOfWork() as unit_of_work:
                planned += _plan(unit_of_work.session, event_id, schedule_id, now=now)
                unit_of_work.commit()
        except Exception as error:
            if is_lost_connection(error):
                raise
            log.exception("The report schedule %s of event %s could not be planned", schedule_id, event_id)
    return planned


def _plan(session: Session, event_id: UUID, schedule_id: UUID, *, now: datetime) -> bool:
    """Plan one schedule, under its lock: another timer may have planned it in the meantime."""
    schedule = lock_schedule(session, event_id, schedule_id)
    if schedule is None:
        return False
    event = get_event(session, event_id)
    due_at = schedule.next_run_at
    is_moved = (schedule.reckoned_zone, schedule.reckoned_end) != (event.timezone, event.ends_at)
    if is_moved and (due_at is None or due_at > now or schedule.frequency == "after_event"):
        reckon(schedule, event, now=now)
        due_at = schedule.next_run_at
    if due_at is None or due_at > now:
        return False
    rows = [
        _new_run(event_id, kind, cause="schedule", due_at=due_at, now=now)
        | {"schedule_id": schedule_id, "with_bom": schedule.with_bom}
        for kind in schedule.kinds
    ]
    session.execute(insert(ReportRun).on_conflict_do_nothing(), rows)
    schedule.last_due_at = due_at
    reckon(schedule, event, now=now)
    return True


def plan_sales_reports(*, now: datetime, every: timedelta) -> int:
    """Have a sales report written for each event with sales since its last report; returns how many."""
    moments = {"settled": least_id_at(now - _SETTLED_AFTER), "recently": now - GOES_ON_FOR, "not_since": now - every}
    sale = {"sale": ORDER_CONFIRMATION.name}
    with UnitOfWork() as unit_of_work:
        session = unit_of_work.session
        due = session.execute(_UNREPORTED_SALES, moments | sale).all()
        for event_id, seen in due:
            row = _new_run(event_id, "sales", cause="sales", due_at=now, now=now) | {"seen": seen, "with_bom": False}
            session.execute(insert(ReportRun).values(row).on_conflict_do_nothing())
            session.execute(_TOO_MANY_OF_SALES, {"event_id": event_id, "kept": _SALES_FILES_KEPT - 1})
        unit_of_work.commit()
    return len(due)


def _new_run(event_id: UUID, kind: str, *, cause: str, due_at: datetime, now: datetime) -> dict[str, object]:
    return {
        "event_id": event_id,
        "id": new_id(),
        "kind": kind,
        "cause": cause,
        "due_at": due_at,
        "created_at": now,
        "attempts": 0,
        "next_attempt_at": now,
    }
