"""Traces to Azure Monitor, if a connection string is set; otherwise no part of OpenTelemetry is imported."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from shared.kit.settings.telemetry import TelemetrySettings
from shared.kit.tracing import Span, start_spans_with

log = logging.getLogger(__name__)

# Libraries that we don't use: OpenTelemetry need not look for them.
_UNUSED = ("django", "fastapi", "flask", "psycopg2")


def start(config: TelemetrySettings) -> None:
    """Send each request and each run of a background function as a span, with the calls of Azure's clients inside it.

    If the library is missing, a warning is logged, and everything else works.
    """
    if config.applicationinsights_connection_string is None:
        return
    try:
        # The import takes 270 ms, which a cold start without Azure Monitor should not wait for.
        trace = import_module("opentelemetry.trace")
        if not _is_set("PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY"):  # otherwise the worker has configured it
            if not _is_set("PYTHON_ENABLE_OPENTELEMETRY"):
                # In this case the host sends the worker's log lines. (Only this variable tells the library so.)
                os.environ.setdefault("OTEL_LOGS_EXPORTER", "none")
            import_module("azure.monitor.opentelemetry").configure_azure_monitor(
                connection_string=config.applicationinsights_connection_string,
                enable_live_metrics=False,  # they would cost a request every few seconds from each process
                instrumentation_options={name: {"enabled": False} for name in _UNUSED},
            )
    except ImportError as error:
        log.warning("Nothing is sent to Azure Monitor: %s is not installed (azure-monitor-opentelemetry)", error.name)
        return
    start_spans_with(_Spans(trace).start)


def _is_set(name: str) -> bool:
    """Whether one of the worker's own switches is on; it is read as the worker reads it."""
    return os.environ.get(name, "").strip().lower() in {"1", "true", "t", "yes", "y"}


class _Spans:
    """Spans by OpenTelemetry. They do not record errors, because errors quote the values that they were about."""

    def __init__(self, trace: Any) -> None:
        self._trace = trace
        self._tracer = trace.get_tracer("boxoffice")

    @contextmanager
    def start(self, name: str, parent: Span | None) -> Iterator[Span]:
        """Begin a span inside the worker's span for this run if there is one, else inside the client's."""
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
