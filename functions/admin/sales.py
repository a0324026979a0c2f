from uuid import UUID

from functions.edge import endpoints
from shared.domain.access.permissions import Permission
from shared.domain.catalog.errors import NoSuchPackage
from shared.domain.sales import dashboard, queries
from shared.domain.sales.dashboard_schemas import Dashboard
from shared.domain.sales.details import get_details
from shared.domain.sales.schemas import DetailsQuery, SalesCount, SalesDetails, SalesSummary, SummaryQuery
from shared.kit.http.call import Call

bp = endpoints("Sales")


_PACKAGE = "v1/admin/events/{event_id}/ticket-packages/{package_id}"


@bp.get("v1/admin/events/{event_id}/ticket-packages/sales-summary", permission=Permission.SALES_READ, polling_ms=3000)
def get_sales_summary(call: Call, query: SummaryQuery) -> SalesSummary:
    """Read what the event has sold; a sale shows within 3 seconds, so polling more often brings no newer figures."""
    only = query.sponsorships_only
    seen = queries.seen_summary(call.event_id, sponsorships_only=only, now=call.now)
    return seen or queries.get_summary(call.session, call.event_id, sponsorships_only=only, now=call.now)


@bp.get(f"{_PACKAGE}/sales-details", permission=Permission.SALES_READ, refusals=(NoSuchPackage,))
def get_sales_details(call: Call, package_id: UUID, query: DetailsQuery) -> SalesDetails:
    """List a package's purchases, the newest first: buyer, time, guests, promo code and final price."""
    return get_details(call.session, call.event_id, package_id, query, now=call.now)


@bp.get(f"{_PACKAGE}/sales-count", permission=Permission.SALES_READ, polling_ms=3000, refusals=(NoSuchPackage,))
def get_sales_count(call: Call, package_id: UUID) -> SalesCount:
    """Read how much of a package is sold; a sale shows within 3 seconds."""
    return queries.get_count(call.session, call.event_id, package_id, now=call.now)


@bp.get("v1/admin/events/{event_id}/dashboard", permission=Permission.SALES_READ, polling_ms=5000)
def get_dashboard(call: Call) -> Dashboard:
    """Read how the sale goes: today and the last days, packages, promo codes, refunds, and what needs attention."""
    return dashboard.get_dashboard(call.session, call.event_id, now=call.now)
