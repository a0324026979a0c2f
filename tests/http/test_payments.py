"""Orders that wait for their payment: held, paid, declined, expired, paid too late (R-ORD-1, R-ORD-6, R-ORD-9)."""

from typing import Any

import httpx
import pytest

from tests.factories import Evening, assert_problem, event_state, new_email, new_key, open_evening, query, send_order


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer)


def hold(evening: Evening, *items: tuple[str, int], **fields: Any) -> dict[str, Any]:
    """An order that waits for its payment."""
    answer = send_order(evening.client, evening.id, items, payment_method="card", **fields)
    assert answer.status_code == 201, answer.text
    order: dict[str, Any] = answer.json()
    return order


def ask(evening: Evening, order: dict[str, Any], what: str, body: Any = None, key: str | None = None) -> httpx.Response:
    headers = {"X-Order-Token": order["access_token"], "Idempotency-Key": key or new_key()}
    return evening.client.post(f"/public/orders/{order['id']}/{what}", json=body or {}, headers=headers)


def pay(evening: Evening, order: dict[str, Any], card: str = "succeeds") -> dict[str, Any]:
    assert ask(evening, order, "payment-intent").status_code == 201
    answer = ask(evening, order, "confirm", {"card": card})
    assert answer.status_code == 200, answer.text
    paid: dict[str, Any] = answer.json()
    return paid


def read(evening: Evening, order: dict[str, Any]) -> dict[str, Any]:
    answer = evening.client.get(f"/public/orders/{order['id']}", headers={"X-Order-Token": order["access_token"]})
    found: dict[str, Any] = answer.json()
    return found


def let_time_pass(database_url: str, order: dict[str, Any]) -> None:
    """Make the order's time to pay end."""
    query(
        database_url,
        "UPDATE orders SET expires_at = now() - interval '1 second' WHERE id = %s RETURNING 1",
        order["id"],
    )


def stock(evening: Evening, package: dict[str, Any]) -> tuple[int, int]:
    shown = evening.read_package(package["id"])
    return shown["held_count"], shown["sold_count"]


def test_an_order_by_card_holds_its_tickets_until_it_is_paid(evening, mail_box):
    package = evening.package(quantity_limit=5)
    order = hold(evening, (package["id"], 2))
    assert (order["status"], order["tickets"], order["paid_at"]) == ("pending", [], None)
    assert order["payment"]["status"] == "pending"
    assert order["expires_at"] > order["created_at"]
    assert stock(evening, package) == (2, 0)
    assert evening.read_package(package["id"])["remaining"] == 3

    paid = pay(evening, order)

    assert (paid["status"], paid["expires_at"], paid["payment"]["status"]) == ("paid", None, "paid")
    assert [ticket["status"] for ticket in paid["tickets"]] == ["valid", "valid"]
    assert stock(evening, package) == (0, 2)
    assert read(evening, order) == paid
    assert mail_box.wait_for(lambda message: order["number"] in message["Subject"])


def test_a_payment_is_begun_once_however_often_it_is_asked_for(evening, database_url):
    order = hold(evening, (evening.package()["id"], 1))
    first = ask(evening, order, "payment-intent", key="intent").json()
    assert first["amount_cents"] == order["total_cents"]
    assert first["client_secret"]
    again = ask(evening, order, "payment-intent", key="intent")
    assert (again.json(), again.headers["Idempotent-Replayed"]) == (first, "true")
    assert ask(evening, order, "payment-intent").json()["reference"] == first["reference"]
    assert query(database_url, "SELECT count(*) FROM payments WHERE order_id = %s", order["id"]) == [(1,)]


def test_two_buyers_may_think_of_the_same_key(evening):
    package = evening.package()
    orders = [hold(evening, (package["id"], 1)) for _ in range(2)]

    for what, status in (("payment-intent", 201), ("confirm", 200)):
        answers = [ask(evening, order, what, key="begin") for order in orders]
        assert [answer.status_code for answer in answers] == [status, status]
        assert all("idempotent-replayed" not in answer.headers for answer in answers)
    assert [read(evening, order)["status"] for order in orders] == ["paid", "paid"]


def test_a_declined_card_leaves_the_order_waiting_and_another_one_pays_it(evening):
    package = evening.package(quantity_limit=1)
    order = hold(evening, (package["id"], 1))
    declined = pay(evening, order, "declined")
    assert (declined["status"], declined["payment"]["failure"]) == ("pending", "card_declined")
    assert stock(evening, package) == (1, 0)
    assert ask(evening, order, "confirm", {"card": "succeeds"}).json()["status"] == "paid"
    assert_problem(ask(evening, order, "payment-intent"), 409, "nothing_to_pay")


def test_an_expired_hold_never_blocks_a_buyer_though_no_timer_has_run(evening, database_url):
    package = evening.package(quantity_limit=1)
    order = hold(evening, (package["id"], 1))
    refused = send_order(evening.client, evening.id, [(package["id"], 1)])
    assert assert_problem(refused, 409, "sold_out")["remaining"] == 0
    let_time_pass(database_url, order)

    assert send_order(evening.client, evening.id, [(package["id"], 1)]).status_code == 201

    assert read(evening, order)["status"] == "expired"
    assert stock(evening, package) == (0, 1)


