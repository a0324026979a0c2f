"""How many SQL statements an order takes, counted by the server (pg_stat_statements)."""

import re
import time
from typing import Any

import psycopg

from tests.bench.cases import order_request
from tests.bench.plans import LoadPlan
from tests.bench.scenery import Scenery
from tests.bench.system import APP_DATABASE, System
from tests.bench.windows import measure

_COUNTED = """
SELECT s.toplevel, s.query, s.calls
  FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
 WHERE d.datname = %s AND s.query NOT LIKE '%%pg_stat_statements%%'
 ORDER BY s.toplevel DESC, s.calls DESC
"""
_SETTLE_SECONDS = 0.5


def count_statements(system: System, scenery: Scenery, *, orders: int) -> dict[str, Any]:
    """Place `orders` orders one after the other and count what the server ran in that time.

    A host without the mail function serves them, and the system's own must be stopped. Statements that ran for less
    than every second order belong to the outbox and the timers, not to the order.
    """
    quiet = system.another_host(AzureWebJobs_deliver_email_Disabled="1")
    quiet.start()
    try:
        with psycopg.connect(system.postgres.url(), autocommit=True) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
            _track(connection, "all")
            _place(system, quiet.port, scenery, orders=5)
            connection.execute("SELECT pg_stat_statements_reset()")
            _place(system, quiet.port, scenery, orders=orders)
            rows = connection.execute(_COUNTED, (APP_DATABASE,)).fetchall()
            _track(connection, "none")
    finally:
        quiet.stop()
    counted = [
        {"from": "client" if top else "nested", "statement": _short(query), "per_order": round(calls / orders, 3)}
        for top, query, calls in rows
    ]
    own = [row for row in counted if row["per_order"] >= 0.5]
    return {
        "orders": orders,
        "client_per_order": sum(round(row["per_order"]) for row in own if row["from"] == "client"),
        "nested_per_order": sum(round(row["per_order"]) for row in own if row["from"] == "nested"),
        "background_per_order": round(sum(row["per_order"] for row in counted if row["per_order"] < 0.5), 2),
        "statements": counted,
    }


def _place(system: System, port: int, scenery: Scenery, *, orders: int) -> None:
    plan = LoadPlan(
        concurrency=1,
        seconds=0,
        warm_seconds=0,
        port=port,
        requests=[order_request(scenery, scenery.package_ids[0])],
        expected=[201],
        limit=orders,
    )
    window = measure(system, plan)
    if window.unexpected:
        raise RuntimeError(f"an order was refused: {window.samples}")


def _track(connection: psycopg.Connection[Any], what: str) -> None:
    connection.execute(f"ALTER SYSTEM SET pg_stat_statements.track = '{what}'")
    connection.execute("SELECT pg_reload_conf()")
    time.sleep(_SETTLE_SECONDS)


def _short(query: str) -> str:
    return re.sub(r"\s+", " ", query).strip()[:100]
