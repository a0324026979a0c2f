from uuid import UUID

from functions.edge import endpoints
from shared.domain.access.errors import PermissionMissing
from shared.domain.access.permissions import Permission
from shared.domain.catalog.queries import get_event
from shared.domain.reports import commands, queries
from shared.domain.reports.errors import (
    NoSuchReport,
    NoSuchSchedule,
    ReportNotReady,
    ScheduleIncomplete,
    TooManySchedules,
)
from shared.domain.reports.exporting import export_now
from shared.domain.reports.kinds.sales import SALES
from shared.domain.reports.schemas import (
    ExportQuery,
    ReportCreate,
    ReportListQuery,
    ReportOut,
    ScheduleCreate,
    ScheduleList,
    ScheduleOut,
    SchedulePatch,
)
from shared.domain.reports.settings import report_settings
from shared.domain.reports.writing import CONTENT_TYPE, write
from shared.kit.db.unit_of_work import UnitOfWork
from shared.kit.http.call import Call, Content, Redirect
from shared.kit.pages import Page
from shared.kit.rate_limits import RateLimit
from shared.kit.storage.account import storage_errors

bp = endpoints("Reports")

REPORTS = RateLimit("reports", lambda: report_settings().rate_limit_reports, by="event")

_REPORTS = "v1/admin/events/{event_id}/reports"
_SCHEDULES = "v1/admin/events/{event_id}/report-schedules"


@bp.get(_REPORTS, permission=Permission.REPORTS_READ)
def list_reports(call: Call, query: ReportListQuery) -> Page[ReportOut]:
    """List the event's reports, the newest first; a failed report says why, and when it is tried again."""
    get_event(call.session, call.event_id)
    with storage_errors():
        return queries.list_reports(call.session, call.event_id, query, actor=call.actor)


@bp.post(_REPORTS, permission=Permission.REPORTS_WRITE, status=201, limit=REPORTS, refusals=(PermissionMissing,))
def create_report(call: Call, body: ReportCreate) -> ReportOut:
    """Make a report now. If its status is `failed`, it is tried again automatically."""
    run = commands.ask_for_report(call.session, call.event_id, body, actor=call.actor, now=call.now)
    call.unit_of_work.commit()  # the storage is not asked inside a transaction
    write(run)
    with storage_errors():
        return queries.report_of(call.session, run)


@bp.get(
    f"{_REPORTS}/{{report_id}}/download",
    permission=Permission.REPORTS_READ,
    status=302,
    refusals=(NoSuchReport, ReportNotReady),
)
def download_report(call: Call, report_id: UUID) -> Redirect:
    """Download a report: the answer redirects to a link that works for ten minutes."""
    with storage_errors():
        return Redirect(queries.download_link(call.session, call.event_id, report_id, actor=call.actor, now=call.now))


@bp.get(
    "v1/admin/events/{event_id}/ticket-packages/export-csv",
    permission=Permission.SALES_READ,
    content_type=CONTENT_TYPE,
    refusals=(ReportNotReady,),
)
def export_sales_csv(call: Call, query: ExportQuery) -> Content | Redirect:
    """Download what was sold until now as CSV, with a row for each ticket.

    Up to 8 MiB (about 80,000 tickets) the answer is the file. A larger file is written as a report, which the list of
    reports shows, and the answer redirects to a link to the file that works for ten minutes.
    """
    get_event(call.session, call.event_id)
    call.unit_of_work.commit()  # the session's connection is given back: the export has one of its own
    file = export_now(call.event_id, SALES, with_bom=query.with_bom)
    if file is not None:
        name = queries.file_name(SALES.name, call.now)
        return Content(file, CONTENT_TYPE, file_name=name, headers={"Cache-Control": "no-store"})
    wanted = ReportCreate(kind="sales", with_bom=query.with_bom)
    with UnitOfWork() as unit_of_work:  # the call's own unit of work can only read
        run = commands.ask_for_report(unit_of_work.session, call.event_id, wanted, actor=call.actor, now=call.now)
        unit_of_work.commit()
    write(run)
    with storage_errors():
        return Redirect(queries.download_link(call.session, call.event_id, run.id, actor=call.actor, now=call.now))


@bp.post(
    _SCHEDULES,
    permission=Permission.REPORTS_WRITE,
    status=201,
    location=f"/api/{_SCHEDULES}/{{id}}",
    refusals=(PermissionMissing, ScheduleIncomplete, TooManySchedules),
)
def create_report_schedule(call: Call, body: ScheduleCreate) -> ScheduleOut:
    """Have reports written automatically: each hour, day or week, or once after the event."""
    schedule_id = commands.create_schedule(call.session, call.event_id, body, actor=call.actor, now=call.now)
    return queries.get_schedule(call.session, call.event_id, schedule_id)


@bp.get(_SCHEDULES, permission=Permission.REPORTS_READ)
def list_report_schedules(call: Call) -> ScheduleList:
    """List the event's report schedules, the oldest first."""
    get_event(call.session, call.event_id)
    return ScheduleList(items=queries.list_schedules(call.session, call.event_id))


@bp.get(f"{_SCHEDULES}/{{schedule_id}}", permission=Permission.REPORTS_READ, refusals=(NoSuchSchedule,))
def get_report_schedule(call: Call, schedule_id: UUID) -> ScheduleOut:
    """Read one report schedule."""
    return queries.get_schedule(call.session, call.event_id, schedule_id)


@bp.patch(
    f"{_SCHEDULES}/{{schedule_id}}",
    permission=Permission.REPORTS_WRITE,
    refusals=(NoSuchSchedule, PermissionMissing, ScheduleIncomplete),
)
def update_report_schedule(call: Call, schedule_id: UUID, body: SchedulePatch) -> ScheduleOut:
    """Change some fields of a report schedule; `is_active: false` pauses it."""
    commands.update_schedule(
        call.session, call.event_id, schedule_id, body, actor=call.actor, if_match=call.if_match, now=call.now
    )
    return queries.get_schedule(call.session, call.event_id, schedule_id)


@bp.delete(
    f"{_SCHEDULES}/{{schedule_id}}",
    permission=Permission.REPORTS_WRITE,
    status=204,
    refusals=(NoSuchSchedule,),
)
def delete_report_schedule(call: Call, schedule_id: UUID) -> None:
    """Delete a report schedule; its files stay for a while (`REPORT_KEEP_DAYS`)."""
    commands.delete_schedule(call.session, call.event_id, schedule_id, actor=call.actor, now=call.now)