def test_a_payment_after_expiry_takes_the_stock_again_if_it_is_there(evening, database_url):
    package = evening.package(quantity_limit=2)
    order = hold(evening, (package["id"], 2))
    assert ask(evening, order, "payment-intent").status_code == 201
    let_time_pass(database_url, order)
    refused = send_order(evening.client, evening.id, [(package["id"], 3)])  # this ends expired orders
    assert assert_problem(refused, 409, "sold_out")["remaining"] == 2
    assert read(evening, order)["status"] == "expired"

    late = ask(evening, order, "confirm", {"card": "succeeds"}).json()

    assert (late["status"], [ticket["status"] for ticket in late["tickets"]]) == ("paid", ["valid", "valid"])
    assert stock(evening, package) == (0, 2)


def test_a_payment_that_comes_too_late_is_refunded_and_the_buyer_is_told(evening, database_url, mail_box, poll):
    package = evening.package(quantity_limit=1)
    email = new_email("late")
    order = hold(evening, (package["id"], 1), customer={"name": "Late", "email": email})
    assert ask(evening, order, "payment-intent").status_code == 201
    let_time_pass(database_url, order)
    evening.order((package["id"], 1))

    late = ask(evening, order, "confirm", {"card": "succeeds"}).json()

    assert (late["status"], late["tickets"]) == ("expired", [])
    assert stock(evening, package) == (0, 1)
    poll(
        lambda: (
            query(database_url, "SELECT status, reason FROM refunds WHERE order_id = %s", order["id"])
            == [("succeeded", "paid_too_late")]
        )
    )
    mail = mail_box.wait_for(lambda message: message["To"] == email)
    assert "refund" in mail["Subject"].lower()
    balance = """
        SELECT account, sum(amount)::int FROM (
          SELECT debit AS account, amount_cents AS amount FROM ledger WHERE order_id = %s
          UNION ALL SELECT credit, -amount_cents FROM ledger WHERE order_id = %s) AS b GROUP BY account ORDER BY account
    """
    assert query(database_url, balance, order["id"], order["id"]) == [("money:test", 0), ("receivable", 0)]


def test_cancelling_gives_everything_back_at_once(evening, database_url):
    package = evening.package(quantity_limit=1)
    order = hold(evening, (package["id"], 1))
    cancelled = ask(evening, order, "cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert ask(evening, order, "cancel").json()["status"] == "cancelled"
    assert stock(evening, package) == (0, 0)
    paid = evening.order((package["id"], 1))
    before = event_state(database_url, evening.id)
    assert_problem(ask(evening, paid, "cancel"), 409, "not_cancellable")
    assert event_state(database_url, evening.id) == before


def test_a_promo_code_of_an_expired_order_may_be_used_again(evening, database_url):
    package = evening.package()
    code = {"code": "ONCE", "discount_type": "percentage", "discount_value": 50, "max_total_uses": 1}
    assert evening.client.post(f"{evening.path}/promo-codes", json=code, headers=evening.headers).status_code == 201
    order = hold(evening, (package["id"], 1), promo_code="ONCE")
    refused = send_order(evening.client, evening.id, [(package["id"], 1)], promo_code="ONCE")
    assert_problem(refused, 422, "promo_code_used_up")
    let_time_pass(database_url, order)
    assert evening.order((package["id"], 1), promo_code="ONCE")["discount_cents"] == 2_500
    assert ask(evening, order, "payment-intent").status_code == 409


def test_nobody_pays_or_cancels_the_order_of_another(evening, database_url):
    order = hold(evening, (evening.package()["id"], 1))
    stranger = order | {"access_token": "x" * 43}
    before = event_state(database_url, evening.id)
    for what in ("payment-intent", "confirm", "cancel"):
        assert_problem(ask(evening, stranger, what), 404, "order_not_found")
    assert event_state(database_url, evening.id) == before


def test_at_most_so_many_tickets_for_one_customer(client, issuer, database_url):
    evening = open_evening(client, issuer, max_tickets_per_customer=4)
    package = evening.package(seats_per_package=2)
    me = {"name": "Me", "email": "me@example.com"}
    order = hold(evening, (package["id"], 1), customer=me)
    evening.order((package["id"], 1), customer=me | {"email": "ME+again@example.com"})
    before = event_state(database_url, evening.id)
    refused = send_order(client, evening.id, [(package["id"], 1)], customer=me)
    problem = assert_problem(refused, 409, "too_many_for_customer")
    assert (problem["max_tickets_per_customer"], problem["has"]) == (4, 4)
    assert event_state(database_url, evening.id) == before
    evening.order((package["id"], 1))
    ask(evening, order, "cancel")
    evening.order((package["id"], 1), customer=me)


def test_who_has_all_they_may_have_gets_a_late_payment_back(client, issuer, database_url):
    evening = open_evening(client, issuer, max_tickets_per_customer=2)
    package = evening.package()
    me = {"name": "Me", "email": "greedy@example.com"}
    order = hold(evening, (package["id"], 2), customer=me)
    assert ask(evening, order, "payment-intent").status_code == 201
    let_time_pass(database_url, order)
    evening.order((package["id"], 2), customer=me)

    late = ask(evening, order, "confirm", {"card": "succeeds"}).json()

    assert (late["status"], late["tickets"]) == ("expired", [])
    assert stock(evening, package) == (0, 2)
    assert query(database_url, "SELECT reason FROM refunds WHERE order_id = %s", order["id"]) == [("paid_too_late",)]
