"""Work that many callers ask for but that needs to be done only once: it waits a moment, then serves all of them."""

import logging
import threading
from collections.abc import Callable, Hashable

log = logging.getLogger(__name__)


class Gathering[T: Hashable]:
    """A thread that does `work` once for all the items that were added within a moment, so that no caller waits for it.

    Use it only for work that may be lost when the process ends: something else must do the work in that case.
    """

    def __init__(self, name: str, work: Callable[[frozenset[T]], object], *, seconds: float) -> None:
        """`seconds` is how long it gathers after an item is added; the thread starts with the first item."""
        self._name = name
        self._work = work
        self._seconds = seconds
        self._wanted: set[T] = set()
        self._asked = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, item: T) -> None:
        """Have the work done for `item` soon."""
        with self._lock:
            self._wanted.add(item)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
        self._asked.set()

    def _run(self) -> None:
        pause = threading.Event()
        while True:
            self._asked.wait()
            pause.wait(self._seconds)
            self._asked.clear()
            with self._lock:
                items, self._wanted = frozenset(self._wanted), set()
            if not items:
                continue
            try:
                self._work(items)
            except Exception as error:  # noqa: BLE001 - whatever the error is, something else does the work later
                log.warning("%s: failed (%s) and is left to the timer", self._name, type(error).__name__)
