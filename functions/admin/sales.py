from functions.edge import endpoints
from shared.domain.access.permissions import Permission
from shared.domain.sales import queries
from shared.domain.sales.schemas import SalesSummary, SummaryQuery
from shared.kit.http.call import Call

bp = endpoints("Sales")


@bp.get("v1/admin/events/{event_id}/ticket-packages/sales-summary", permission=Permission.SALES_READ, polling_ms=3000)
def get_sales_summary(call: Call, query: SummaryQuery) -> SalesSummary:
    """Read what the event has sold; a sale shows within 3 seconds, so polling more often brings nothing."""
    return queries.get_summary(call.session, call.event_id, sponsorships_only=query.sponsorships_only, now=call.now)
