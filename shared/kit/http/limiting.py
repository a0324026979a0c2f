"""Rate limits at the edge (R-OPS-3): by user, by event for the team's changes, by address for guesses."""

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
    """Count a request of the signed-in user and return the limit's policy; raises `TooManyRequests`.

    `here`: this process alone counts. It is for polls, which would cost more by asking Redis than by all other work.
    """
    return None if call.actor.user_id is None else _hit(USER_REQUESTS, str(call.actor.user_id), here=here)


def count(limit: RateLimit, call: Call) -> str | None:
    """Count this call, and return the limit's policy; raises `TooManyRequests` when it exceeds the limit."""
    return _hit(limit, *_caller(limit, call))


@contextmanager
def counting_misses(
    limit: RateLimit, call: Call, *misses: type[Refusal], lets_hits_pass: bool = False
) -> Iterator[None]:
    """Count a call that turns out to be a wrong guess; raises `TooManyRequests`.

    A caller that has guessed wrong too often is refused before the next guess. With `lets_hits_pass` it is refused only
    if the next guess is wrong too: other people behind the same address, who guess nothing, must not be locked out.
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
