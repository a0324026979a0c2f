"""More buyers than tickets, or equally many, all at once: exactly as many buyers as there are tickets may get one."""

from dataclasses import dataclass
from typing import Any

import psycopg

from tests.bench.cases import order_request
from tests.bench.plans import LoadPlan
from tests.bench.scenery import Scenery, add_limited_package
from tests.bench.system import System
from tests.bench.windows import measure


@dataclass(frozen=True)
class Rush:
    """A number of buyers, how many of them act at once, and how many tickets are left."""

    buyers: int
    at_once: int
    last: int


RUSHES = {
    "rush": Rush(buyers=200, at_once=200, last=50),
    "rush-300": Rush(buyers=300, at_once=300, last=100),
    "sale-5000": Rush(buyers=5_000, at_once=32, last=5_000),
}

_COUNTED = """
SELECT s.sold, count(DISTINCT i.order_id), count(t.id)
  FROM stock s
  LEFT JOIN order_items i ON i.event_id = s.event_id AND i.package_id = s.id
  LEFT JOIN tickets t ON t.event_id = i.event_id AND t.order_item_id = i.id
 WHERE s.event_id = %s AND s.id = %s
 GROUP BY s.sold
"""


def run_rush(system: System, scenery: Scenery, rush: Rush) -> dict[str, Any]:
    """Let the buyers buy, then count what they got, by their answers and in the database."""
    package_id = add_limited_package(system, scenery, limit=rush.last)
    plan = LoadPlan(
        concurrency=rush.at_once,
        seconds=0,
        warm_seconds=0,
        port=system.host.port,
        requests=[order_request(scenery, package_id)],
        expected=[201, 409],
        limit=rush.buyers,
    )
    window = measure(system, plan)
    with psycopg.connect(system.database_url) as connection:
        row = connection.execute(_COUNTED, (scenery.event_id, package_id)).fetchone()
    assert row is not None
    sold, orders, tickets = row
    found = (window.statuses.get("201"), sold, orders, tickets, window.unexpected)
    return {
        "buyers": rush.buyers,
        "at_once": rush.at_once,
        "last": rush.last,
        "bought": window.statuses.get("201", 0),
        "told_sold_out": window.statuses.get("409", 0),
        "unexpected": window.unexpected,
        "samples": window.samples,
        "sold_in_stock": sold,
        "orders": orders,
        "tickets": tickets,
        "seconds": round(window.seconds, 3),
        "exact": found == (rush.last, rush.last, rush.last, rush.last, 0),
    }
