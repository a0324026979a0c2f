from uuid import UUID

from functions.edge import endpoints
from shared.domain.access.permissions import Permission
from shared.domain.audit import archives, queries
from shared.domain.audit.errors import NoSuchArchive
from shared.domain.audit.schemas import AuditArchiveOut, AuditEntryOut, AuditQuery, ChainReport
from shared.domain.catalog.errors import NoSuchPackage
from shared.domain.catalog.queries import get_event
from shared.kit.http.call import Call, Redirect
from shared.kit.pages import Page, PageQuery
from shared.kit.storage.account import storage_errors

bp = endpoints("Audit")


@bp.get("v1/admin/events/{event_id}/audit-trail", permission=Permission.AUDIT_READ)
def list_audit_trail(call: Call, query: AuditQuery) -> Page[AuditEntryOut]:
    """List what was changed in the event, by whom and when, the newest change first."""
    get_event(call.session, call.event_id)
    return queries.list_entries(call.session, call.event_id, query)


@bp.get("v1/admin/events/{event_id}/audit-trail/verify", permission=Permission.AUDIT_READ)
def verify_audit_trail(call: Call) -> ChainReport:
    """Verify that nobody has changed, removed or inserted an entry of the trail, and name the first wrong one."""
    get_event(call.session, call.event_id)
    return queries.verify_chain(call.session, call.event_id)


@bp.get("v1/admin/events/{event_id}/audit-trail/archives", permission=Permission.AUDIT_READ)
def list_audit_archives(call: Call, query: PageQuery) -> Page[AuditArchiveOut]:
    """List the closed months of the trail that are in the archive, the newest month first."""
    get_event(call.session, call.event_id)
    return archives.list_archives(call.session, call.event_id, query)


@bp.get(
    "v1/admin/events/{event_id}/audit-trail/archives/{month}/download",
    permission=Permission.AUDIT_READ,
    status=302,
    refusals=(NoSuchArchive,),
)
def download_audit_archive(call: Call, month: str) -> Redirect:
    """Download a month (such as 2027-04) of the trail: the answer redirects to a link that works for ten minutes."""
    with storage_errors():
        return Redirect(archives.download_link(call.session, call.event_id, month, now=call.now))


@bp.get(
    "v1/admin/events/{event_id}/ticket-packages/{package_id}/audit-trail",
    permission=Permission.AUDIT_READ,
    refusals=(NoSuchPackage,),
)
def list_package_audit_trail(call: Call, package_id: UUID, query: PageQuery) -> Page[AuditEntryOut]:
    """List what was changed in a ticket package, the newest change first; this also works for a deleted package."""
    trail = queries.list_package_entries(call.session, call.event_id, package_id, query)
    if trail.total == 0:
        raise NoSuchPackage  # every package has at least the entry of its creation
    return trail
