"""How fast the team finds orders among a million of one event, and what its indexes cost each new order."""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any
from urllib.parse import urlencode

import psycopg

from infra.local.console import say
from shared.domain.orders.search.words import learn_words
from tests.bench.cases import Pace, authorised
from tests.bench.leftovers import strike_off_mail
from tests.bench.names import first_names, last_names
from tests.bench.past_orders import add_past_orders
from tests.bench.plans import FloorPlan, LoadPlan
from tests.bench.scenery import Scenery
from tests.bench.system import System
from tests.bench.windows import Window, measure, summary

AT_ONCE = (1, 8)
COST_ROUNDS = 2
VARIETY = 40  # the number of different requests of each kind, which are sent in turn

# What the migration 0010 has added to the tables that an order is written to.
_INDEXES = """
SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index
 WHERE indexrelid::regclass::text = ANY(%s)
"""
SEARCH_INDEX = "ix_orders_search"
NEW_INDEXES = [
    SEARCH_INDEX,
    "ix_orders_event_id_status_id",
    "ix_orders_event_id_total_cents_id",
    "ix_orders_event_id_name_id",
    "ix_orders_event_id_payment_method_id",
    "ix_outbox_order_id",
]

_REFUND_SOME = """
UPDATE orders SET status = 'refunded' WHERE event_id = %(event)s AND abs(hashtext(id::text)) %% 1000 = 0
"""
_SELL_SOME_IN_CASH = """
UPDATE orders SET channel = 'box_office', payment_method = 'cash'
 WHERE event_id = %(event)s AND abs(hashtext(id::text)) %% 50 = 1
"""
_SELL_EARLY = """
UPDATE order_items SET package_id = %(early)s
 WHERE event_id = %(event)s AND order_id < (
       SELECT id FROM orders WHERE event_id = %(event)s ORDER BY id
       OFFSET (SELECT count(*) / 10 FROM orders WHERE event_id = %(event)s) LIMIT 1)
"""

type Parameters = dict[str, str]


def measure_order_search(system: System, scenery: Scenery, pace: Pace, *, most: int) -> dict[str, Any]:
    """Fill an event with sixty-four packages, then measure lists, searches, the dashboard, and placing."""
    event = replace(scenery, event_id=scenery.searched_id, package_ids=scenery.searched_package_ids)
    with psycopg.connect(system.database_url, autocommit=True) as connection:
        definitions: dict[str, str] = dict(connection.execute(_INDEXES, [NEW_INDEXES]).fetchall())
        _drop(connection, definitions)  # it is faster to index a million rows at once
        add_past_orders(system, event, first=1, last=most)
        _mix(connection, event)
        _build(connection, definitions)
        say(f"  {most:,} orders, by {VARIETY} requests of each kind")
        while not _knows_all(connection, event):
            learn_words(connection)
        searches = {
            name: {str(each): summary([_measure(system, event, make, each, pace)]) for each in AT_ONCE}
            for name, make in _kinds(connection, event).items()
        }
        yardstick = _measure_requests(system, [authorised(scenery, scenery.package_path)], 1, pace)
        searches["the dashboard"] = measure_dashboard(system, event, pace)
        placing = _measure_placing(system, event, connection, definitions, pace)
    return {"orders": most, "yardstick": summary([yardstick]), "searches": searches, "placing": placing}


def _mix(connection: psycopg.Connection[Any], event: Scenery) -> None:
    """Give some orders other states, payment methods and packages; the first tenth are all for one early package."""
    which = {"event": event.event_id, "early": event.package_ids[1]}
    for statement in (_REFUND_SOME, _SELL_SOME_IN_CASH, _SELL_EARLY):
        connection.execute(statement.encode(), which)
    connection.execute("VACUUM ANALYZE")


def _kinds(connection: psycopg.Connection[Any], event: Scenery) -> dict[str, Callable[[int], Parameters]]:
    """The requests by kind; the requests of a kind all differ."""
    chance = random.Random(2)
    some = connection.execute(
        "SELECT o.customer_name, o.customer_email, o.number, t.number FROM orders o TABLESAMPLE SYSTEM (1)"
        " JOIN order_items i ON i.event_id = o.event_id AND i.order_id = o.id"
        " JOIN tickets t ON t.event_id = i.event_id AND t.order_item_id = i.id WHERE o.event_id = %s LIMIT 4000",
        [event.event_id],
    ).fetchall()
    people = chance.sample(some, VARIETY)
    first, last = first_names(), last_names()
    cash = {"payment_method": "cash"}
    now = datetime.now(UTC)

    def day(number: int) -> Parameters:
        begin = now - timedelta(days=2 + number % 5)
        return {"from": begin.isoformat(), "to": (begin + timedelta(days=1)).isoformat()}

    return {
        "newest first": lambda _: {},
        "highest total first": lambda _: {"sort": "total"},
        "by name": lambda _: {"sort": "name"},
        "of a rare status": lambda _: {"status": "refunded"},
        "of a package sold early": lambda _: {"package_id": event.package_ids[1]},
        "paid in cash": lambda _: cash,
        "of one day": day,
        "a frequent word": lambda number: {"q": (first[:10] + last[:6])[number % 16]},
        "a rarer word": lambda number: {"q": last[200 + 37 * number]},
        "first and last name": lambda number: {"q": people[number][0]},
        "a whole e-mail address": lambda number: {"q": people[number][1]},
        "an order's number": lambda number: {"q": people[number][2]},
        "a ticket's number": lambda number: {"q": people[number][3]},
        "a word of a rare status": lambda number: {"q": last[number % 6], "status": "refunded"},
        "a name with a slip": lambda number: {"q": _slip(people[number][0], chance)},
        "a frequent word, by name": lambda number: {"q": (first[:10] + last[:6])[number % 16], "sort": "name"},
        "a frequent word in cash, by total": lambda number: {"q": last[number % 6], "sort": "total"} | cash,
        "of one day, by total": lambda number: day(number) | {"sort": "total"},
        "of a package sold early, by total": lambda _: {"package_id": event.package_ids[1], "sort": "total"},
        "signs": lambda number: {"q": ("%", "...", "@", "o'n")[number % 4]},
    }


