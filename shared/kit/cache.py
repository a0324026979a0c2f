"""Redis, for speed only: every call may find nothing, none raises, none waits long.

A circuit breaker stands in front: after a failure Redis is left alone for a while, so that an outage costs one time-out
and not one a request. A cached value never decides whether something may be sold.
"""

import logging
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from shared.kit.settings import Settings, settings

if TYPE_CHECKING:
    import redis

log = logging.getLogger(__name__)

_OPEN_SECONDS = 5.0
_WARN_EVERY_SECONDS = 60.0


class Cache:
    """Values by key with a time to live; absent, expired and unreachable look the same: `None`."""

    def __init__(self, config: Settings) -> None:
        """Connect at the first use to `config.redis_url`; without one the cache is always empty."""
        self._url = config.redis_url
        self._timeout = config.redis_timeout_ms / 1000
        self._pool_size = config.database_pool_size
        self._client: redis.Redis | None = None
        self._shut_until = 0.0
        self._warned_at = float("-inf")

    def get(self, key: str) -> bytes | None:
        """Return the value, or None."""
        value = self._call("get", key)
        return value if isinstance(value, bytes) else None

    def put(self, key: str, value: bytes, *, seconds: float) -> None:
        """Keep `value` for `seconds`."""
        self._call("set", key, value, px=max(1, int(seconds * 1000)))

    def drop(self, *keys: str) -> None:
        """Forget the keys."""
        if keys:
            self._call("delete", *keys)

    def ping(self) -> float | None:
        """Return how many milliseconds Redis takes to answer, or None while it is out of reach."""
        started = time.perf_counter()
        return (time.perf_counter() - started) * 1000 if self._call("ping") else None

    @property
    def configured(self) -> bool:
        """Whether there is a Redis at all."""
        return self._url is not None

    def _call(self, command: str, *arguments: object, **options: object) -> Any:
        if self._url is None or time.monotonic() < self._shut_until:
            return None
        import redis  # noqa: PLC0415 - 140 ms that a cold start need not wait for

        try:
            if self._client is None:
                # As many connections as threads can use at once: a dry pool must never refuse a user.
                self._client = redis.Redis.from_url(
                    self._url,
                    socket_timeout=self._timeout,
                    socket_connect_timeout=self._timeout,
                    max_connections=self._pool_size + 8,
                    health_check_interval=30,
                )
            return getattr(self._client, command)(*arguments, **options)
        except (redis.RedisError, OSError) as error:
            self._trip(error)
            return None

    def _trip(self, error: Exception) -> None:
        now = time.monotonic()
        self._shut_until = now + _OPEN_SECONDS
        if now - self._warned_at > _WARN_EVERY_SECONDS:
            self._warned_at = now
            log.warning("Redis does not answer (%s); going on without it", type(error).__name__)


@lru_cache(maxsize=1)
def cache() -> Cache:
    """Return the process's cache."""
    return Cache(settings())
