"""What a cold start costs: importing the app, and the whole host to its first answer."""

import http.client
import os
import subprocess
import sys
import threading
import time
from collections import defaultdict
from statistics import median
from typing import Any

from infra.local.home import REPOSITORY
from tests.bench.cases import order_request
from tests.bench.plans import KEY
from tests.bench.scenery import Scenery
from tests.bench.system import System

_TIME_IMPORT = """
import time
wall, cpu = time.perf_counter(), time.process_time()
import function_app
print(time.perf_counter() - wall, time.process_time() - cpu)
"""
_PATIENCE_SECONDS = 60.0
_GROUPED_DEEPER = ("azure", "shared", "functions")  # the second name tells more here


def import_seconds(system: System, *, times: int) -> list[tuple[float, float]]:
    """How long `import function_app` takes in new processes, in time and CPU, with bytecode present.

    On a machine that is busy with something else the first number is larger than it would be.
    """
    _time_import(system)
    return [_time_import(system) for _ in range(times)]


def import_without_bytecode(system: System) -> float:
    """How long it takes if every module has to be compiled first."""
    return _time_import(system, PYTHONPYCACHEPREFIX=str(system.folder / "nothing"), PYTHONDONTWRITEBYTECODE="1")[0]


def _time_import(system: System, **environment: str) -> tuple[float, float]:
    wall, cpu = _python(system, "-c", _TIME_IMPORT, **environment).stdout.split()
    return float(wall), float(cpu)


def heaviest_imports(system: System, *, most: int = 10) -> list[dict[str, Any]]:
    """The packages whose own modules take longest to import, in ms; modules that they import count separately."""
    spent: defaultdict[str, float] = defaultdict(float)
    for line in _python(system, "-X", "importtime", "-c", "import function_app").stderr.splitlines():
        own, _, rest = line.removeprefix("import time:").partition("|")
        if own.strip().isdigit():
            spent[_package(rest.partition("|")[2].strip())] += int(own) / 1000
    heaviest = sorted(spent.items(), key=lambda item: -item[1])[:most]
    return [{"package": package, "ms": round(milliseconds, 1)} for package, milliseconds in heaviest]


def cold_starts(system: System, scenery: Scenery, *, times: int) -> dict[str, Any]:
    """Start a host several times; return the seconds until its first answer, and those of the first order then."""
    answers, orders = [], []
    for _ in range(times):
        to_answer, to_order = _cold_start(system, scenery)
        answers.append(to_answer)
        orders.append(to_order)
    return {
        "first_answer_seconds": round(median(answers), 2),
        "first_order_seconds": round(median(orders), 3),
        "times": times,
    }


def _cold_start(system: System, scenery: Scenery) -> tuple[float, float]:
    host = system.another_host()
    starting = threading.Thread(target=host.start)
    begun = time.perf_counter()
    starting.start()
    try:
        while not _answers(host.port):
            if time.perf_counter() - begun > _PATIENCE_SECONDS:
                raise TimeoutError("the host did not answer")
            time.sleep(0.005)
        answered = time.perf_counter()
        _place_one(host.port, scenery)
        return answered - begun, time.perf_counter() - answered
    finally:
        starting.join()
        host.stop()


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/api/v1/health/live")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _place_one(port: int, scenery: Scenery) -> None:
    head, _, body = order_request(scenery, scenery.package_ids[0]).partition("\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.replace(KEY, f"cold-{time.time_ns()}").split("\r\n")[1:])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", scenery.orders_path(scenery.event_id), body=body, headers=headers)
    status = connection.getresponse().status
    connection.close()
    if status != 201:
        raise RuntimeError(f"the first order was answered with {status}")


def _package(module: str) -> str:
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] in _GROUPED_DEEPER else parts[0]


def _python(system: System, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        env=os.environ | system.environment | environment,
        capture_output=True,
        text=True,
        check=True,
    )
