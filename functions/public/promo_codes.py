from functions.edge import endpoints
from shared.domain.access.errors import NoSuchEvent
from shared.domain.access.permissions import Permission
from shared.domain.promotions import queries
from shared.domain.promotions.schemas import PromoCodePreview, PromoCodePreviewOut
from shared.domain.promotions.settings import promotion_settings
from shared.kit.http.call import Call
from shared.kit.rate_limits import RateLimit

bp = endpoints("Public")

PROMO_PREVIEWS = RateLimit("promo_previews", lambda: promotion_settings().rate_limit_promo_previews)


@bp.post(
    "v1/public/events/{event_id}/promo-codes/validate",
    permission=Permission.PUBLIC,
    refusals=(NoSuchEvent,),
    limit=PROMO_PREVIEWS,
)
def validate_promo_code(call: Call, body: PromoCodePreview) -> PromoCodePreviewOut:
    """See what a promo code would take off, or why it takes off nothing. Only the purchase itself is binding."""
    return queries.preview(call.session, call.event_id, body, actor=call.actor, now=call.now)
