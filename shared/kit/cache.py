"""Values kept in Redis, for speed only: any call may find nothing, but no call raises or waits long.

A cached value never decides whether something may be sold.
"""

import time
from functools import lru_cache

from shared.kit.gathering import Gathering
from shared.kit.redis_server import RedisServer, redis_server

_AT_MOST_EVERY_SECONDS = 0.1
_REMEMBERED_AT_MOST = 1000


class Cache:
    """Values by key with a time to live; absent, expired and unreachable look the same: `None`."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self._dropped_at: dict[tuple[str, ...], float] = {}
        self._later = Gathering[tuple[str, ...]]("cache", self._drop_all, seconds=_AT_MOST_EVERY_SECONDS)

    def get(self, key: str) -> bytes | None:
        """Return the value, or None."""
        value = self._server.call("get", key)
        return value if isinstance(value, bytes) else None

    def put(self, key: str, value: bytes, *, seconds: float) -> None:
        """Keep `value` for `seconds`."""
        self._server.call("set", key, value, px=max(1, int(seconds * 1000)))

    def claim(self, key: str, *, seconds: float) -> bool:
        """Claim the key for `seconds`; False if it is claimed already. True for every caller while Redis is away."""
        taken = self._server.attempt(lambda client: (client.set(key, b"1", px=max(1, int(seconds * 1000)), nx=True),))
        return taken is None or bool(taken[0])

    def drop(self, *keys: str) -> None:
        """Forget the keys."""
        if keys:
            self._server.call("delete", *keys)

    def drop_in_a_rush(self, *keys: str) -> None:
        """Forget the keys at once, or a tenth of a second later if this process has just forgotten the same keys.

        It is for values that hundreds of sales a second make stale. Most of those sales would otherwise pay for
        forgetting a value that nobody has read since the sale before.
        """
        now = time.monotonic()
        if now - self._dropped_at.get(keys, float("-inf")) < _AT_MOST_EVERY_SECONDS:
            self._later.add(keys)
            return
        if len(self._dropped_at) >= _REMEMBERED_AT_MOST:
            self._dropped_at.clear()
        self._dropped_at[keys] = now
        self.drop(*keys)

    def _drop_all(self, dropped: frozenset[tuple[str, ...]]) -> None:
        self.drop(*{key for keys in dropped for key in keys})

    def ping(self) -> float | None:
        """Return how many milliseconds Redis takes to answer, or None while it is out of reach."""
        started = time.perf_counter()
        return (time.perf_counter() - started) * 1000 if self._server.call("ping") else None

    @property
    def configured(self) -> bool:
        """Whether there is a Redis at all."""
        return self._server.configured


@lru_cache(maxsize=1)
def cache() -> Cache:
    """Return the process's cache."""
    return Cache(redis_server())
