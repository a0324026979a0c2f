from uuid import UUID

from functions.edge import endpoints
from shared.domain.access.permissions import Permission
from shared.domain.catalog.queries import get_event
from shared.domain.sales import reports
from shared.domain.sales.errors import NoSuchReport, ReportNotReady
from shared.domain.sales.schemas import ReportCreate, ReportList, ReportOut
from shared.kit.http.call import Call, Redirect
from shared.kit.rate_limits import RateLimit
from shared.kit.storage.account import storage_errors

bp = endpoints("Reports")

REPORTS = RateLimit("reports", by="event")


@bp.get("v1/admin/events/{event_id}/reports", permission=Permission.REPORTS_READ)
def list_reports(call: Call) -> ReportList:
    """List the event's report files, the newest first."""
    get_event(call.session, call.event_id)
    with storage_errors():
        return ReportList(items=reports.list_reports(call.event_id))


@bp.post("v1/admin/events/{event_id}/reports", permission=Permission.REPORTS_WRITE, status=201, limit=REPORTS)
def create_report(call: Call, body: ReportCreate) -> ReportOut:
    """Make a report now."""
    get_event(call.session, call.event_id)
    call.unit_of_work.commit()  # the storage is not asked inside a transaction
    with storage_errors():
        return reports.make_report(call.event_id, now=call.now)


@bp.get(
    "v1/admin/events/{event_id}/reports/{report_id}/download",
    permission=Permission.REPORTS_READ,
    status=302,
    refusals=(NoSuchReport, ReportNotReady),
)
def download_report(call: Call, report_id: UUID) -> Redirect:
    """Download a report: redirects to a link that works for ten minutes."""
    with storage_errors():
        return Redirect(reports.download_link(call.event_id, report_id, now=call.now))
