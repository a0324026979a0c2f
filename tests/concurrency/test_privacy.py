"""A customer buys while they are being erased: each order is erased whole or not at all, and limits hold throughout."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.concurrency.ledger import deadlocks, disagreements, wait_for_locks
from tests.factories import assert_problem, at_once, new_email, open_evening, query, send_order


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer, max_tickets_per_customer=6)


@pytest.mark.parametrize("by", ["test", "card"])
def test_a_customer_who_buys_while_being_erased_gets_no_more_than_they_may_have(by, evening, client, database_url):
    package = evening.package(quantity_limit=100)
    promo = {"code": "ONLYTWO", "discount_type": "percentage", "discount_value": 10, "max_uses_per_customer": 2}
    made = client.post(f"{evening.path}/promo-codes", json=promo, headers=evening.headers)
    assert made.status_code == 201, made.text
    email, headers = new_email("bo"), evening.headers
    before = deadlocks(client)

    def act(number: int) -> int:
        if number % 3 == 2:
            body = {"email": email, "force": True}
            return client.post(f"{evening.path}/privacy/erase", json=body, headers=headers).status_code
        code = {"promo_code": "ONLYTWO"} if number % 2 else {}
        buyer = {"name": "Bo Secretive", "email": email}
        return send_order(
            client, evening.id, [(package["id"], 1)], customer=buyer, payment_method=by, **code
        ).status_code

    statuses = [status for _ in range(2) for status in at_once(15, act)]
    assert set(statuses) <= {200, 201, 409, 422}, statuses
    assert deadlocks(client) == before
    assert disagreements(database_url, evening.id) == []
    # The counts leave out cancelled orders and never exceed the limits, with or without erasure.
    counted = "SELECT count(*) FROM orders WHERE event_id = %s AND status IN ('paid', 'pending')"
    ((live,),) = query(database_url, counted, evening.id)
    assert live == 6 if by == "test" else live <= 6
    used = "SELECT uses FROM promo_code_customers WHERE event_id = %s"
    assert query(database_url, used, evening.id) in ([(2,)], [(1,)], [(0,)], [])
    customers = "SELECT count(DISTINCT customer) FROM orders WHERE event_id = %s"
    assert query(database_url, customers, evening.id) == [(1,)]
    half = """
        SELECT count(*) FROM orders WHERE event_id = %s
           AND (erased_at IS NULL) <> (customer_email = %s AND customer_name = 'Bo Secretive')
    """
    assert query(database_url, half, evening.id, email) == [(0,)]
    last = client.post(f"{evening.path}/privacy/erase", json={"email": email, "force": True}, headers=headers)
    assert (last.status_code, last.json()["complete"]) == (200, True)
    left = "SELECT count(*) FROM orders WHERE event_id = %s AND customer_email = %s"
    assert query(database_url, left, evening.id, email) == [(0,)]


def test_an_order_that_is_being_paid_is_waited_for_and_then_keeps_its_owner(evening, client, database_url, poll):
    """The erasure reads the order after it has locked it, not as it was when it began to wait."""
    email, headers = new_email("bo"), evening.headers
    buyer = {"name": "Bo Secretive", "email": email}
    free = evening.package(price_cents=0)
    order = evening.order((free["id"], 1), customer=buyer)
    hide = "UPDATE tickets SET status = %s WHERE event_id = %s"
    with psycopg.connect(database_url) as connection, ThreadPoolExecutor(1) as coordinator:
        connection.execute(hide, ["reserved", evening.id])
        connection.commit()
        connection.execute("SELECT 1 FROM orders WHERE id = %s FOR NO KEY UPDATE", [order["id"]])
        answer = coordinator.submit(
            client.post, f"{evening.path}/privacy/erase", json={"email": email}, headers=headers
        )
        wait_for_locks(database_url, 1, poll)
        connection.execute(hide, ["valid", evening.id])
        connection.commit()
        problem = assert_problem(answer.result(), 409, "customer_active")
    assert problem["orders_with_valid_tickets"] == 1
    owner = "SELECT customer_email FROM orders WHERE event_id = %s"
    assert query(database_url, owner, evening.id) == [(email,)]
