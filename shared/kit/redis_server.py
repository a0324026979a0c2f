"""The process's one Redis client, behind a circuit breaker: an outage costs one time-out, not one for each request."""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from shared.kit.breaker import Breaker
from shared.kit.settings.database import database_settings
from shared.kit.settings.redis import RedisSettings, redis_settings

if TYPE_CHECKING:
    import redis


class RedisServer:
    """Redis as something that may be away at any moment."""

    def __init__(self, config: RedisSettings, *, threads: int) -> None:
        """Connect to `config.redis_url` at the first use; without a URL it is always away. `threads` share it."""
        self._url = config.redis_url
        self._timeout = config.redis_timeout_ms / 1000
        self._threads = threads
        self._client: redis.Redis | None = None
        self._breaker = Breaker("redis", lambda: self._connected().ping())

    @property
    def configured(self) -> bool:
        """Whether there is a Redis at all."""
        return self._url is not None

    def attempt[T](self, work: Callable[["redis.Redis"], T]) -> T | None:
        """Return what `work` returns for the client, or None if Redis does not answer (then it is left alone)."""
        if self._url is None or self._breaker.is_open:
            return None
        import redis  # noqa: PLC0415 - it takes 140 ms, which a cold start should not wait for

        try:
            return work(self._connected())
        except (redis.RedisError, OSError) as error:
            self._breaker.trip(error)
            return None

    def _connected(self) -> "redis.Redis":
        import redis  # noqa: PLC0415

        if self._client is None:
            assert self._url is not None
            # As many connections as threads can use at once: an empty pool must never refuse a user.
            self._client = redis.Redis.from_url(
                self._url,
                socket_timeout=self._timeout,
                socket_connect_timeout=self._timeout,
                max_connections=self._threads + 8,
                health_check_interval=30,
            )
        return self._client

    def call(self, command: str, *arguments: object, **options: object) -> Any:
        """Return the answer to one command, or None."""
        return self.attempt(lambda client: getattr(client, command)(*arguments, **options))


@lru_cache(maxsize=1)
def redis_server() -> RedisServer:
    """Return the process's Redis."""
    return RedisServer(redis_settings(), threads=database_settings().database_pool_size)
