"""The load generator: a separate process, as cheap as Python allows, because it shares the cores with the system.

`python -m tests.bench.load` reads a plan (JSON) on standard input, says `start` when it begins to count, and ends with
one line of JSON. Each connection sends its next request when the answer to the last one is complete (closed loop).
"""

import asyncio
import itertools
import json
import re
import resource
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import cast

import uvloop

from tests.bench.plans import KEY, LoadPlan, outcome

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_PATIENCE_SECONDS = 60.0


class Load:
    """One run: what to send next, and what came back."""

    def __init__(self, plan: LoadPlan) -> None:
        self.plan = plan
        self.statuses: Counter[int] = Counter()
        self.latencies: list[float] = []
        self.unexpected: Counter[str] = Counter()
        self.counting = False
        self.over = False
        self.all_rest = asyncio.Event()
        self._working = plan.concurrency
        self._expected = frozenset(plan.expected)
        self._requests = itertools.islice(_endless(plan.requests), plan.limit)
        self._next_slot = 0.0

    def slot(self, now: float) -> float:
        """When the next request may be sent."""
        if self.plan.per_second is None:
            return now
        self._next_slot = max(self._next_slot + 1 / self.plan.per_second, now - 1)
        return max(self._next_slot, now)

    def requests_of(self, connection: int) -> Iterator[bytes]:
        """What a connection sends: at a pace, its own part of the requests again and again; else the next of all."""
        if self.plan.per_second is None:
            return self._requests
        return _endless(self.plan.requests[connection :: self.plan.concurrency])

    def rest(self) -> None:
        """Count a connection that sends no more requests."""
        self._working -= 1
        if not self._working:
            self.all_rest.set()

    def note(self, status: int, seconds: float, answer: bytearray) -> None:
        """Count one answer."""
        if status not in self._expected:
            self.unexpected[f"{status} {answer.partition(b'\r\n\r\n')[2][:400].decode(errors='replace')}"] += 1
        if self.counting:
            self.statuses[status] += 1
            self.latencies.append(seconds)


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one unanswered request."""

    def __init__(self, load: Load, number: int) -> None:
        self._load = load
        self._requests = load.requests_of(number)
        self._transport: asyncio.WriteTransport | None = None
        self._answer = bytearray()
        self._needed = 0
        self._sent_at: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's own class derives from neither

    def send(self) -> None:
        """Send the next request, or stop for good."""
        assert self._transport is not None
        request = None if self._load.over else next(self._requests, None)
        self._sent_at = None
        if request is None:
            self._load.rest()
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        slot = self._load.slot(now)
        if slot > now:
            loop.call_at(slot, self._write, request)
        else:
            self._write(request)

    def _write(self, request: bytes) -> None:
        assert self._transport is not None
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if not self._needed:
            end = self._answer.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(self._answer, 0, end)
            self._needed = end + 4 + (int(length[1]) if length else 0)
        if len(self._answer) < self._needed:
            return
        assert self._sent_at is not None
        self._load.note(int(self._answer[9:12]), time.perf_counter() - self._sent_at, self._answer)
        self._answer.clear()
        self._needed = 0
        self.send()

    def connection_lost(self, error: Exception | None) -> None:
        if self._sent_at is not None:
            self._load.unexpected[f"connection lost: {error}"] += 1
            self._load.rest()


async def run(plan: LoadPlan) -> dict[str, object]:
    """Carry out the plan and return its outcome."""
    load = Load(plan)
    loop = asyncio.get_running_loop()
    connections = []
    for number in range(plan.concurrency):
        _, connection = await loop.create_connection(partial(Connection, load, number), "127.0.0.1", plan.port)
        connections.append(connection)
    load.counting = plan.limit is not None
    if load.counting:
        print("start", flush=True)
    started, cpu = time.perf_counter(), _cpu_seconds()
    for connection in connections:
        connection.send()
    if plan.limit is None:
        await asyncio.sleep(plan.warm_seconds)
        print("start", flush=True)
        load.counting, started, cpu = True, time.perf_counter(), _cpu_seconds()
        await asyncio.sleep(plan.seconds)
    else:
        await asyncio.wait_for(load.all_rest.wait(), _PATIENCE_SECONDS)
    seconds, used = time.perf_counter() - started, _cpu_seconds() - cpu
    load.counting, load.over = False, True
    result = outcome(load.latencies, seconds)
    await asyncio.wait_for(load.all_rest.wait(), _PATIENCE_SECONDS)
    return result | {
        "statuses": dict(load.statuses),
        "unexpected": sum(load.unexpected.values()),
        "samples": list(load.unexpected)[:3],
        "generator_cpu": used,
    }


def _endless(templates: list[str]) -> Iterator[bytes]:
    """Yield the requests in turn, each with its own idempotency key if it has a place for one."""
    run_name = secrets.token_hex(8)
    parts = [template.encode().partition(KEY.encode()) for template in templates]
    numbers = itertools.count()
    for before, mark, after in itertools.cycle(parts):
        yield b"%b%b-%d%b" % (before, run_name.encode(), next(numbers), after) if mark else before


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(LoadPlan.from_json(sys.stdin.read())))), flush=True)
