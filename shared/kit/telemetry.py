"""Traces to Azure Monitor, where a connection string says so; otherwise nothing of OpenTelemetry is even imported."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from shared.kit.settings.telemetry import TelemetrySettings
from shared.kit.tracing import Span, start_spans_with

log = logging.getLogger(__name__)

# What we don't use need not be looked for.
_UNUSED = ("django", "fastapi", "flask", "psycopg2")


def start(config: TelemetrySettings) -> None:
    """Send each request and each run of a background function as a span, and what Azure's clients do as parts of it.

    Where the library is missing a warning says so, and everything else works.
    """
    if config.applicationinsights_connection_string is None:
        return
    try:
        # 270 ms that a cold start without Azure Monitor need not wait for.
        trace = import_module("opentelemetry.trace")
        if not _is_set("PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY"):  # then the worker has done it
            if not _is_set("PYTHON_ENABLE_OPENTELEMETRY"):
                # Then the host passes on what a worker logs. (The library hears of it in no other way.)
                os.environ.setdefault("OTEL_LOGS_EXPORTER", "none")
            import_module("azure.monitor.opentelemetry").configure_azure_monitor(
                connection_string=config.applicationinsights_connection_string,
                enable_live_metrics=False,  # a request every few seconds from each process
                instrumentation_options={name: {"enabled": False} for name in _UNUSED},
            )
    except ImportError as error:
        log.warning("Nothing is sent to Azure Monitor: %s is not installed (azure-monitor-opentelemetry)", error.name)
        return
    start_spans_with(_Spans(trace).start)


def _is_set(name: str) -> bool:
    """Whether one of the worker's own switches is on, as the worker reads it."""
    return os.environ.get(name, "").strip().lower() in {"1", "true", "t", "yes", "y"}


class _Spans:
    """Spans by OpenTelemetry. What went wrong is not recorded in them: errors quote what they had in their hands."""

    def __init__(self, trace: Any) -> None:
        self._trace = trace
        self._tracer = trace.get_tracer("boxoffice")

    @contextmanager
    def start(self, name: str, parent: Span | None) -> Iterator[Span]:
        """Begin a span within the one that the worker has begun for the host's, else within the client's."""
        context = None if self._is_within_one() or parent is None else self._remote(parent)
        with self._tracer.start_as_current_span(
            name, context=context, record_exception=False, set_status_on_exception=False
        ) as span:
            made = span.get_span_context()
            yield Span(f"{made.trace_id:032x}", f"{made.span_id:016x}", f"{int(made.trace_flags):02x}")

    def _is_within_one(self) -> bool:
        return bool(self._trace.get_current_span().get_span_context().is_valid)

    def _remote(self, parent: Span) -> Any:
        context = self._trace.SpanContext(
            trace_id=int(parent.trace_id, 16),
            span_id=int(parent.span_id, 16),
            is_remote=True,
            trace_flags=self._trace.TraceFlags(int(parent.flags, 16)),
        )
        return self._trace.set_span_in_context(self._trace.NonRecordingSpan(context))
