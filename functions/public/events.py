from functions.edge import endpoints
from shared.domain.access.errors import NoSuchEvent
from shared.domain.access.permissions import Permission
from shared.domain.catalog import queries
from shared.domain.catalog.schemas import PublicEventOut, PublicPackageListQuery, PublicPackageOut
from shared.kit.http.call import Call
from shared.kit.pages import Page, PageQuery

bp = endpoints("Public")


@bp.get("v1/public/events", permission=Permission.PUBLIC)
def list_public_events(call: Call, query: PageQuery) -> Page[PublicEventOut]:
    """List the published events, the next one first."""
    return queries.list_published(call.session, query)


@bp.get("v1/public/events/{slug}", permission=Permission.PUBLIC, refusals=(NoSuchEvent,))
def get_public_event(call: Call, slug: str) -> PublicEventOut:
    """Read one published event by its slug."""
    return queries.get_published(call.session, slug)


@bp.get("v1/public/events/{event_id}/ticket-packages", permission=Permission.PUBLIC, refusals=(NoSuchEvent,))
def list_public_packages(call: Call, query: PublicPackageListQuery) -> Page[PublicPackageOut]:
    """List what can be bought, in display order."""
    return queries.list_public_packages(call.session, call.event_id, query)
