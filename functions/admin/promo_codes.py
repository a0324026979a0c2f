from uuid import UUID

from functions.edge import endpoints
from shared.domain.access.permissions import Permission
from shared.domain.promotions import commands, errors, queries
from shared.domain.promotions.schemas import (
    PromoCodeCreate,
    PromoCodeListQuery,
    PromoCodeOut,
    PromoCodePatch,
    PromoCodeUsage,
)
from shared.kit.cache import cache
from shared.kit.http.call import Call
from shared.kit.pages import Page, PageQuery

bp = endpoints("Promo codes")

_CODES = "v1/admin/events/{event_id}/promo-codes"


@bp.post(
    _CODES,
    permission=Permission.PROMO_CODES_WRITE,
    status=201,
    location=f"/api/{_CODES}/{{id}}",
    refusals=(errors.PromoCodeTaken,),
)
def create_promo_code(call: Call, body: PromoCodeCreate) -> PromoCodeOut:
    """Add a promo code to the event; it is active."""
    promo_code_id = commands.create_promo_code(call.session, call.event_id, body, actor=call.actor, now=call.now)
    return queries.get_promo_code(call.session, call.event_id, promo_code_id)


@bp.get(_CODES, permission=Permission.PROMO_CODES_READ)
def list_promo_codes(call: Call, query: PromoCodeListQuery) -> Page[PromoCodeOut]:
    """List the event's promo codes, the newest first."""
    return queries.list_promo_codes(call.session, call.event_id, query)


@bp.get(f"{_CODES}/{{promo_code_id}}", permission=Permission.PROMO_CODES_READ, refusals=(errors.NoSuchPromoCode,))
def get_promo_code(call: Call, promo_code_id: UUID) -> PromoCodeOut:
    """Read one promo code."""
    return queries.get_promo_code(call.session, call.event_id, promo_code_id)


@bp.patch(
    f"{_CODES}/{{promo_code_id}}",
    permission=Permission.PROMO_CODES_WRITE,
    refusals=(errors.NoSuchPromoCode, errors.UsesBelowRedeemed),
)
def update_promo_code(call: Call, promo_code_id: UUID, body: PromoCodePatch) -> PromoCodeOut:
    """Change some fields of a promo code; `is_active: false` deactivates it."""
    code = commands.update_promo_code(
        call.session, call.event_id, promo_code_id, body, actor=call.actor, if_match=call.if_match, now=call.now
    )
    call.unit_of_work.after_commit(lambda: cache().drop(queries.cache_key(call.event_id, code)))
    return queries.get_promo_code(call.session, call.event_id, promo_code_id)


@bp.delete(
    f"{_CODES}/{{promo_code_id}}",
    permission=Permission.PROMO_CODES_WRITE,
    status=204,
    refusals=(errors.NoSuchPromoCode, errors.PromoCodeRedeemed),
)
def delete_promo_code(call: Call, promo_code_id: UUID) -> None:
    """Delete a promo code that nobody has used; a redeemed one can only be deactivated."""
    code = commands.delete_promo_code(call.session, call.event_id, promo_code_id, actor=call.actor, now=call.now)
    call.unit_of_work.after_commit(lambda: cache().drop(queries.cache_key(call.event_id, code)))


@bp.get(
    f"{_CODES}/{{promo_code_id}}/usage",
    permission=Permission.PROMO_CODES_READ,
    refusals=(errors.NoSuchPromoCode,),
)
def get_promo_code_usage(call: Call, promo_code_id: UUID, query: PageQuery) -> PromoCodeUsage:
    """See how often a code was used, by whom and when, and how much it took off in total."""
    return queries.get_usage(call.session, call.event_id, promo_code_id, query)
