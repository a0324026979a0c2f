"""Rate limits at the edge (R-OPS-3): by user, by event for the team's changes, by address for what invites guessing."""

from shared.kit.http.call import Call
from shared.kit.http.problems import TooManyRequests
from shared.kit.rate_limits import RateLimit, rate_limiter

USER_REQUESTS = RateLimit("user_requests")
EVENT_WRITES = RateLimit("event_writes")


def count_user(call: Call) -> None:
    """Count a request of whoever is signed in; raises `TooManyRequests` when it is one too many."""
    if call.actor.user_id is not None:
        _hit(USER_REQUESTS, str(call.actor.user_id))


def count_change(call: Call) -> None:
    """Count a change of the event by its team; raises `TooManyRequests`."""
    if call.event is not None:
        _hit(EVENT_WRITES, str(call.event))


def count(limit: RateLimit, call: Call) -> None:
    """Count this call by address, and by event where the path names one; raises `TooManyRequests`."""
    _hit(limit, *_caller(call))


def require_below(limit: RateLimit, call: Call) -> None:
    """Raise `TooManyRequests` when the caller has used the limit up; counts nothing."""
    exceeded = rate_limiter().test(limit, *_caller(call))
    if exceeded is not None:
        raise TooManyRequests(exceeded)


def _hit(limit: RateLimit, *key: str) -> None:
    exceeded = rate_limiter().hit(limit, *key)
    if exceeded is not None:
        raise TooManyRequests(exceeded)


def _caller(call: Call) -> tuple[str, str]:
    return call.address, str(call.event or "")
