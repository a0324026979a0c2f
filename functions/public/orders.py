from contextlib import nullcontext
from uuid import UUID

from functions.edge import ORDER_LINK, drop_what_buyers_change, endpoints, forget_promo_code, open_order
from shared.domain.access.permissions import Permission
from shared.domain.orders import errors, queries
from shared.domain.orders.placing.basket import SalesChannel
from shared.domain.orders.placing.commands import REFUSALS, place_order
from shared.domain.orders.schemas import OrderOut, OrderPlace, PlacedOrderOut
from shared.domain.orders.settings import order_settings
from shared.domain.payments.providers import online_provider
from shared.domain.promotions import errors as promo_errors
from shared.domain.promotions.settings import promotion_settings
from shared.kit.db.unit_of_work import raw_connection
from shared.kit.http.call import Call
from shared.kit.http.limiting import counting_misses
from shared.kit.http.problems import TooManyRequests
from shared.kit.rate_limits import RateLimit
from shared.kit.settings.app import app_settings

bp = endpoints("Orders", after_write=drop_what_buyers_change)

# Only orders with an unknown code count, so that this does not limit sales.
PROMO_GUESSES = RateLimit("promo_guesses", lambda: promotion_settings().rate_limit_promo_guesses)
ORDERS = RateLimit("orders", lambda: order_settings().rate_limit_orders)


def _online() -> SalesChannel:
    """Return the sales channel of buyers, with their ways to pay."""
    return SalesChannel(
        paid_at_once=frozenset({"test"} if app_settings().is_local else ()),
        paid_later=frozenset({"card"} if online_provider() else ()),
    )


def _replay(call: Call, order_id: UUID) -> PlacedOrderOut:
    return queries.get_placed_order(call.session, call.event_id, order_id)


@bp.post(
    "v1/public/events/{event_id}/orders",
    permission=Permission.PUBLIC,
    status=201,
    location="/api/v1/public/orders/{id}",
    header_fields={"X-Order-Token": "access_token"},
    replay=_replay,
    limit=ORDERS,
    refusals=(*REFUSALS, TooManyRequests),
)
def place_public_order(call: Call, body: OrderPlace) -> PlacedOrderOut:
    """Buy tickets: everything that the order asks for, or nothing.

    The answer holds the tickets, each with its signed code, and the `access_token` that opens the order later
    (`X-Order-Token`). A `sold_out` refusal says how many remain.
    """
    # A new buyer must be in the database before an order can refer to them. The commit also gives the session's
    # connection back: requests that hold one connection while they wait for a second can exhaust the pool.
    call.unit_of_work.commit()
    forget_promo_code(call, body.promo_code)
    names_code = body.promo_code is not None
    guess = counting_misses(PROMO_GUESSES, call, promo_errors.PromoCodeUnknown) if names_code else nullcontext()
    with guess, raw_connection() as connection:
        return place_order(
            connection,
            call.event_id,
            body,
            actor=call.actor,
            idempotency=call.idempotency,
            channel=_online(),
            now=call.now,
        )


@bp.get(
    "v1/public/orders/{order_id}",
    permission=Permission.PUBLIC,
    headers=ORDER_LINK,
    refusals=(errors.NoSuchOrder,),
)
def get_public_order(call: Call, order_id: UUID) -> OrderOut:
    """Read an order, with its `X-Order-Token` or signed in as its customer."""
    return open_order(call, order_id)
