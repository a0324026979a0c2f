"""Money at the same instant: refunds, payments, cancellations and expiry race each other, and the books agree."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from shared.domain.orders.releasing import release_all_overdue
from shared.kit.clock import utc_now
from tests.architecture.application import load
from tests.concurrency.crowd import order, outcomes, place_at_once
from tests.concurrency.ledger import wait_for_locks
from tests.factories import at_once, new_email, new_key, open_evening, query, send_order
from tests.http.test_payments import ask, hold, let_time_pass, pay, read, stock
from tests.http.test_reconciliation import findings

SEED = 20261121


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer)


def refund(evening, bought, wish):
    headers = evening.headers | {"Idempotency-Key": new_key()}
    path = f"{evening.path}/orders/{bought['id']}/refund"
    return evening.client.post(path, json={"reason": "Ill"} | wish, headers=headers)


@pytest.mark.parametrize("seed", range(SEED, SEED + 3))
def test_refunds_of_all_kinds_at_once_never_exceed_what_was_paid(evening, database_url, seed):
    rng = random.Random(seed)
    pairs, singles = evening.package(price_cents=999, seats_per_package=2), evening.package(price_cents=1_234)
    bought = hold(evening, (pairs["id"], 3), (singles["id"], 2))
    tickets = [ticket["id"] for ticket in pay(evening, bought)["tickets"]]
    items = [item["id"] for item in bought["items"]]
    kinds = [
        lambda: {"amount_cents": rng.randint(1, 2_000)},
        lambda: {"ticket_ids": rng.sample(tickets, rng.randint(1, 3))},
        lambda: {"items": [{"item_id": rng.choice(items), "quantity": rng.randint(1, 2)}]},
    ]
    wishes = [rng.choice(kinds)() for _ in range(9)] + [{}]
    rng.shuffle(wishes)

    answers = at_once(10, lambda number: refund(evening, bought, wishes[number]))

    assert {answer.status_code for answer in answers} <= {201, 409, 422}, [answer.text for answer in answers]
    returned = sum(answer.json()["amount_cents"] for answer in answers if answer.status_code == 201)
    after = read(evening, bought)
    assert returned == after["refunded_cents"] == bought["total_cents"]  # one of them asked for the whole rest
    assert {ticket["status"] for ticket in after["tickets"]} == {"void"}
    booked = "SELECT sum(amount_cents)::int FROM ledger WHERE order_id = %s AND kind = 'refund'"
    assert query(database_url, booked, bought["id"]) == [(returned,)]
    assert (stock(evening, pairs), stock(evening, singles)) == ((0, 0), (0, 0))
    assert findings(evening) == []


def test_of_payment_expiry_and_cancellation_exactly_one_wins(evening, database_url):
    """Another buyer wants the same ticket: an order that finds too few tickets ends the overdue order first."""
    seen = set()
    for round_ in range(24):
        package = evening.package(quantity_limit=1)
        bought = hold(evening, (package["id"], 1))
        assert ask(evening, bought, "payment-intent").status_code == 201
        let_time_pass(database_url, bought)

        def act(number, package=package, bought=bought, first=round_ % 6):
            if number != first < 3:  # in half of the rounds one of them starts a little earlier
                time.sleep(0.01)
            if number == 0:
                return ask(evening, bought, "confirm", {"card": "succeeds"})
            if number == 1:
                return ask(evening, bought, "cancel")
            return send_order(evening.client, evening.id, [(package["id"], 1)])

        confirmed, cancelled, other = at_once(3, act)

        state = read(evening, bought)["status"]
        refunds = query(database_url, "SELECT reason FROM refunds WHERE order_id = %s", bought["id"])
        assert confirmed.status_code == 200
        assert cancelled.status_code == (200 if state == "cancelled" else 409)
        if state == "paid":
            assert (refunds, other.status_code) == ([], 409)
            assert other.json()["code"] == "sold_out"
        else:
            assert state in {"cancelled", "expired"}
            assert refunds == [("paid_too_late",)]
        # At the latest now the ticket belongs to somebody, and to only one buyer.
        if state != "paid" and other.status_code != 201:
            assert send_order(evening.client, evening.id, [(package["id"], 1)]).status_code == 201
        assert stock(evening, package) == (0, 1)
        seen.add(state)
    assert len(seen) > 1, f"the race had always the same winner: {seen}"
    assert findings(evening) == []


def test_what_expires_is_sold_again_to_the_last_ticket_while_timers_run(evening, host, database_url):
    package = evening.package(quantity_limit=60)
    for _ in range(20):
        hold(evening, (package["id"], 3))
    overdue = "UPDATE orders SET expires_at = now() - interval '1 second' WHERE event_id = %s RETURNING 1"
    assert len(query(database_url, overdue, evening.id)) == 20
    stop = threading.Event()

    def timer() -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            while not stop.is_set():
                release_all_overdue(connection, now=utc_now())

    with ThreadPoolExecutor(2) as timers:
        running = [timers.submit(timer) for _ in range(2)]
        try:
            answers = place_at_once(host.url, evening.id, [order((package["id"], 1))] * 120)
        finally:
            stop.set()
        for one in running:
            one.result()

    assert outcomes(answers) == {"201": 60, "409 sold_out": 60}
    assert stock(evening, package) == (0, 60)
    states = "SELECT status, count(*) FROM orders WHERE event_id = %s GROUP BY status ORDER BY status"
    assert query(database_url, states, evening.id) == [("expired", 20), ("paid", 60)]
    assert findings(evening) == []


def test_cards_and_cash_codes_and_twenty_packages_in_any_combination(evening, host, database_url):
    rng = random.Random(SEED)
    packages = [evening.package(quantity_limit=8, seats_per_package=rng.randint(1, 3))["id"] for _ in range(20)]
    for code, most in (("FIRST", 12), ("SECOND", 20)):
        body = {"code": code, "discount_type": "percentage", "discount_value": 25, "max_total_uses": most}
        assert evening.client.post(f"{evening.path}/promo-codes", json=body, headers=evening.headers).is_success
    wishes = []
    for _ in range(120):
        items = [(package, rng.randint(1, 2)) for package in rng.sample(packages, rng.randint(1, 4))]
        how = {"payment_method": rng.choice(["card", "test"]), "promo_code": rng.choice([None, "FIRST", "SECOND"])}
        wishes.append(order(*items) | {name: value for name, value in how.items() if value})

    answers = place_at_once(host.url, evening.id, wishes)

    assert set(outcomes(answers)) <= {"201", "409 sold_out", "422 promo_code_used_up"}
    assert findings(evening) == []
    held = [answer.body for answer in answers if answer.status == 201 and answer.body["status"] == "pending"]
    assert len(held) >= 10

    def end(number: int) -> int:
        """Of the pending orders some are paid, some given up, some expired; some by two callers at once."""
        bought = held[number // 2]
        if (number // 2) % 4 == 3:
            return ask(evening, bought, "cancel").status_code
        if number % 2:
            return refund(evening, bought, {}).status_code
        assert ask(evening, bought, "payment-intent").status_code in {201, 409}
        return ask(evening, bought, "confirm", {"card": "succeeds"}).status_code

    with ThreadPoolExecutor(12) as buyers:
        codes = list(buyers.map(end, range(2 * len(held))))
    assert set(codes) <= {200, 201, 409}
    assert findings(evening) == []

    sold = "SELECT sum(sold)::int, sum(held)::int FROM stock WHERE event_id = %s"
    lives = """
        SELECT coalesce(sum(i.quantity - i.returned), 0)::int FROM orders o JOIN order_items i ON i.order_id = o.id
         WHERE o.event_id = %s AND o.paid_at IS NOT NULL
    """
    ((still_sold, still_held),) = query(database_url, sold, evening.id)
    assert (still_sold, still_held) == (query(database_url, lives, evening.id)[0][0], 0)
    over = "SELECT count(*) FROM stock WHERE event_id = %s AND sold + held > quantity_limit"
    assert query(database_url, over, evening.id) == [(0,)]


def test_orders_of_one_customer_wait_for_each_other_and_those_of_others_do_not(
    evening, client, database_url, poll, app_environment
):
    """Each order is counted after the one before has committed; here one is held open between count and commit."""
    path, headers = evening.path, evening.headers
    assert client.patch(path, json={"max_tickets_per_customer": 3}, headers=headers).is_success
    package = evening.package(seats_per_package=2)
    email = new_email("greedy")
    named = load("shared.domain.promotions.redeeming", app_environment).customer_of
    claim = "SELECT claim_for_customer(%s, gen_random_uuid(), %s, 2, 3)"

    def buy(email: str) -> int:
        customer = {"name": "Me", "email": email}
        return send_order(client, evening.id, [(package["id"], 1)], customer=customer).status_code

    with psycopg.connect(database_url) as under_way, ThreadPoolExecutor(1) as buyer:
        under_way.execute(claim, [evening.id, named(None, email)])
        assert buy(new_email("other")) == 201
        answer = buyer.submit(buy, email)
        wait_for_locks(database_url, 1, poll)
        under_way.rollback()
        assert answer.result() == 201
    assert buy(email) == 409
