"""The orders to the measuring processes, and their reports: one JSON object in each direction."""

import json
from dataclasses import asdict, dataclass
from typing import Self

KEY = "{key}"
"""The placeholder in a request for its own idempotency key."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long to measure, and how many requests at once."""

    concurrency: int
    seconds: float
    warm_seconds: float

    def to_json(self) -> str:
        """Return the plan as text for the other process's standard input."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a plan that `to_json` has written."""
        return cls(**json.loads(text))


@dataclass(frozen=True, kw_only=True)
class LoadPlan(Plan):
    """HTTP requests to send to a port of this machine, in turn.

    With a `limit`, that many requests are sent in all, without warm-up, and the time is measured. With `per_second`
    they are sent at that pace, however long the answers take, and each connection sends its own part of them.
    """

    port: int
    requests: list[str]
    expected: list[int]
    limit: int | None = None
    per_second: float | None = None


@dataclass(frozen=True, kw_only=True)
class FloorPlan(Plan):
    """Transactions to run on a database: orders on these packages, or bare commits if there are no packages."""

    url: str
    event_id: str
    package_ids: list[str]


def outcome(latencies: list[float], seconds: float) -> dict[str, object]:
    """How many requests there were, and how long they took, in ms."""
    latencies = sorted(latencies)
    quantiles = {
        f"p{percent}": round(latencies[min(len(latencies) - 1, len(latencies) * percent // 100)] * 1000, 3)
        for percent in (50, 95, 99)
        if latencies
    }
    return {"count": len(latencies), "seconds": seconds, **quantiles}
