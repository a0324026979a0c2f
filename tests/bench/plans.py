"""What the measuring processes are told, and what they report: one JSON object each way."""

import json
from dataclasses import asdict, dataclass
from typing import Self

KEY = "{key}"
"""Stands in a request where each one has an idempotency key of its own."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long to measure, and with how many at once."""

    concurrency: int
    seconds: float
    warm_seconds: float

    def to_json(self) -> str:
        """For the other process's standard input."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `to_json` has written."""
        return cls(**json.loads(text))


@dataclass(frozen=True, kw_only=True)
class LoadPlan(Plan):
    """HTTP requests to send to a port of this machine, in turn.

    With a `limit` that many are sent in all, without warm-up, and the time is what they take. With `per_second` they
    are sent at that pace, each connection its own part of them, whatever the answers take.
    """

    port: int
    requests: list[str]
    expected: list[int]
    limit: int | None = None
    per_second: float | None = None


@dataclass(frozen=True, kw_only=True)
class FloorPlan(Plan):
    """Transactions to run on a database: orders on these packages, or bare commits when there are none."""

    url: str
    event_id: str
    package_ids: list[str]


def outcome(latencies: list[float], seconds: float) -> dict[str, object]:
    """How many there were, and how long they took, in ms."""
    latencies = sorted(latencies)
    quantiles = {
        f"p{percent}": round(latencies[min(len(latencies) - 1, len(latencies) * percent // 100)] * 1000, 3)
        for percent in (50, 95, 99)
        if latencies
    }
    return {"count": len(latencies), "seconds": seconds, **quantiles}
