"""Leaving a service alone while it does not answer: an outage costs a worker one time-out, not one for each request."""

import logging
import threading
import time
from collections.abc import Callable

from shared.kit.metrics import TRIPS

log = logging.getLogger(__name__)

_PAUSES = (0.02, 0.2, 0.5, 1.0)  # then every second
_TELL_EVERY_SECONDS = 60.0


class Breaker:
    """Open while a service is known to be away. The caller that finds this out trips the breaker.

    Then a thread asks the service until it answers. So no request pays for finding out whether the service is back.
    """

    def __init__(self, service: str, ask: Callable[[], object]) -> None:
        """`service` is one of `metrics.SERVICES`; `ask` raises while the service is away, and has its own time-out."""
        self._service = service
        self._ask = ask
        self._lock = threading.Lock()
        self._open = False
        self._told_at = float("-inf")

    @property
    def is_open(self) -> bool:
        """Whether callers should leave the service alone."""
        return self._open

    def trip(self, error: BaseException) -> None:
        """Leave the service alone from now on; a warning is logged at most once a minute."""
        with self._lock:
            if self._open:
                return
            self._open = True
            try:
                threading.Thread(target=self._wait_for_it, name=f"{self._service} breaker", daemon=True).start()
            except RuntimeError:  # no thread could be started: the next caller trips it again
                self._open = False
                return
        TRIPS.labels(self._service).inc()
        if time.monotonic() - self._told_at > _TELL_EVERY_SECONDS:
            self._told_at = time.monotonic()
            log.warning(
                "The %s does not answer (%s) and is left alone until it does", self._service, type(error).__name__
            )

    def _wait_for_it(self) -> None:
        pause = threading.Event()
        tries = 0
        while self._open:
            pause.wait(_PAUSES[min(tries, len(_PAUSES) - 1)])
            tries += 1
            try:
                self._ask()
            except Exception as error:  # noqa: BLE001 - whatever the error is, the service is not back
                log.debug("The %s is still away (%s)", self._service, type(error).__name__)
            else:
                self._open = False
