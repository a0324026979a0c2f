"""One measurement: a process that loads the system for some seconds, and what everything used in that time."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from statistics import median
from typing import Any

from infra.local.home import REPOSITORY
from tests.bench.plans import FloorPlan, LoadPlan
from tests.bench.processes import usage_of
from tests.bench.system import System


@dataclass(frozen=True)
class Window:
    """The result of one plan; times in ms, CPU in seconds by part of the system."""

    count: int
    seconds: float
    p50: float
    p95: float
    p99: float
    statuses: dict[str, int]
    unexpected: int
    samples: list[str]
    cpu: dict[str, float]

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.count / self.seconds


def measure(system: System, plan: LoadPlan | FloorPlan) -> Window:
    """Carry out the plan in a separate process; its warm-up is not counted."""
    module = "tests.bench.load" if isinstance(plan, LoadPlan) else "tests.bench.floor"
    with subprocess.Popen(
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env=os.environ | system.environment,
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        program.stdin.write(plan.to_json())
        program.stdin.close()
        program.stdout.readline()
        before = usage_of(system)
        answer = program.stdout.readline()
        after = usage_of(system)
    if not answer:
        raise RuntimeError(f"{module} ended with code {program.returncode} and no result")
    result: dict[str, Any] = json.loads(answer)
    cpu = after.since(before)
    cpu["generator"] = result.pop("generator_cpu")
    cpu["others"] = max(0.0, cpu.pop("machine") - sum(cpu.values()))
    return Window(cpu=cpu, **({"p50": 0.0, "p95": 0.0, "p99": 0.0} | result))


def summary(windows: list[Window]) -> dict[str, Any]:
    """The medians of several windows of the same plan; CPU is in ms for each request, `others` a share of one core."""
    count, seconds = sum(window.count for window in windows), sum(window.seconds for window in windows)
    cpu = {part: sum(window.cpu[part] for window in windows) for part in windows[0].cpu}
    others = cpu.pop("others")
    return {
        "rate": round(median(window.rate for window in windows), 1),
        "rates": [round(window.rate, 1) for window in windows],
        **{name: round(median(getattr(window, name) for window in windows), 2) for name in ("p50", "p95", "p99")},
        "requests": count,
        "unexpected": sum(window.unexpected for window in windows),
        "samples": [sample for window in windows for sample in window.samples][:3],
        "cpu_ms": {part: round(used / max(count, 1) * 1000, 3) for part, used in cpu.items()},
        "others_cores": round(others / seconds, 2),
    }