def _slip(name: str, chance: random.Random) -> str:
    """The name with two letters of its last word swapped."""
    place = chance.randrange(len(name) - 3, len(name) - 1)
    return name[:place] + name[place + 1] + name[place] + name[place + 2 :]


def _measure(system: System, event: Scenery, make: Callable[[int], Parameters], at_once: int, pace: Pace) -> Window:
    path = f"/api/v1/admin/events/{event.event_id}/orders"
    requests = [authorised(event, f"{path}?{urlencode(make(number))}") for number in range(VARIETY)]
    return _measure_requests(system, requests, at_once, pace)


def measure_dashboard(system: System, event: Scenery, pace: Pace) -> dict[str, Any]:
    """The dashboard as its pollers get it: mostly from the cache, sometimes computed again."""
    requests = [authorised(event, f"/api/v1/admin/events/{event.event_id}/dashboard")]
    return {str(each): summary([_measure_requests(system, requests, each, pace)]) for each in AT_ONCE}


def _measure_requests(system: System, requests: list[str], at_once: int, pace: Pace) -> Window:
    plan = LoadPlan(
        concurrency=at_once,
        seconds=pace.seconds,
        warm_seconds=pace.warm_seconds,
        port=system.host.port,
        requests=requests,
        expected=[200],
    )
    return measure(system, plan)


def _measure_placing(
    system: System,
    event: Scenery,
    connection: psycopg.Connection[Any],
    definitions: dict[str, str],
    pace: Pace,
) -> dict[str, Any]:
    """Time an order's SQL without the new indexes, with all except the search's, and with all of them."""
    search = {SEARCH_INDEX: definitions[SEARCH_INDEX]}
    others = {name: each for name, each in definitions.items() if name != SEARCH_INDEX}
    steps: dict[str, dict[str, str]] = {"without": {}, "without search": others, "with": search}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in steps}
    for _ in range(COST_ROUNDS):
        _drop(connection, definitions)
        for name, more in steps.items():
            _build(connection, more)
            found[name].append(_place(system, event, connection, pace))
            strike_off_mail(system)
    return {
        name: {figure: round(median(each[figure] for each in rounds), 3) for figure in rounds[0]}
        for name, rounds in found.items()
    }


def _place(system: System, event: Scenery, connection: psycopg.Connection[Any], pace: Pace) -> dict[str, float]:
    plan = FloorPlan(
        concurrency=1,
        seconds=pace.seconds,
        warm_seconds=pace.warm_seconds,
        url=system.database_url,
        event_id=event.event_id,
        package_ids=event.package_ids[:1],
    )
    connection.execute("CHECKPOINT")
    before = connection.execute("SELECT pg_current_wal_insert_lsn()").fetchone()
    window = measure(system, plan)
    wal = connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s)", before).fetchone()
    assert wal is not None
    whole = window.count * (1 + pace.warm_seconds / pace.seconds)  # the warm-up writes as well
    return {
        "p50": window.p50,
        "p99": window.p99,
        "postgres_ms": window.cpu["postgres"] / window.count * 1000,
        "wal_kb": float(wal[0]) / whole / 1000,
    }


def _drop(connection: psycopg.Connection[Any], definitions: dict[str, str]) -> None:
    for name in definitions:
        connection.execute(f"DROP INDEX IF EXISTS {name}".encode())


def _build(connection: psycopg.Connection[Any], definitions: dict[str, str]) -> None:
    for definition in definitions.values():
        connection.execute(definition.encode())
    connection.execute("VACUUM ANALYZE orders")


def _knows_all(connection: psycopg.Connection[Any], event: Scenery) -> bool:
    last = "SELECT id FROM orders WHERE event_id = %(event)s ORDER BY id DESC LIMIT 1"
    known = f"SELECT until = ({last}) FROM order_words_learnt WHERE event_id = %(event)s"
    return connection.execute(known.encode(), {"event": event.event_id}).fetchone() == (True,)
