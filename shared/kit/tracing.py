"""The work that a thread is doing now, and the trace that the work belongs to (W3C Trace Context).

A trace begins with a client's `traceparent`, or here. Every line of the log names it, and the outbox passes it on.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

# Future versions may add fields; 255 is not a version (W3C Trace Context §2.2, §4).
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


@dataclass(frozen=True, slots=True)
class Span:
    """One piece of work in a trace, by its ids in hexadecimal."""

    trace_id: str
    span_id: str
    flags: str = "00"

    @property
    def traceparent(self) -> str:
        """The header that passes this span on."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


@dataclass(frozen=True, slots=True)
class Work:
    """What a thread is doing: a function of the app, its request (if it serves one), and its part of a trace."""

    function: str
    request_id: str
    span: Span


type SpanStarter = Callable[[str, Span | None], AbstractContextManager[Span]]

_current: ContextVar[Work | None] = ContextVar("work", default=None)


def read_traceparent(text: str | None) -> Span | None:
    """Return the header's span, or None when the header is missing or malformed: then a trace begins here."""
    if not text or len(text) > 200:
        return None
    found = _TRACEPARENT.fullmatch(text)
    if found is None or (text.startswith("00-") and found[4]):
        return None
    return Span(found[1], found[2], found[3])


@contextmanager
def _own_span(_name: str, parent: Span | None) -> Iterator[Span]:
    """A span that only the log shows."""
    ids = os.urandom(24).hex()
    yield Span(parent.trace_id if parent else ids[:32], ids[32:], parent.flags if parent else "00")


_start_span: SpanStarter = _own_span


def start_spans_with(starter: SpanStarter) -> None:
    """Use `starter` to make spans and to send them somewhere."""
    global _start_span  # noqa: PLW0603 - a process sends its spans to one place
    _start_span = starter


@contextmanager
def working_on(function: str, *, request_id: str = "", traceparent: str | None = None) -> Iterator[Work]:
    """Record what this thread does while the block runs."""
    with _start_span(function, read_traceparent(traceparent)) as span:
        work = Work(function, request_id, span)
        token = _current.set(work)
        try:
            yield work
        finally:
            _current.reset(token)


def current_work() -> Work | None:
    """Return what this thread is doing, or None in a thread that does no recorded work."""
    return _current.get()


def traceparent() -> str | None:
    """Return the header that passes this thread's trace on, or None."""
    work = _current.get()
    return None if work is None else work.span.traceparent
