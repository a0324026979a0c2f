"""Asks for reports, now or by a schedule. Nothing here commits.

Locks: a schedule before its runs, the audit chain last.
"""

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from shared.domain.access.errors import PermissionMissing
from shared.domain.access.permissions import Role
from shared.domain.access.queries import list_members
from shared.domain.audit.commands import Entity, record
from shared.domain.catalog.queries import get_event
from shared.domain.catalog.schemas import EventOut
from shared.domain.reports.errors import NoSuchSchedule, ScheduleIncomplete, TooManySchedules
from shared.domain.reports.kinds.all import KINDS
from shared.domain.reports.models import ReportRun, ReportSchedule
from shared.domain.reports.queries import lock_schedule
from shared.domain.reports.removal import plan_removal
from shared.domain.reports.rules import NEEDS, Rhythm, Setting, next_run
from shared.domain.reports.schemas import ReportCreate, ScheduleCreate, SchedulePatch
from shared.domain.reports.settings import report_settings
from shared.domain.reports.writing import LEASE
from shared.kit.actor import Actor
from shared.kit.errors import InputFault, InvalidInput
from shared.kit.ids import new_id
from shared.kit.versions import IfMatch, require_version

SCHEDULES_AT_MOST = 20


def ask_for_report(session: Session, event_id: UUID, body: ReportCreate, *, actor: Actor, now: datetime) -> ReportRun:
    """Add a run for a report, already taken: the caller writes the report after the commit; otherwise a timer does.

    Raises `PermissionMissing` for a kind that the actor may not read.
    """
    get_event(session, event_id)
    require_kinds(actor, [body.kind])
    run = ReportRun(
        event_id=event_id,
        id=new_id(),
        kind=body.kind,
        cause="asked",
        with_bom=body.with_bom,
        due_at=now,
        asked_by=actor.user_id,
        created_at=now,
        attempts=1,
        next_attempt_at=now + LEASE,
    )
    session.add(run)
    session.flush()
    return run


def require_kinds(actor: Actor, kinds: Sequence[str]) -> None:
    """Raise `PermissionMissing` unless the actor may read the data of all these kinds of report."""
    for kind in kinds:
        if not actor.may(KINDS[kind].permission):
            raise PermissionMissing(f"A report of the kind {kind} needs the permission {KINDS[kind].permission}.")


def create_schedule(session: Session, event_id: UUID, body: ScheduleCreate, *, actor: Actor, now: datetime) -> UUID:
    """Have reports written automatically; returns the schedule's id.

    Raises `PermissionMissing`, `ScheduleIncomplete` or `TooManySchedules`.
    """
    event = get_event(session, event_id)
    require_kinds(actor, body.kinds)
    _require_coordinators(session, event_id, body.notify)
    # One at a time: otherwise two requests at once could count the same number, and both add a schedule.
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"report-schedules:{event_id}", 0))))
    present = session.scalar(
        select(func.count()).select_from(ReportSchedule).where(ReportSchedule.event_id == event_id)
    )
    if (present or 0) >= SCHEDULES_AT_MOST:
        raise TooManySchedules
    schedule = ReportSchedule(
        event_id=event_id,
        id=new_id(),
        local_time=_time(body.local_time),
        created_by=actor.user_id,
        created_at=now,
        updated_at=now,
        version=1,
        **body.model_dump(exclude={"local_time"}),
    )
    _require_complete(schedule)
    reckon(schedule, event, now=now)
    session.add(schedule)
    made = {"created": (None, body.model_dump())}
    record(session, event_id, Entity.REPORT_SCHEDULE, schedule.id, made, actor=actor, now=now)
    return schedule.id


