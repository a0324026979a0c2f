"""Work that many ask for and that need only be done once: it waits a moment, and does what has gathered by then."""

import logging
import threading
from collections.abc import Callable, Hashable

log = logging.getLogger(__name__)


class Gathering[T: Hashable]:
    """A thread that does `work` for all that was asked for within a moment, so that nobody waits for it.

    It is for what may be lost with the process: something else must come by and do it then.
    """

    def __init__(self, name: str, work: Callable[[frozenset[T]], object], *, seconds: float) -> None:
        """`seconds` is how long it gathers after the first has asked; the thread starts then."""
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
            except Exception as error:  # noqa: BLE001 - whatever it is, somebody else comes by
                log.warning("%s: failed (%s) and is left to the timer", self._name, type(error).__name__)
