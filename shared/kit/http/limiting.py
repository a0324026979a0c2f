"""Rate limits at the edge: by address, and by event where the path names one."""

from shared.kit.http.call import Call
from shared.kit.http.problems import TooManyRequests
from shared.kit.rate_limits import RateLimit, rate_limiter


def count(limit: RateLimit, call: Call) -> None:
    """Count this call; raises `TooManyRequests` when it is one too many."""
    exceeded = rate_limiter().hit(limit, *_caller(call))
    if exceeded is not None:
        raise TooManyRequests(exceeded)


def require_below(limit: RateLimit, call: Call) -> None:
    """Raise `TooManyRequests` when the caller has used the limit up; counts nothing."""
    exceeded = rate_limiter().test(limit, *_caller(call))
    if exceeded is not None:
        raise TooManyRequests(exceeded)


def _caller(call: Call) -> tuple[str, str]:
    return call.address, str(call.event or "")
