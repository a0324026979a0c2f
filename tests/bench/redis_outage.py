"""What a stuck or missing Redis costs a reader: one time-out, then the circuit breaker is open."""

import http.client
import signal
import time
from statistics import median
from typing import Any

from tests.bench.scenery import Scenery
from tests.bench.system import System

READS = 300


def measure_outage(system: System, scenery: Scenery) -> dict[str, Any]:
    """Read a cached list with Redis running, stuck (SIGSTOP) and killed; Redis stays killed.

    A host with one worker serves the reads, so that there is one breaker.
    """
    host = system.another_host(workers=1)
    host.start()
    redis = system.valkey.process.popen
    assert redis is not None
    connection = http.client.HTTPConnection("127.0.0.1", host.port, timeout=30)
    states: dict[str, Any] = {}
    try:
        _read(connection, scenery)
        states["there"] = _times(connection, scenery)
        redis.send_signal(signal.SIGSTOP)
        states["stuck"] = _times(connection, scenery)
        redis.send_signal(signal.SIGKILL)
        redis.wait(10)
        states["gone"] = _times(connection, scenery)
    finally:
        connection.close()
        host.stop()
    return {"reads": READS, "states": states}


def _times(connection: http.client.HTTPConnection, scenery: Scenery) -> dict[str, Any]:
    times = [_read(connection, scenery) for _ in range(READS)]
    return {
        "median_ms": round(median(times), 2),
        "slowest_ms": round(max(times), 2),
        "over_100_ms": sum(each >= 100 for each in times),
    }


def _read(connection: http.client.HTTPConnection, scenery: Scenery) -> float:
    begun = time.perf_counter()
    connection.request("GET", scenery.catalogue_path)
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise RuntimeError(f"the list was answered with {answer.status}")
    return (time.perf_counter() - begun) * 1000