def update_schedule(
    session: Session,
    event_id: UUID,
    schedule_id: UUID,
    body: SchedulePatch,
    *,
    actor: Actor,
    if_match: IfMatch,
    now: datetime,
) -> None:
    """Change the given fields and the time of the next run; the next timer removes files that are no longer kept."""
    event = get_event(session, event_id)
    schedule = _lock(session, event_id, schedule_id)
    require_version(schedule.version, if_match)
    given: dict[str, Any] = body.model_dump(exclude_unset=True)
    require_kinds(actor, given.get("kinds", schedule.kinds))
    _require_coordinators(session, event_id, given.get("notify", []))
    if "local_time" in given:
        given["local_time"] = _time(given["local_time"])
    changed = {name: (getattr(schedule, name), value) for name, value in given.items()}
    if given.get("frequency", schedule.frequency) != schedule.frequency:
        schedule.last_due_at = None  # a daily run, say, does not count as the one run after the event
    for name, value in given.items():
        setattr(schedule, name, value)
    _require_complete(schedule)
    reckon(schedule, event, now=now)
    schedule.version += 1
    schedule.updated_at = now
    session.flush()
    if {"keep_days", "keep_files"} & given.keys():
        plan_removal(session, schedule)
    record(session, event_id, Entity.REPORT_SCHEDULE, schedule_id, changed, actor=actor, now=now)


def delete_schedule(session: Session, event_id: UUID, schedule_id: UUID, *, actor: Actor, now: datetime) -> None:
    """Delete a schedule; its files are now kept as long as reports that a person asked for."""
    schedule = _lock(session, event_id, schedule_id)
    keep = timedelta(days=report_settings().report_keep_days)
    session.execute(
        update(ReportRun)
        .where(ReportRun.event_id == event_id, ReportRun.schedule_id == schedule_id)
        .values(schedule_id=None, remove_at=func.least(ReportRun.remove_at, ReportRun.finished_at + keep))
    )
    gone = {"deleted": ({"kinds": schedule.kinds, "frequency": schedule.frequency}, None)}
    session.delete(schedule)
    record(session, event_id, Entity.REPORT_SCHEDULE, schedule_id, gone, actor=actor, now=now)


def reckon(schedule: ReportSchedule, event: EventOut, *, now: datetime) -> None:
    """Set when the schedule is due next, by the event's present zone and end."""
    rhythm = Rhythm(schedule.frequency, schedule.local_time, schedule.weekday)  # type: ignore[arg-type]  # constraints
    setting = Setting(ZoneInfo(event.timezone), event.ends_at)
    due = next_run(rhythm, setting, after=now, last_due=schedule.last_due_at) if schedule.is_active else None
    schedule.next_run_at, schedule.reckoned_zone, schedule.reckoned_end = due, event.timezone, event.ends_at


def _time(written: str | None) -> time | None:
    return None if written is None else time.fromisoformat(written)


def _require_complete(schedule: ReportSchedule) -> None:
    """Check the time and weekday against the frequency; one error names all faults."""
    needs = NEEDS[schedule.frequency]  # type: ignore[index]  # held by the schema
    faults = []
    for field in ("local_time", "weekday"):
        is_there, is_needed = getattr(schedule, field) is not None, field in needs
        if is_there != is_needed:
            wrong = "needs this" if is_needed else "does not use this: leave it out, or send null"
            faults.append(InputFault(f"/{field}", f"{schedule.frequency} {wrong}", ScheduleIncomplete.code))
    if faults:
        raise ScheduleIncomplete(faults=faults)


def _require_coordinators(session: Session, event_id: UUID, addresses: Sequence[str]) -> None:
    if not addresses:
        return
    coordinators = {member.email for member in list_members(session, event_id) if member.role is Role.COORDINATOR}
    faults = [
        InputFault(f"/notify/{index}", "is not a coordinator of this event", "not_a_coordinator")
        for index, address in enumerate(addresses)
        if address not in coordinators
    ]
    if faults:
        raise InvalidInput("Only coordinators of the event can be notified of its reports.", faults=faults)


def _lock(session: Session, event_id: UUID, schedule_id: UUID) -> ReportSchedule:
    schedule = lock_schedule(session, event_id, schedule_id)
    if schedule is None:
        raise NoSuchSchedule
    return schedule
