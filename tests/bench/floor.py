"""The raw floor: what the order's own SQL costs when only psycopg calls the server.

`python -m tests.bench.floor` reads a plan as `tests.bench.load` does. Each connection is a forked process in a closed
loop. It runs INSERT_ORDER and the claim as one pipeline, which is one transaction with the most wanted row last.
Without packages it inserts one short row, which costs little more than a commit.
"""

import json
import multiprocessing
import multiprocessing.synchronize
import os
import secrets
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection as Pipe
from typing import Any
from uuid import UUID

import psycopg

from shared.domain.orders.lines.offers import EventTerms, Offer
from shared.domain.orders.lines.packages import PACKAGE
from shared.domain.orders.placing import drafting, statements
from shared.domain.orders.placing.basket import Customer, SalesChannel
from shared.domain.orders.placing.records import order_parameters, record_of
from shared.domain.orders.placing.rules import Line
from shared.domain.stock.commands import Claim, claim
from shared.kit.db.idempotency import Idempotency
from shared.kit.ids import new_id
from tests.bench.plans import FloorPlan, outcome

ITEM_ID = "the item's id"

type Transaction = Callable[[], None]


def run(plan: FloorPlan) -> dict[str, object]:
    """Carry out the plan and return its outcome."""
    fork = multiprocessing.get_context("fork")  # the forked processes share these imports
    if not plan.package_ids:
        with psycopg.connect(plan.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS bench_commits (id uuid PRIMARY KEY)")
    barrier = fork.Barrier(plan.concurrency + 1)
    pipes = []
    for number in range(plan.concurrency):
        receiving, sending = fork.Pipe(duplex=False)
        fork.Process(target=_loop, args=(plan, number, barrier, sending), daemon=True).start()
        pipes.append(receiving)
    barrier.wait(60)
    time.sleep(plan.warm_seconds)
    print("start", flush=True)
    reports = [pipe.recv() for pipe in pipes]
    result = outcome([seconds for report in reports for seconds in report["latencies"]], plan.seconds)
    cpu = sum(report["cpu"] for report in reports)
    return result | {"statuses": {}, "unexpected": 0, "samples": [], "generator_cpu": cpu}


def _loop(plan: FloorPlan, number: int, barrier: multiprocessing.synchronize.Barrier, report: Pipe) -> None:
    latencies: list[float] = []
    with psycopg.connect(plan.url, autocommit=True) as connection:
        run_once = _orders(connection, plan, number) if plan.package_ids else _commits(connection)
        barrier.wait(60)
        warm_until = time.perf_counter() + plan.warm_seconds
        while time.perf_counter() < warm_until:
            run_once()
        cpu, before = time.process_time(), time.perf_counter()
        ends = before + plan.seconds
        while before < ends:
            run_once()
            after = time.perf_counter()
            latencies.append(after - before)
            before = after
        report.send({"latencies": latencies, "cpu": time.process_time() - cpu})
    os._exit(0)


def _commits(connection: psycopg.Connection[Any]) -> Transaction:
    def commit() -> None:
        connection.execute("INSERT INTO bench_commits VALUES (%s)", (new_id(),), prepare=True)

    return commit


def _orders(connection: psycopg.Connection[Any], plan: FloorPlan, number: int) -> Transaction:
    event_id = UUID(plan.event_id)
    templates = [_template(connection, event_id, UUID(package_id)) for package_id in plan.package_ids]
    turn = number  # so that neighbours begin with different packages

    def place() -> None:
        nonlocal turn
        order, claimed = templates[turn % len(templates)]
        items, entries, messages = order["items"], json.loads(order["entries"]), json.loads(order["messages"])
        turn += 1
        item_id, word = new_id(), secrets.token_hex(6)
        order = order | {
            "id": (order_id := new_id()),
            "order_id": order_id,
            "cause": order_id,
            "number": f"ORD-{word}",
            "items": items.replace(ITEM_ID, str(item_id)),
            "tickets": json.dumps(
                [{"id": str(new_id()), "order_item_id": str(item_id), "number": f"TKT-{word}-01", "status": "valid"}]
            ),
            "entries": json.dumps([entry | {"id": str(new_id())} for entry in entries]),
            "messages": json.dumps([message | {"id": str(new_id())} for message in messages]),
            "key_hash": secrets.token_bytes(32),
        }
        with connection.pipeline():
            connection.execute(statements.INSERT_ORDER, order, prepare=True)
            claim(connection, event_id, [claimed], only_hold=False)

    return place


def _template(connection: psycopg.Connection[Any], event_id: UUID, package_id: UUID) -> tuple[dict[str, Any], Claim]:
    """The parameters of an order for one package; its unique values are replaced for each order."""
    terms = connection.execute(
        "SELECT terms FROM stock WHERE event_id = %s AND id = %s", (event_id, package_id)
    ).fetchone()
    assert terms is not None
    offer = Offer(
        kind=PACKAGE,
        id=package_id,
        name="Package",
        price_cents=2500,
        tickets_each=1,
        is_enabled=True,
        min_per_order=1,
        max_per_order=None,
        sale_starts_at=None,
        sale_ends_at=None,
        remaining=None,
        terms=terms[0],
        options_per="item",
        options=(),
    )
    idempotency = Idempotency(event_id, secrets.token_bytes(32), secrets.token_bytes(32))
    draft = drafting.draft_of(
        event_id,
        EventTerms("published", "USD", None, timedelta(minutes=15)),
        [Line(offer, 1)],
        channel=SalesChannel(),
        customer=Customer("Bea Buyer", "bea@demo.test", None, None, "email:bea@demo.test"),
        method="test",
        is_paid=True,
        promo=None,
        now=datetime.now(UTC),
    )
    order = order_parameters(draft, record_of(draft), idempotency)
    order["items"] = order["items"].replace(str(draft.lines[0].id), ITEM_ID)
    return order, draft.claims[0]


if __name__ == "__main__":
    print(json.dumps(run(FloorPlan.from_json(sys.stdin.read()))), flush=True)
