from uuid import UUID

from functions.edge import endpoints
from shared.domain.access.errors import NoSuchEvent
from shared.domain.access.permissions import Permission
from shared.domain.catalog import queries
from shared.domain.catalog.errors import NoSuchPackage
from shared.domain.catalog.schemas import Availability, PublicEventOut, PublicPackageListQuery, PublicPackageOut
from shared.kit.http.call import Call, Rendered
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
def list_public_packages(call: Call, query: PublicPackageListQuery) -> Rendered[Page[PublicPackageOut]]:
    """List the event's enabled ticket packages, in display order."""
    return Rendered(queries.public_package_list(call.session, call.event_id, query))


@bp.get(
    "v1/public/events/{event_id}/ticket-packages/{package_id}/availability",
    permission=Permission.PUBLIC,
    refusals=(NoSuchPackage,),
)
def get_availability(call: Call, package_id: UUID) -> Availability:
    """See whether a ticket package can be bought now, and if not, why."""
    return queries.get_availability(call.session, call.event_id, package_id, now=call.now, for_public=True)
