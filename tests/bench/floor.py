"""The raw floor: what the order's own SQL costs when nothing but psycopg stands before the server.

`python -m tests.bench.floor` reads a plan as `tests.bench.load` does. Each connection is a forked process in a closed
loop that runs INSERT_ORDER and CLAIM_STOCK as one pipeline, which is one transaction with the hot row last; or, without
packages, inserts one short row, which is a commit and hardly more.
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

from shared.domain.orders.placing import drafting, statements
from shared.domain.orders.placing.placed import order_row
from shared.domain.orders.placing.rules import Line, Offer
from shared.domain.orders.schemas import OrderPlace
from shared.kit.actor import GUEST
from shared.kit.db.idempotency import Idempotency
from shared.kit.ids import new_id
from tests.bench.plans import FloorPlan, outcome

ITEM_ID = "the item's id"

type Transaction = Callable[[], None]


def run(plan: FloorPlan) -> dict[str, object]:
    """Carry out the plan and return its outcome."""
    fork = multiprocessing.get_context("fork")  # the imports are paid once
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
        order, claim = templates[turn % len(templates)]
        items, entries = order["items"], json.loads(order["entries"])
        turn += 1
        item_id, word = new_id(), secrets.token_hex(6)
        order = order | {
            "id": new_id(),
            "number": f"ORD-{word}",
            "items": items.replace(ITEM_ID, str(item_id)),
            "tickets": json.dumps([{"id": str(new_id()), "item_id": str(item_id), "number": f"TKT-{word}-01"}]),
            "entries": json.dumps([entry | {"id": str(new_id())} for entry in entries]),
            "message_id": new_id(),
            "key_hash": secrets.token_bytes(32),
        }
        with connection.pipeline():
            connection.execute(statements.INSERT_ORDER, order, prepare=True)
            connection.execute(statements.CLAIM_STOCK, claim, prepare=True)

    return place


def _template(
    connection: psycopg.Connection[Any], event_id: UUID, package_id: UUID
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters of an order for one of the package: its unique values are then written over."""
    terms = connection.execute(
        "SELECT terms FROM package_stock WHERE event_id = %s AND package_id = %s", (event_id, package_id)
    ).fetchone()
    assert terms is not None
    offer = Offer(
        package_id=package_id,
        name="Package",
        price_cents=2500,
        seats_per_package=1,
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
    body = OrderPlace.model_validate_json(
        json.dumps(
            {
                "customer": {"name": "Bea Buyer", "email": "bea@demo.test"},
                "items": [{"package_id": str(package_id), "quantity": 1}],
                "payment_method": "test",
            }
        )
    )
    idempotency = Idempotency(event_id, secrets.token_bytes(32), secrets.token_bytes(32))
    evening = drafting.Evening("USD", None, timedelta(minutes=15))
    draft = drafting.draft_of(
        event_id,
        evening,
        [Line(offer, 1)],
        method="test",
        is_paid=True,
        promo=None,
        customer="email:bea@demo.test",
        now=datetime.now(UTC),
    )
    order = order_row(draft, body, GUEST, drafting.Counter(), idempotency)
    order["items"] = order["items"].replace(str(draft.items[0].id), ITEM_ID)
    claim = {
        "event_id": event_id,
        "package_ids": [package_id],
        "quantities": [1],
        "terms": [offer.terms],
        "only_hold": False,
    }
    return order, claim


if __name__ == "__main__":
    print(json.dumps(run(FloorPlan.from_json(sys.stdin.read()))), flush=True)
