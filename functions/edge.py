"""How this app's endpoints are declared: the kit's blueprint with the domain's gate."""

from collections.abc import Callable

from shared.domain.access.commands import admit
from shared.domain.access.permissions import Permission
from shared.domain.catalog.queries import package_list_keys
from shared.domain.sales.queries import counts_key
from shared.kit.cache import cache
from shared.kit.http.blueprint import Blueprint
from shared.kit.http.call import Call


def endpoints(tag: str, *, after_write: Callable[[Call], None] | None = None) -> Blueprint:
    """Return a blueprint whose routes appear under `tag`; `after_write` runs when one of them has changed something."""
    return Blueprint(tag, gate=admit, public=Permission.PUBLIC, after_write=after_write)


def drop_package_list(call: Call) -> None:
    """Forget the cached list of the event's packages, and how many are sold: something that it shows has changed."""
    if call.event is not None:
        cache().drop(*package_list_keys(call.event), counts_key(call.event))
