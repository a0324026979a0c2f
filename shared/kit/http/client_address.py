"""Where a request comes from, as far as that can be trusted."""

import ipaddress
from collections.abc import Mapping

UNKNOWN = "unknown"


def client_address(headers: Mapping[str, str], *, trusted_hops: int) -> str:
    """Return the client's address as the outermost of our own proxies saw it.

    Each proxy appends to `X-Forwarded-For` the address that it was called from. Entries further left came with the
    request and may be invented. An IPv6 client is known by its /64, because a client that has one address of it has all
    of them (RFC 6177). An IPv6 address that was made from an IPv4 address (mapped, or 6to4: RFC 3056) is known by that
    IPv4 address, because a 6to4 client has a whole /48.
    """
    seen = [entry.strip() for entry in headers.get("x-forwarded-for", "").split(",")]
    if trusted_hops < 1 or len(seen) < trusted_hops:
        return UNKNOWN
    try:
        address = ipaddress.ip_address(_without_port(seen[-trusted_hops]))
    except ValueError:
        return UNKNOWN
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    embedded = address.ipv4_mapped or address.sixtofour
    return str(embedded or ipaddress.ip_network((int(address), 64), strict=False))


def _without_port(entry: str) -> str:
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry
