"""The actors that polls were recently admitted as, so that they need not be looked up again every three seconds."""

import time
from collections.abc import Callable
from functools import lru_cache

from shared.kit.actor import Actor

SECONDS = 30.0
"""How long somebody may still read a polled figure after their role, or their token, has ended."""
_REMEMBERED_AT_MOST = 5_000

type Key = tuple[str, str, str]  # token, permission, event id


class Admissions:
    """Actors by token, permission and event; in this process alone, and for half a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[Key, tuple[float, Actor]] = {}

    def get(self, key: Key) -> Actor | None:
        """Return the actor that this token was admitted as during the last half minute, or None."""
        until, actor = self._known.get(key, (0.0, None))
        return actor if self._clock() < until else None

    def put(self, key: Key, actor: Actor) -> None:
        """Remember the actor for half a minute."""
        if len(self._known) >= _REMEMBERED_AT_MOST:
            self._known.clear()
        self._known[key] = (self._clock() + SECONDS, actor)


@lru_cache(maxsize=1)
def admissions() -> Admissions:
    """Return the process's admissions."""
    return Admissions()
