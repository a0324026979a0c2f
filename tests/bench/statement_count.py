"""How many SQL statements an order and a list take, counted by the server (pg_stat_statements)."""

import re
import time
from typing import Any

import psycopg

from tests.bench.cases import authorised, order_request
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
_LIST_SIZES = (1, 50)
_LISTS_COUNTED = 50


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
            _send(system, quiet.port, order_request(scenery, scenery.package_ids[0]), 201, times=5)
            connection.execute("SELECT pg_stat_statements_reset()")
            _send(system, quiet.port, order_request(scenery, scenery.package_ids[0]), 201, times=orders)
            rows = connection.execute(_COUNTED, (APP_DATABASE,)).fetchall()
            lists = {
                f"a list of {size}": _per_list(system, quiet.port, connection, scenery, page_size=size)
                for size in _LIST_SIZES
            }
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
        "lists": lists,
    }


def _per_list(
    system: System, port: int, connection: psycopg.Connection[Any], scenery: Scenery, *, page_size: int
) -> int:
    """How many statements a list takes from which the coordinator reads `page_size` packages."""
    path = scenery.admin_catalogue_path(page_size=page_size)
    connection.execute("SELECT pg_stat_statements_reset()")
    _send(system, port, authorised(scenery, path), 200, times=_LISTS_COUNTED)
    rows = connection.execute(_COUNTED, (APP_DATABASE,)).fetchall()
    return sum(round(calls / _LISTS_COUNTED) for top, _, calls in rows if top)


def _send(system: System, port: int, request: str, status: int, *, times: int) -> None:
    plan = LoadPlan(
        concurrency=1,
        seconds=0,
        warm_seconds=0,
        port=port,
        requests=[request],
        expected=[status],
        limit=times,
    )
    window = measure(system, plan)
    if window.unexpected:
        raise RuntimeError(f"not the answer that was expected: {window.samples}")


def _track(connection: psycopg.Connection[Any], what: str) -> None:
    connection.execute(f"ALTER SYSTEM SET pg_stat_statements.track = '{what}'")
    connection.execute("SELECT pg_reload_conf()")
    time.sleep(_SETTLE_SECONDS)


def _short(query: str) -> str:
    return re.sub(r"\s+", " ", query).strip()[:100]
