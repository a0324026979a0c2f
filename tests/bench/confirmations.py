"""How fast the confirmations of placed orders are sent when nothing else happens."""

import time
from typing import Any

import psycopg

from tests.bench.cases import order_request
from tests.bench.leftovers import strike_off_mail
from tests.bench.plans import LoadPlan
from tests.bench.processes import usage_of
from tests.bench.scenery import Scenery
from tests.bench.system import System
from tests.bench.windows import measure

_WAITING = "SELECT count(*) FROM outbox WHERE done_at IS NULL"
_PATIENCE_SECONDS = 120.0


def send_confirmations(system: System, scenery: Scenery, *, orders: int) -> dict[str, Any]:
    """Place `orders` orders at once and wait until each has its mail; CPU is counted after the last answer."""
    strike_off_mail(system)
    plan = LoadPlan(
        concurrency=8,
        seconds=0,
        warm_seconds=0,
        port=system.host.port,
        requests=[order_request(scenery, scenery.package_ids[0])],
        expected=[201],
        limit=orders,
    )
    measure(system, plan)
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        before, began = usage_of(system), time.perf_counter()
        waiting = left = _waiting(connection)
        while left:
            if time.perf_counter() - began > _PATIENCE_SECONDS:
                break
            time.sleep(0.05)
            left = _waiting(connection)
        seconds, cpu = time.perf_counter() - began, usage_of(system).since(before)
    cpu.pop("machine")
    sent = waiting - left
    return {
        "sent": sent,
        "left": left,
        "per_second": round(sent / seconds, 1),
        "cpu_ms": {part: round(used / max(sent, 1) * 1000, 2) for part, used in cpu.items()},
    }


def _waiting(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute(_WAITING).fetchone()
    assert row is not None
    return int(row[0])
