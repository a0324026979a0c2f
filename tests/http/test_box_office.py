"""Sales at the box office: made by the team, and paid at once (R-ROLE-1, R-ORD-6)."""

import pytest

from tests.factories import (
    assert_problem,
    bearer,
    event_state,
    new_email,
    new_key,
    open_evening,
    order_fields,
    pointers,
    put_member,
    query,
)
from tests.http.test_payments import hold, pay


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer)


@pytest.fixture
def staff(evening, issuer):
    email = new_email("staff")
    put_member(evening.client, evening.token, evening.id, email, "staff")
    headers = bearer(issuer.token(email))
    evening.client.get(evening.path, headers=headers)  # they sign in once, so that the membership is bound to them
    return headers


def sell(evening, who, package, method="cash", key=None, **fields):
    body = order_fields([(package["id"], 2)], payment_method=method, **fields)
    return evening.client.post(f"{evening.path}/orders", json=body, headers=who | {"Idempotency-Key": key or new_key()})


@pytest.mark.parametrize("method", ["cash", "cheque", "card_terminal"])
def test_staff_sell_tickets_that_are_paid_at_once(method, evening, staff, database_url):
    package = evening.package(quantity_limit=5)
    answer = sell(evening, staff, package, method)
    assert answer.status_code == 201, answer.text
    order = answer.json()
    assert (order["status"], order["payment"]["method"], order["payment"]["status"]) == ("paid", method, "paid")
    assert [ticket["status"] for ticket in order["tickets"]] == ["valid", "valid"]
    assert evening.read_package(package["id"])["sold_count"] == 2
    sold = "SELECT channel, placed_by IS NOT NULL, customer_user_id, customer LIKE 'guest:%%' FROM orders WHERE id = %s"
    assert query(database_url, sold, order["id"]) == [("box_office", True, None, True)]
    charge = "SELECT debit, amount_cents FROM ledger WHERE order_id = %s AND kind = 'charge'"
    assert query(database_url, charge, order["id"]) == [(f"money:{method}", 10_000)]
    read = evening.client.get(f"{evening.path}/orders/{order['id']}", headers=staff)
    more = {name: read.json()[name] for name in ("channel", "notes", "timeline")}
    assert read.json() == {name: value for name, value in order.items() if name != "access_token"} | more


def test_the_same_key_sells_once(evening, staff):
    package = evening.package()
    first, again = (sell(evening, staff, package, key="till-1") for _ in range(2))
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert evening.read_package(package["id"])["sold_count"] == 2


def test_giving_tickets_away_is_for_coordinators_and_brings_no_revenue(evening, staff, database_url):
    package = evening.package()
    before = event_state(database_url, evening.id)
    assert_problem(sell(evening, staff, package, "comp"), 403, "permission_missing")
    assert event_state(database_url, evening.id) == before
    order = sell(evening, evening.headers, package, "comp").json()
    assert (order["status"], order["discount_cents"], order["total_cents"]) == ("paid", 10_000, 0)
    assert len(order["tickets"]) == 2


def test_a_code_redeemed_at_the_box_office_is_forgotten_by_the_preview(evening, staff):
    package = evening.package()
    code = {"code": "ONCE", "discount_type": "percentage", "discount_value": 50, "max_total_uses": 1}
    evening.client.post(f"{evening.path}/promo-codes", json=code, headers=evening.headers)
    basket = {"code": "ONCE", "items": [{"package_id": package["id"], "quantity": 1}]}
    preview = f"/public/events/{evening.id}/promo-codes/validate"
    assert evening.client.post(preview, json=basket).json()["valid"] is True
    assert sell(evening, staff, package, promo_code="ONCE").status_code == 201
    assert evening.client.post(preview, json=basket).json()["reason"] == "promo_code_used_up"


def test_what_is_given_away_uses_up_no_promo_code(evening, database_url):
    package = evening.package()
    code = {"code": "HALF", "discount_type": "percentage", "discount_value": 50, "max_total_uses": 1}
    made = evening.client.post(f"{evening.path}/promo-codes", json=code, headers=evening.headers)
    assert made.status_code == 201
    before = event_state(database_url, evening.id)
    refused = sell(evening, evening.headers, package, "comp", promo_code="HALF")
    assert pointers(assert_problem(refused, 422, "invalid_input")) == ["/promo_code"]
    assert event_state(database_url, evening.id) == before


def test_what_is_sold_out_is_sold_out_at_the_box_office_too(evening, staff):
    package = evening.package(quantity_limit=1)
    assert assert_problem(sell(evening, staff, package), 409, "sold_out")["remaining"] == 1


def test_buyers_can_not_pay_in_cash_online(evening, database_url):
    package = evening.package()
    before = event_state(database_url, evening.id)
    refused = evening.client.post(
        f"/public/events/{evening.id}/orders",
        json=order_fields([(package["id"], 1)], payment_method="cash"),
        headers={"Idempotency-Key": new_key()},
    )
    assert_problem(refused, 422, "invalid_input")
    assert event_state(database_url, evening.id) == before


def test_staff_refund_nothing_and_coordinators_cancel_what_cost_nothing(evening, staff):
    package = evening.package(quantity_limit=2)
    order = sell(evening, staff, package).json()
    path = f"{evening.path}/orders/{order['id']}"
    refund = evening.client.post(f"{path}/refund", json={"reason": "x"}, headers=staff | {"Idempotency-Key": new_key()})
    assert_problem(refund, 403, "permission_missing")
    assert_problem(evening.client.post(f"{path}/cancel", headers=evening.headers), 409, "not_cancellable")
    back = {"reason": "Ill"}
    keyed = evening.headers | {"Idempotency-Key": new_key()}
    assert evening.client.post(f"{path}/refund", json=back, headers=keyed).json()["status"] == "succeeded"
    given = sell(evening, evening.headers, package, "comp").json()
    cancelled = evening.client.post(f"{evening.path}/orders/{given['id']}/cancel", headers=evening.headers)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert {ticket["status"] for ticket in cancelled.json()["tickets"]} == {"void"}
    assert evening.read_package(package["id"])["remaining"] == 2


def test_coordinators_cancel_an_order_that_waits_for_its_payment(evening):
    package = evening.package(quantity_limit=1)
    order = hold(evening, (package["id"], 1))
    cancelled = evening.client.post(f"{evening.path}/orders/{order['id']}/cancel", headers=evening.headers)
    assert cancelled.json()["status"] == "cancelled"
    other = hold(evening, (package["id"], 1))
    pay(evening, other)
    trail = evening.client.get(f"{evening.path}/audit-trail?entity_type=order", headers=evening.headers).json()
    assert [entry["entity_id"] for entry in trail["items"]] == [order["id"]]


def test_cancelling_twice_is_as_once_and_stands_in_the_trail_once(evening):
    package = evening.package(quantity_limit=1)
    given = sell(evening, evening.headers, evening.package(), "comp").json()
    for order in (hold(evening, (package["id"], 1)), given):
        cancel = f"{evening.path}/orders/{order['id']}/cancel"
        first, again = (evening.client.post(cancel, headers=evening.headers) for _ in range(2))
        assert (first.status_code, again.status_code) == (200, 200)
        assert first.json() == again.json()
        trail = evening.client.get(f"{evening.path}/audit-trail?entity_id={order['id']}", headers=evening.headers)
        assert [(entry["field"], entry["new_value"]) for entry in trail.json()["items"]] == [("status", "cancelled")]
