"""How this app declares its endpoints: with the kit's blueprint and the domain's gate, and with a gate for buyers."""

from collections.abc import Callable
from functools import lru_cache
from uuid import UUID

from shared.domain.access.commands import admit
from shared.domain.access.permissions import Permission
from shared.domain.catalog.queries import package_list_keys
from shared.domain.orders import queries
from shared.domain.orders.errors import NoSuchOrder
from shared.domain.orders.schemas import OrderOut
from shared.domain.orders.settings import order_settings
from shared.domain.promotions.queries import cache_key
from shared.domain.sales.queries import counts_key
from shared.kit.cache import cache
from shared.kit.http.blueprint import Blueprint
from shared.kit.http.call import Call
from shared.kit.http.limiting import counting_misses
from shared.kit.rate_limits import RateLimit

ORDER_LINK = {"X-Order-Token": "The order's `access_token`; not needed when signed in as its customer."}
"""The header with which buyers open an order, as routes declare it."""
_ORDER_LINKS = RateLimit("order_links", lambda: order_settings().rate_limit_order_links)


def endpoints(tag: str, *, after_write: Callable[[Call], None] | None = None) -> Blueprint:
    """Return a blueprint whose routes appear under `tag`; `after_write` runs after a route that changes something."""
    return Blueprint(tag, gate=admit, public=Permission.PUBLIC, after_write=after_write)


def open_order(call: Call, order_id: UUID, *, to_pay: bool = False) -> OrderOut:
    """Return an order, if the caller has its link or is its signed-in customer; wrong links are counted.

    With `to_pay` a right link always passes, even if many wrong ones came from the same address. Raises `NoSuchOrder`
    or `TooManyRequests`.
    """
    with counting_misses(_ORDER_LINKS, call, NoSuchOrder, lets_hits_pass=to_pay):
        return reopen_order(call, order_id)


def lock_order(call: Call, order_id: UUID) -> UUID:
    """Lock an order until the transaction ends, for the same callers as `open_order`; returns its event's id."""
    with counting_misses(_ORDER_LINKS, call, NoSuchOrder):
        return queries.lock_order(call.session, order_id, actor=call.actor, token=_link_of(call))


def reopen_order(call: Call, order_id: UUID) -> OrderOut:
    """Return an order as it is now, after `open_order` or `lock_order`; a wrong link is refused, but not counted."""
    return queries.get_order(call.session, order_id, actor=call.actor, token=_link_of(call))


def _link_of(call: Call) -> str | None:
    return call.headers.get("x-order-token")


def forget_promo_code(call: Call, code: str | None) -> None:
    """Drop a promo code from the cache after the commit, because the order redeems it."""
    if code is not None:
        key = cache_key(call.event_id, code.strip().upper())
        call.unit_of_work.after_commit(lambda: cache().drop(key))


def drop_package_list(call: Call) -> None:
    """Drop the cached list of the event's packages and their sales counts, because something in them has changed."""
    if call.event is not None:
        drop_package_list_of(call.event)


def drop_package_list_of(event_id: UUID) -> None:
    """Do the same for an event that the request's path does not name."""
    cache().drop(*_shown_of(event_id))


def drop_what_buyers_change(call: Call) -> None:
    """Do the same after an order; in a rush of orders, once for many of them."""
    cache().drop_in_a_rush(*_shown_of(call.event_id))


@lru_cache(maxsize=100)
def _shown_of(event_id: UUID) -> tuple[str, ...]:
    return (*package_list_keys(event_id), counts_key(event_id))
