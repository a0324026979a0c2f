"""How this app's endpoints are declared: the kit's blueprint with the domain's gate."""

from shared.domain.access.commands import admit
from shared.domain.access.permissions import Permission
from shared.kit.http.blueprint import Blueprint


def endpoints(tag: str) -> Blueprint:
    """Return a blueprint whose routes appear under `tag` in the reference."""
    return Blueprint(tag, gate=admit, public=Permission.PUBLIC)
