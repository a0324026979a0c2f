"""The process's Prometheus metrics; names and labels are few and bounded.

Business counts (tickets sold, messages waiting) are read from the database when Prometheus asks, so they are
the same for any number of instances. Only what a process alone knows (latencies, answers) is counted in the process.
"""

import os
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import REGISTRY, Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

REQUEST_SECONDS = Histogram(
    "boxoffice_http_request_seconds",
    "Time from the call of a function to its answer, by the class of its status.",
    ["function", "status"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.3, 1, 3, 10),
)
REFUSALS = Counter("boxoffice_refusals", "Answers that are problem documents, by their code.", ["code"])
JOB_SECONDS = Histogram(
    "boxoffice_job_seconds",
    "Time that a background function took, by its outcome.",
    ["function", "outcome"],
    buckets=(0.01, 0.1, 1, 10, 60, 300),
)
REPORTS = Counter("boxoffice_reports", "Sales reports, by their outcome.", ["outcome"])
RETRIES = Counter(
    "boxoffice_transaction_retries", "Transactions run again after a deadlock or a lost connection.", ["reason"]
)
TRIPS = Counter("boxoffice_breaker_trips", "How often a process has begun to leave a service alone.", ["service"])

STATUS_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
REASONS = ("connection", "deadlock")
OUTCOMES = ("failed", "ready")
SERVICES = ("database", "redis", "storage")

# A series that begins with its first event hides that event: Prometheus sees no increase from nothing to one.
for _counter, _values in ((REPORTS, OUTCOMES), (RETRIES, REASONS), (TRIPS, SERVICES)):
    for _value in _values:
        _counter.labels(_value)


def status_class(status: int) -> str:
    """Return the class under which a status is counted: 2xx, 3xx, 4xx or 5xx."""
    return STATUS_CLASSES[status // 100 - 1]


class _Read(Collector):
    """Metrics that are read when Prometheus asks for them."""

    def __init__(self, read: Callable[[], Iterable[Metric]]) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        return self._read()


def render(read: Callable[[], Iterable[Metric]]) -> bytes:
    """Return all metrics in Prometheus' text format: the sums of this machine's workers, and what `read` reads now."""
    registry = CollectorRegistry()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        registry.register(_Read(REGISTRY.collect))
    registry.register(_Read(read))
    return generate_latest(registry)


def gauge(name: str, help_text: str, samples: Iterable[tuple[dict[str, str], float]]) -> Metric:
    """Return a gauge with one value for each set of labels."""
    samples = list(samples)
    family = GaugeMetricFamily(name, help_text, labels=list(samples[0][0]) if samples else [])
    for labels, value in samples:
        family.add_metric(list(labels.values()), value)
    return family
