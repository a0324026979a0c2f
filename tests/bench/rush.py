"""Two hundred buyers at once for the last fifty: exactly fifty may have them."""

from typing import Any

import psycopg

from tests.bench.cases import order_request
from tests.bench.plans import LoadPlan
from tests.bench.scenery import Scenery, add_limited_package
from tests.bench.system import System
from tests.bench.windows import measure

BUYERS = 200
LAST = 50

_COUNTED = """
SELECT s.sold, count(DISTINCT i.order_id), count(t.id)
  FROM package_stock s
  LEFT JOIN order_items i ON i.event_id = s.event_id AND i.package_id = s.package_id
  LEFT JOIN tickets t ON t.event_id = i.event_id AND t.order_item_id = i.id
 WHERE s.event_id = %s AND s.package_id = %s
 GROUP BY s.sold
"""


def run_rush(system: System, scenery: Scenery) -> dict[str, Any]:
    """Let the buyers in and count what they got, by their answers and in the database."""
    package_id = add_limited_package(system, scenery, limit=LAST)
    plan = LoadPlan(
        concurrency=BUYERS,
        seconds=0,
        warm_seconds=0,
        port=system.host.port,
        requests=[order_request(scenery, package_id)],
        expected=[201, 409],
        limit=BUYERS,
    )
    window = measure(system, plan)
    with psycopg.connect(system.database_url) as connection:
        row = connection.execute(_COUNTED, (scenery.event_id, package_id)).fetchone()
    assert row is not None
    sold, orders, tickets = row
    return {
        "buyers": BUYERS,
        "last": LAST,
        "bought": window.statuses.get("201", 0),
        "told_sold_out": window.statuses.get("409", 0),
        "unexpected": window.unexpected,
        "samples": window.samples,
        "sold_in_stock": sold,
        "orders": orders,
        "tickets": tickets,
        "seconds": round(window.seconds, 3),
        "exact": (window.statuses.get("201"), sold, orders, tickets, window.unexpected) == (LAST, LAST, LAST, LAST, 0),
    }
