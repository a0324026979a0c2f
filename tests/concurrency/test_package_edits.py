"""Packages edited, disabled and deleted in the middle of a rush: nothing is sold on terms that no longer hold."""

import random
import threading
import time
from collections import Counter
from itertools import cycle, islice, pairwise
from typing import Any

import psycopg
import pytest

from tests.concurrency.crowd import keep_buying, order, outcomes, place_at_once
from tests.concurrency.ledger import counts, deadlocks, disagreements
from tests.factories import at_once, event_state, open_evening, query, send_order


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer)


def test_an_order_has_the_terms_from_before_an_edit_or_from_after_it(evening, host, database_url, poll):
    """Name, price and seats change together; an order with the old name and the new price, or the reverse, is a mix."""
    terms = [("Early", 1_000, 1), ("Late", 2_500, 3)]
    package = evening.package(name="Early", price_cents=1_000, seats_per_package=1)
    edits: list[tuple[float, float, tuple[str, int, int]]] = []

    with keep_buying(host.url, evening.id, lambda: order((package["id"], 2))) as purchases:
        for name, cents, seats in islice(cycle(terms[::-1]), 12):
            so_far, sent = len(purchases), time.monotonic()
            change = {"name": name, "price_cents": cents, "seats_per_package": seats}
            assert evening.patch_package(package["id"], change).status_code == 200
            edits.append((sent, time.monotonic(), (name, cents, seats)))
            poll(lambda so_far=so_far: len(purchases) >= so_far + 20)

    assert outcomes([purchase.answer for purchase in purchases]) == {"201": len(purchases)}
    seen = set()
    for purchase in purchases:
        bought = purchase.answer.body
        (item,) = bought["items"]
        assert bought["total_cents"] == item["total_cents"] == 2 * item["unit_price_cents"]
        seen.add((item["description"], item["unit_price_cents"], len(bought["tickets"]) // 2))
    assert seen == set(terms)
    for (_, answered, now), (sent, _, _) in pairwise(edits):
        between = [purchase.answer.body for purchase in purchases if purchase.within(answered, sent)]
        assert {(b["items"][0]["description"], b["total_cents"], len(b["tickets"])) for b in between} <= {
            (now[0], 2 * now[1], 2 * now[2])
        }
    stored = query(
        database_url,
        "SELECT DISTINCT description, unit_price_cents, seats_per_package FROM order_items WHERE event_id = %s",
        evening.id,
    )
    assert set(stored) == set(terms)
    assert disagreements(database_url, evening.id) == []


def test_what_is_switched_off_and_on_again_is_sold_only_while_it_is_on(evening, host, database_url, poll):
    package = evening.package()
    windows: list[tuple[float, float, str]] = []
    began = time.monotonic()

    with keep_buying(host.url, evening.id, lambda: order((package["id"], 1))) as purchases:
        for switch, until_now in islice(cycle([("disable", "201"), ("enable", "409 package_not_on_sale")]), 8):
            so_far = len(purchases)
            poll(lambda so_far=so_far: len(purchases) >= so_far + 30)
            windows.append((began, time.monotonic(), until_now))
            path = f"{evening.packages}/{package['id']}/{switch}"
            assert evening.client.post(path, headers=evening.headers).status_code == 200
            began = time.monotonic()

    assert set(outcomes([purchase.answer for purchase in purchases])) == {"201", "409 package_not_on_sale"}
    for start, end, expected in windows:
        within = [purchase.answer for purchase in purchases if purchase.within(start, end)]
        assert outcomes(within) == {expected: len(within)}
        assert within, "somebody must have bought between two switches"
    assert counts(database_url, evening.id)["sold"] == sum(p.answer.status == 201 for p in purchases)
    assert disagreements(database_url, evening.id) == []


def test_a_limit_that_rises_and_sinks_while_fifty_buy_is_kept_at_every_moment(evening, host, database_url):
    package = evening.package(quantity_limit=15)
    rng = random.Random(20261121)
    edits: list[tuple[int, int, dict[str, Any]]] = []
    done = threading.Event()
    seen: list[tuple[int, int]] = []

    def watch() -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            while not done.is_set():
                now = "SELECT quantity_limit, held + sold FROM stock WHERE id = %s"
                seen.extend(connection.execute(now, [package["id"]]).fetchall())

    def edit() -> None:
        while not done.is_set():
            limit = rng.randint(1, 40)
            answer = evening.patch_package(package["id"], {"quantity_limit": limit})
            edits.append((limit, answer.status_code, answer.json()))

    aside = [threading.Thread(target=work) for work in (watch, edit)]
    for thread in aside:
        thread.start()
    answers = []
    for _ in range(2):
        answers += place_at_once(host.url, evening.id, [order((package["id"], 1))] * 50)
    done.set()
    for thread in aside:
        thread.join()

    assert set(outcomes(answers)) <= {"201", "409 sold_out"}
    assert {answer.body["remaining"] for answer in answers if answer.status == 409} <= {0}
    assert {status for _, status, _ in edits} <= {200, 409}
    for limit, status, body in edits:
        if status == 409:
            assert body["code"] == "limit_below_sales"
            assert body["sold_count"] > limit
        else:
            assert body["quantity_limit"] == limit >= body["sold_count"]
    assert all(taken <= limit for limit, taken in seen)
    assert len(seen) > 50
    sold = counts(database_url, evening.id)["sold"]
    assert sold == sum(answer.status == 201 for answer in answers)
    # Whatever was refused before: a new buyer can buy what is left now.
    assert evening.patch_package(package["id"], {"quantity_limit": sold + 7}).status_code == 200
    late = place_at_once(host.url, evening.id, [order((package["id"], 1))] * 10)
    assert outcomes(late) == {"201": 7, "409 sold_out": 3}
    assert disagreements(database_url, evening.id) == []


def test_a_package_deleted_in_a_rush_is_gone_unsold_or_stays_and_everybody_has_it(evening, client, database_url):
    """A buyer of two packages is sold both or nothing, and there is no deadlock."""
    deadlocks_before = deadlocks(client)
    for number in range(6):
        other, package, headers = evening.package(), evening.package(), evening.headers
        before = event_state(database_url, evening.id)

        def act(buyer: int, package=package, other=other, headers=headers, first=number) -> str:
            if buyer == first:
                path = f"{evening.packages}/{package['id']}?confirm=true"
                answer = client.delete(path, headers=headers)
            else:
                answer = send_order(client, evening.id, [(package["id"], 1), (other["id"], 1)][: 1 + buyer % 2])
            return f"{answer.status_code} {answer.json().get('code', '')}".strip() if answer.content else "204"

        answers = at_once(12, act)
        deleted = answers.pop(number)
        if deleted == "204":
            assert Counter(answers) == {"422 unknown_package": 11}
            after = event_state(database_url, evening.id)
            assert {table: after[table] for table in ("orders", "order_items", "tickets", "idempotency_keys")} == {
                table: before[table] for table in ("orders", "order_items", "tickets", "idempotency_keys")
            }
        else:
            assert deleted == "409 package_has_sales"
            assert Counter(answers) == {"201": 11}
            assert evening.read_package(package["id"])["sold_count"] == 11
        assert disagreements(database_url, evening.id) == []
    assert deadlocks(client) == deadlocks_before
