"""Rate limits: how often one caller may ask for something that invites guessing.

Calls are counted in Redis, for all workers together. While Redis is away, each process counts its own calls, so an
outage neither removes the limits nor locks anybody out.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from shared.kit.redis_server import RedisServer, redis_server
from shared.kit.settings.http import HttpSettings, http_settings

if TYPE_CHECKING:
    import redis
    from limits import RateLimitItem
    from limits.strategies import MovingWindowRateLimiter

_GENEROUS = 100


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A limit by its name, which is also in the name of its setting: `RATE_LIMIT_<NAME>`."""

    name: str
    allows: Callable[[], str | None]
    """Reads the setting, such as `30/minute`; None allows everything."""
    by: Literal["address", "event"] = "address"
    """Which calls are counted together: those of one address (for the path's event, if any), or all for one event."""


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A caller has asked too often."""

    name: str
    policy: str
    retry_after_seconds: int


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a limit allows here."""

    item: "RateLimitItem"
    policy: str
    """The value for the header `RateLimit-Policy`: the limit's name, quota, and window in seconds."""


class RateLimiter:
    """Counts calls in moving windows."""

    def __init__(self, config: HttpSettings, server: RedisServer) -> None:
        self._config = config
        self._server = server
        self._rules: dict[str, _Rule | None] = {}
        self._shared: MovingWindowRateLimiter | None = None
        self._local: MovingWindowRateLimiter | None = None

    def hit(self, limit: RateLimit, *key: str, here: bool = False) -> Exceeded | None:
        """Count one call of the caller `key`; return `Exceeded` if it is over the limit (then it does not count).

        `here`: count in this process alone, as if there were no Redis.
        """
        return self._ask(limit, key, count=True, here=here)

    def test(self, limit: RateLimit, *key: str) -> Exceeded | None:
        """Return `Exceeded` if the caller has used up the limit, without counting a call."""
        return self._ask(limit, key, count=False)

    def policy(self, limit: RateLimit) -> str | None:
        """Return the limit's value for `RateLimit-Policy`, or None if it allows everything."""
        rule = self._rule(limit)
        return None if rule is None else rule.policy

    def _ask(self, limit: RateLimit, key: tuple[str, ...], *, count: bool, here: bool = False) -> Exceeded | None:
        rule = self._rule(limit)
        if rule is None:
            return None
        told = None
        if not here:
            told = self._server.attempt(lambda client: _told(self._in_redis(client), rule, key, count=count))
        return (_told(self._in_process(), rule, key, count=count) if told is None else told)[0]

    def _rule(self, limit: RateLimit) -> _Rule | None:
        if limit.name not in self._rules:
            self._rules[limit.name] = self._read(limit)
        return self._rules[limit.name]

    def _read(self, limit: RateLimit) -> _Rule | None:
        text = limit.allows()
        if text is None or self._config.rate_limits == "off":
            return None
        from limits import parse  # noqa: PLC0415 - it takes 140 ms, which a cold start should not wait for

        asked = parse(text)
        more = _GENEROUS if self._config.rate_limits == "generous" else 1
        item = type(asked)(asked.amount * more, asked.multiples, namespace=limit.name)
        return _Rule(item, f'"{limit.name}";q={item.amount};w={item.get_expiry()}')

    def _in_redis(self, client: "redis.Redis") -> "MovingWindowRateLimiter":
        if self._shared is None:
            from limits.storage import RedisStorage  # noqa: PLC0415
            from limits.strategies import MovingWindowRateLimiter  # noqa: PLC0415

            storage = RedisStorage("redis://", connection_pool=client.connection_pool, key_prefix="rate-limits")
            self._shared = MovingWindowRateLimiter(storage)
        return self._shared

    def _in_process(self) -> "MovingWindowRateLimiter":
        if self._local is None:
            from limits.storage import MemoryStorage  # noqa: PLC0415
            from limits.strategies import MovingWindowRateLimiter  # noqa: PLC0415

            self._local = MovingWindowRateLimiter(MemoryStorage())
        return self._local


def _told(
    limiter: "MovingWindowRateLimiter", rule: _Rule, key: tuple[str, ...], *, count: bool
) -> tuple[Exceeded | None]:
    if (limiter.hit if count else limiter.test)(rule.item, *key):
        return (None,)
    free_at = limiter.get_window_stats(rule.item, *key).reset_time
    return (Exceeded(rule.item.namespace, rule.policy, max(1, math.ceil(free_at - time.time()))),)


@lru_cache(maxsize=1)
def rate_limiter() -> RateLimiter:
    """Return the process's limiter."""
    return RateLimiter(http_settings(), redis_server())
