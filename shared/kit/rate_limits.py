"""Rate limits: how often one caller may ask for something that invites guessing.

They are counted in Redis, for all workers together; while it is away each process counts for itself, so that an outage
neither opens the gates nor shuts anybody out.
"""

import math
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from shared.kit.redis_server import RedisServer, redis_server
from shared.kit.settings import Settings, settings

if TYPE_CHECKING:
    import redis
    from limits import RateLimitItem
    from limits.strategies import MovingWindowRateLimiter

_GENEROUS = 100


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A limit by its name; how much it allows says the setting `rate_limit_<name>`."""

    name: str


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A caller has asked too often."""

    retry_after_seconds: int
    policy: str
    """As the header `RateLimit-Policy` has it: the limit's name, quota and window in seconds."""


class RateLimiter:
    """Counts calls in moving windows."""

    def __init__(self, config: Settings, server: RedisServer) -> None:
        self._config = config
        self._server = server
        self._shared: MovingWindowRateLimiter | None = None
        self._local: MovingWindowRateLimiter | None = None

    def hit(self, limit: RateLimit, *key: str) -> Exceeded | None:
        """Count one call of the caller `key`; tells when it is one too many (which then does not count)."""
        return self._ask(limit, key, count=True)

    def test(self, limit: RateLimit, *key: str) -> Exceeded | None:
        """Tell whether the caller has used the limit up, without counting."""
        return self._ask(limit, key, count=False)

    def _ask(self, limit: RateLimit, key: tuple[str, ...], *, count: bool) -> Exceeded | None:
        if self._config.rate_limits == "off":
            return None
        item = self._item(limit)
        told = self._server.attempt(lambda client: _told(self._in_redis(client), item, key, count=count))
        return (_told(self._in_process(), item, key, count=count) if told is None else told)[0]

    def _item(self, limit: RateLimit) -> "RateLimitItem":
        from limits import parse  # noqa: PLC0415 - 140 ms that a cold start need not wait for

        item = parse(getattr(self._config, f"rate_limit_{limit.name}"))
        more = _GENEROUS if self._config.rate_limits == "generous" else 1
        return type(item)(item.amount * more, item.multiples, namespace=limit.name)

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
    limiter: "MovingWindowRateLimiter", item: "RateLimitItem", key: tuple[str, ...], *, count: bool
) -> tuple[Exceeded | None]:
    if (limiter.hit if count else limiter.test)(item, *key):
        return (None,)
    free_at = limiter.get_window_stats(item, *key).reset_time
    policy = f'"{item.namespace}";q={item.amount};w={item.get_expiry()}'
    return (Exceeded(max(1, math.ceil(free_at - time.time())), policy),)


@lru_cache(maxsize=1)
def rate_limiter() -> RateLimiter:
    """Return the process's limiter."""
    return RateLimiter(settings(), redis_server())
