"""What processes use, read from Linux's /proc; on other systems there is nothing to read."""

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.system import System

AVAILABLE = Path("/proc/self/smaps_rollup").exists()
_TICKS = os.sysconf("SC_CLK_TCK")
_IDLE_LOOK_SECONDS = 0.5
_IDLE_SHARE = 0.05


@dataclass(frozen=True)
class Memory:
    """Memory of a process in MB; PSS counts only a process's part of a page that several processes share."""

    rss_mb: float
    pss_mb: float


@dataclass(frozen=True)
class Usage:
    """CPU seconds used so far, by part of the system.

    `background` sends the mail; `services` are storage, Redis and the mail server, which have their own machines in
    production; `machine` is everything that runs here.
    """

    workers: float
    postgres: float
    background: float
    services: float
    machine: float

    def since(self, earlier: "Usage") -> dict[str, float]:
        """CPU seconds used between the two readings."""
        then = asdict(earlier)
        return {part: used - then[part] for part, used in asdict(self).items()}


def usage_of(system: System) -> Usage:
    """What each part has used until now."""
    if not AVAILABLE:
        return Usage(0, 0, 0, 0, 0)
    host, postgres = system.host.process.pid, system.postgres.process.pid
    services = [os.getpid(), system.azurite.process.pid, system.valkey.process.pid]  # mail is a thread of this process
    return Usage(
        workers=sum(map(_cpu_seconds, http_workers(host))),
        postgres=sum(map(_cpu_seconds, _tree(postgres))) + (_cpu_seconds(postgres, reaped=True) if postgres else 0),
        background=sum(map(_cpu_seconds, _children(host, "background"))),
        services=sum(_cpu_seconds(pid) for pid in services if pid),
        machine=_machine_cpu_seconds(),
    )


def http_workers(host: int | None) -> list[int]:
    """The process ids of a host's HTTP workers."""
    return _children(host, "http")


def wait_until_idle(pids: list[int], *, timeout: float = 30.0) -> None:
    """Wait until the processes are idle for a moment: a host reports ready when only its first worker is ready."""
    deadline = time.monotonic() + timeout
    before, used = 0.0, sum(map(_cpu_seconds, pids))
    while used - before > _IDLE_SHARE * _IDLE_LOOK_SECONDS and time.monotonic() < deadline:
        time.sleep(_IDLE_LOOK_SECONDS)
        before, used = used, sum(map(_cpu_seconds, pids))


def memory_of(pid: int) -> Memory:
    """The memory of one process now."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return Memory(kilobytes["Rss"] / 1024, kilobytes["Pss"] / 1024)


def _children(host: int | None, role: str) -> list[int]:
    return [pid for pid in _tree(host) if _command(pid)[3:5] == ["infra.local.host.worker", role]]


def _command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def _tree(root: int | None) -> list[int]:
    """The process and all that descend from it."""
    if root is None:
        return []
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        try:
            text = " ".join(file.read_text() for file in Path(f"/proc/{pid}/task").glob("*/children"))
        except OSError:
            continue
        waiting += map(int, text.split())
    return found


def _cpu_seconds(pid: int, *, reaped: bool = False) -> float:
    """User and system time of the process, or of its children that have ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return 0.0
    first = 13 if reaped else 11
    return (int(fields[first]) + int(fields[first + 1])) / _TICKS


def _machine_cpu_seconds() -> float:
    user, nice, system, _idle, _iowait, irq, softirq = map(int, Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + irq + softirq) / _TICKS
