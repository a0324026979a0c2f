"""The process's one Redis client, behind a circuit breaker: an outage costs one time-out and not one a request."""

import logging
import time
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from shared.kit.settings import Settings, settings

if TYPE_CHECKING:
    import redis

log = logging.getLogger(__name__)

_OPEN_SECONDS = 5.0
_WARN_EVERY_SECONDS = 60.0


class RedisServer:
    """Redis as something that may be away at any moment."""

    def __init__(self, config: Settings) -> None:
        """Connect at the first use to `config.redis_url`; without one it is always away."""
        self._url = config.redis_url
        self._timeout = config.redis_timeout_ms / 1000
        self._pool_size = config.database_pool_size
        self._client: redis.Redis | None = None
        self._shut_until = 0.0
        self._warned_at = float("-inf")

    @property
    def configured(self) -> bool:
        """Whether there is a Redis at all."""
        return self._url is not None

    def attempt[T](self, work: Callable[["redis.Redis"], T]) -> T | None:
        """Return what `work` makes of the client, or None where Redis does not answer.

        After a failure Redis is left alone for some seconds; a warning is logged once a minute at most.
        """
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
            return work(self._client)
        except (redis.RedisError, OSError) as error:
            self._trip(error)
            return None

    def _trip(self, error: Exception) -> None:
        now = time.monotonic()
        self._shut_until = now + _OPEN_SECONDS
        if now - self._warned_at > _WARN_EVERY_SECONDS:
            self._warned_at = now
            log.warning("Redis does not answer (%s); going on without it", type(error).__name__)

    def call(self, command: str, *arguments: object, **options: object) -> Any:
        """Return the answer to one command, or None."""
        return self.attempt(lambda client: getattr(client, command)(*arguments, **options))


@lru_cache(maxsize=1)
def redis_server() -> RedisServer:
    """Return the process's Redis."""
    return RedisServer(settings())
