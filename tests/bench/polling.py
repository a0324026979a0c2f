"""What watching the sales costs: a thousand people who poll the summary, and pages of purchases."""

import json
import time
from dataclasses import replace
from statistics import median
from typing import Any

import httpx
import psycopg

from tests.bench.cases import Pace, request
from tests.bench.past_orders import add_past_orders
from tests.bench.plans import LoadPlan
from tests.bench.scenery import Scenery
from tests.bench.system import System
from tests.bench.windows import Window, measure

POLLERS = 1_000
EVERY_SECONDS = 3.0
POLLED_SECONDS = 12.0
SALES = 10_000
COLD_READS = 7
# A summary is at most two seconds old; after this time it is computed again.
_STALE_SECONDS = 2.2

_ADD_MEMBERS = """
INSERT INTO event_members (event_id, id, email, role, created_at)
SELECT %s, gen_random_uuid(), 'poller-' || n || '@demo.test', 'coordinator', now() FROM generate_series(1, %s) AS n
"""


def measure_polling(system: System, scenery: Scenery, pace: Pace) -> dict[str, Any]:
    """Measure in an event with ten thousand sales; CPU in ms a request, of the pollers as a share of one core."""
    scenery = replace(scenery, event_id=scenery.catalogue_id, package_ids=scenery.catalogue_package_ids)
    with psycopg.connect(system.database_url) as connection:
        connection.execute(_ADD_MEMBERS, (scenery.event_id, POLLERS))
    add_past_orders(system, scenery, first=1, last=SALES)
    summary = f"/api/v1/admin/events/{scenery.event_id}/ticket-packages/sales-summary"
    tokens = [system.issuer.token(f"poller-{number}@demo.test") for number in range(1, POLLERS + 1)]
    etag = _read(system, summary, tokens[0]).headers["etag"]
    asks = [_get(summary, token, If_None_Match=etag) for token in tokens]
    pollers = _at_a_pace(system, asks, 304)
    nothing = _at_a_pace(system, [request("GET", "/api/v1/health/live")] * POLLERS, 200)
    details = f"/api/v1/admin/events/{scenery.event_id}/ticket-packages/{scenery.package_ids[0]}/sales-details"
    return {
        "sales": SALES,
        "pollers": POLLERS,
        "every_seconds": EVERY_SECONDS,
        "cores": _cores(pollers),
        "floor_cores": _cores(nothing),
        "per_second": round(pollers.rate, 1),
        "p95": pollers.p95,
        "unexpected": pollers.unexpected,
        "cold_ms": _cold(system, summary, tokens[0]),
        "reads": {
            "summary, cached": _load(system, pace, [_get(summary, tokens[0])], 200),
            "summary, 304": _load(system, pace, [_get(summary, tokens[0], If_None_Match=etag)], 304),
            "details, page 1": _load(system, pace, [_get(details, scenery.token)], 200),
            "details, page 150": _load(system, pace, [_get(f"{details}?page=150", scenery.token)], 200),
            "details, by cursor": _load(
                system, pace, [_get(_deep(system, details, scenery.token), scenery.token)], 200
            ),
        },
    }


def _at_a_pace(system: System, requests: list[str], status: int) -> Window:
    """Send one request for each poller every three seconds, on connections that stay open."""
    return measure(
        system,
        LoadPlan(
            concurrency=POLLERS // 4,
            seconds=POLLED_SECONDS,
            warm_seconds=2 * EVERY_SECONDS,
            port=system.host.port,
            requests=requests,
            expected=[status],
            per_second=POLLERS / EVERY_SECONDS,
        ),
    )


def _cores(window: Window) -> dict[str, float]:
    return {part: round(window.cpu[part] / window.seconds, 3) for part in ("workers", "postgres", "services")}


def _get(path: str, token: str, **headers: str) -> str:
    return request("GET", path, Authorization=f"Bearer {token}", **headers)


def _read(system: System, path: str, token: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx.get(f"{system.host.url}{path}", headers=headers, timeout=30, trust_env=False)
    answer.raise_for_status()
    return answer


def _deep(system: System, details: str, token: str) -> str:
    """The page that follows the 150th, by its cursor."""
    page = json.loads(_read(system, f"{details}?page=150", token).content)
    return f"{details}?cursor={page['next_cursor']}"


def _cold(system: System, summary: str, token: str) -> float:
    times = []
    for _ in range(COLD_READS):
        time.sleep(_STALE_SECONDS)
        began = time.perf_counter()
        _read(system, summary, token)
        times.append(time.perf_counter() - began)
    return round(median(times) * 1000, 1)


def _load(system: System, pace: Pace, requests: list[str], status: int) -> dict[str, Any]:
    window: Window = measure(
        system,
        LoadPlan(
            concurrency=8,
            seconds=pace.seconds,
            warm_seconds=pace.warm_seconds,
            port=system.host.port,
            requests=requests,
            expected=[status],
        ),
    )
    return {
        "rate": round(window.rate, 1),
        "p50": window.p50,
        "p95": window.p95,
        "cpu_ms": {part: round(window.cpu[part] / max(window.count, 1) * 1000, 3) for part in ("workers", "postgres")},
        "unexpected": window.unexpected,
    }
