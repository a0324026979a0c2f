"""Refunds: full, by amount, by ticket, by package; never more than was paid (R-ORD-7)."""

import pytest

from tests.factories import assert_problem, at_once, event_state, new_key, open_evening, pointers, query
from tests.http.test_payments import hold, pay, read, stock


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer)


def refund(evening, order, key=None, **wish):
    headers = evening.headers | {"Idempotency-Key": key or new_key()}
    return evening.client.post(
        f"{evening.path}/orders/{order['id']}/refund", json={"reason": "Ill"} | wish, headers=headers
    )


def test_a_full_refund_voids_the_tickets_and_frees_the_stock(evening, database_url, poll, mail_box):
    package = evening.package(quantity_limit=3)
    order = hold(evening, (package["id"], 2), customer={"name": "R", "email": "refunded@example.com"})
    pay(evening, order)
    made = refund(evening, order)
    assert made.status_code == 201, made.text
    assert made.json()["amount_cents"] == 10_000
    after = read(evening, order)
    assert (after["status"], after["refunded_cents"], after["payment"]["status"]) == ("refunded", 10_000, "refunded")
    assert {ticket["status"] for ticket in after["tickets"]} == {"void"}
    assert stock(evening, package) == (0, 0)
    refunds = f"{evening.path}/orders/{order['id']}/refunds"
    poll(lambda: evening.client.get(refunds, headers=evening.headers).json()["items"][0]["status"] == "succeeded")
    subject = mail_box.wait_for(lambda m: m["To"] == "refunded@example.com" and "refund" in m["Subject"])
    assert order["number"] in subject["Subject"]
    before = event_state(database_url, evening.id)
    assert_problem(refund(evening, order), 409, "not_refundable")
    assert event_state(database_url, evening.id) == before


def test_the_same_key_refunds_once(evening):
    order = evening.order((evening.package()["id"], 2))
    first = refund(evening, order, key="k", amount_cents=1_000)
    again = refund(evening, order, key="k", amount_cents=1_000)
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
    assert again.headers["Idempotent-Replayed"] == "true"
    assert read(evening, order)["refunded_cents"] == 1_000
    assert_problem(refund(evening, order, key="k", amount_cents=2_000), 422, "idempotency_key_reused")


def test_an_amount_leaves_the_tickets_and_never_exceeds_what_is_left(evening, database_url):
    package = evening.package()
    order = evening.order((package["id"], 2))
    assert refund(evening, order, amount_cents=4_000).status_code == 201
    after = read(evening, order)
    assert (after["status"], {ticket["status"] for ticket in after["tickets"]}) == ("partially_refunded", {"valid"})
    assert stock(evening, package) == (0, 2)
    before = event_state(database_url, evening.id)
    problem = assert_problem(refund(evening, order, amount_cents=6_001), 409, "refund_exceeds_paid")
    assert problem["remaining_cents"] == 6_000
    assert event_state(database_url, evening.id) == before
    assert refund(evening, order, amount_cents=6_000).status_code == 201
    assert (read(evening, order)["status"], stock(evening, package)) == ("refunded", (0, 0))


def test_tickets_bring_back_their_share_and_their_package_once_all_its_seats_are_given_back(evening):
    package = evening.package(price_cents=1_000, seats_per_package=3, quantity_limit=5)
    order = evening.order((package["id"], 2))
    ids = [ticket["id"] for ticket in order["tickets"]]
    first = refund(evening, order, ticket_ids=ids[:2]).json()
    # 2,000 over six seats: 334, 334, 333, 333, 333, 333.
    assert first["amount_cents"] == 668
    assert stock(evening, package) == (0, 2)
    assert refund(evening, order, ticket_ids=[ids[5]]).json()["amount_cents"] == 333
    assert stock(evening, package) == (0, 1)
    refused = refund(evening, order, ticket_ids=[ids[0]])
    assert pointers(assert_problem(refused, 422, "invalid_input")) == ["/ticket_ids/0"]


def test_packages_of_an_item_with_a_discount(evening):
    package = evening.package(price_cents=1_000)
    code = {"code": "THIRD", "discount_type": "fixed_amount", "discount_value": 500}
    evening.client.post(f"{evening.path}/promo-codes", json=code, headers=evening.headers)
    order = evening.order((package["id"], 3), promo_code="THIRD")
    item = order["items"][0]["id"]
    amounts = [refund(evening, order, items=[{"item_id": item, "quantity": 1}]).json()["amount_cents"] for _ in "123"]
    assert sorted(amounts) == [833, 833, 834]
    assert read(evening, order)["status"] == "refunded"
    assert stock(evening, package) == (0, 0)


def test_lines_of_one_package_go_back_to_its_stock_together(evening):
    package = evening.package()
    order = evening.order((package["id"], 1), (package["id"], 2))
    assert stock(evening, package) == (0, 3)
    assert refund(evening, order).json()["amount_cents"] == 15_000
    assert stock(evening, package) == (0, 0)


def test_ten_refunds_at_once_never_exceed_what_was_paid(evening, database_url):
    order = evening.order((evening.package()["id"], 1))
    answers = at_once(10, lambda _: refund(evening, order, amount_cents=2_000))
    assert sorted(answer.status_code for answer in answers) == [201, 201] + [409] * 8, [
        a.text for a in answers if a.status_code == 503
    ]
    assert read(evening, order)["refunded_cents"] == 4_000
    booked = "SELECT sum(amount_cents)::int FROM ledger WHERE order_id = %s AND kind = 'refund'"
    assert query(database_url, booked, order["id"]) == [(4_000,)]


def test_a_refund_names_one_way_and_its_reason(evening):
    order = evening.order((evening.package()["id"], 1))
    assert_problem(refund(evening, order, amount_cents=1, ticket_ids=[order["tickets"][0]["id"]]), 422, "invalid_input")
    assert_problem(refund(evening, order, reason=" "), 422, "invalid_input")
    assert read(evening, order)["refunded_cents"] == 0


def test_a_refund_is_in_the_audit_trail(evening):
    order = evening.order((evening.package()["id"], 1))
    refund(evening, order, amount_cents=700)
    trail = evening.client.get(f"{evening.path}/audit-trail?entity_type=order", headers=evening.headers).json()
    assert [(entry["field"], entry["new_value"]["amount_cents"]) for entry in trail["items"]] == [("refund", 700)]
