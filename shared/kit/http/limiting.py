"""Rate limits at the edge (R-OPS-3): by user, by event for the team's changes, by address for what invites guessing."""

from collections.abc import Iterator
from contextlib import contextmanager

from shared.kit.errors import Refusal
from shared.kit.http.call import Call
from shared.kit.http.problems import TooManyRequests
from shared.kit.rate_limits import RateLimit, rate_limiter
from shared.kit.settings.http import http_settings

USER_REQUESTS = RateLimit("user_requests", lambda: http_settings().rate_limit_user_requests)
EVENT_WRITES = RateLimit("event_writes", lambda: http_settings().rate_limit_event_writes, by="event")


def count_user(call: Call, *, here: bool = False) -> str | None:
    """Count a request of whoever is signed in and return the limit's policy; raises `TooManyRequests`.

    `here`: by this process alone, for polls: they would cost more on their way to Redis than in all else.
    """
    return None if call.actor.user_id is None else _hit(USER_REQUESTS, str(call.actor.user_id), here=here)


def count(limit: RateLimit, call: Call) -> str | None:
    """Count this call, and return the limit's policy; raises `TooManyRequests` when it is one too many."""
    return _hit(limit, *_caller(limit, call))


@contextmanager
def counting_misses(
    limit: RateLimit, call: Call, *misses: type[Refusal], lets_hits_pass: bool = False
) -> Iterator[None]:
    """Count what turns out to be a wrong guess; raises `TooManyRequests`.

    Who has guessed too often is refused before he guesses again, or, with `lets_hits_pass`, only if he is wrong again:
    for what others behind the same address must not be kept from.
    """
    if not lets_hits_pass:
        exceeded = rate_limiter().test(limit, *_caller(limit, call))
        if exceeded is not None:
            raise TooManyRequests(exceeded)
    try:
        yield
    except misses:
        count(limit, call)
        raise


def _hit(limit: RateLimit, *key: str, here: bool = False) -> str | None:
    limiter = rate_limiter()
    exceeded = limiter.hit(limit, *key, here=here)
    if exceeded is not None:
        raise TooManyRequests(exceeded)
    return limiter.policy(limit)


def _caller(limit: RateLimit, call: Call) -> tuple[str, ...]:
    event = str(call.event or "")
    return (call.address, event) if limit.by == "address" else (event,)
