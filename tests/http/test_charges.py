"""Taxes and fees: per event and package, added or included, rounded per line, shown on the order (R-ORD-5)."""

import pytest

from tests.factories import assert_problem, open_evening, pointers, query


def amounts(thing):
    return {name: thing[name] for name in ("fee_cents", "tax_cents", "included_fee_cents", "included_tax_cents")}


def test_added_charges_come_on_top_and_each_line_is_rounded_half_up(client, issuer):
    evening = open_evening(client, issuer, tax_percent=8.875, fee_percent=2.5, fee_cents=99)
    package = evening.package(price_cents=1_995)
    order = evening.order((package["id"], 3), (package["id"], 1))
    lines = [amounts(item) for item in order["items"]]
    # 5,985: 2.5 % is 149.625 → 150 and 3 × 99; 8.875 % is 531.16875 → 531. 1,995: 49.875 → 50 and 99; 177.05625 → 177.
    assert [(line["fee_cents"], line["tax_cents"]) for line in lines] == [(447, 531), (149, 177)]
    assert amounts(order) == {"fee_cents": 596, "tax_cents": 708, "included_fee_cents": 0, "included_tax_cents": 0}
    assert order["total_cents"] == 7_980 + 596 + 708


def test_included_charges_are_a_part_of_the_price(client, issuer):
    evening = open_evening(client, issuer, tax_percent=20, tax_included=True, fee_percent=5, fee_included=True)
    order = evening.order((evening.package(price_cents=1_000)["id"], 1))
    # A sixth of the price is tax: 166.67 → 167.
    assert amounts(order) == {"fee_cents": 0, "tax_cents": 0, "included_fee_cents": 50, "included_tax_cents": 167}
    assert order["total_cents"] == 1_000


def test_a_package_has_its_own_rates_where_it_says_so(client, issuer):
    evening = open_evening(client, issuer, tax_percent=10, fee_cents=100)
    plain = evening.package(price_cents=1_000)
    free_of_tax = evening.package(price_cents=1_000, tax_percent=0, fee_cents=7)
    order = evening.order((plain["id"], 1), (free_of_tax["id"], 2))
    assert [(item["tax_cents"], item["fee_cents"]) for item in order["items"]] == [(100, 100), (0, 14)]


def test_charges_are_on_what_is_left_after_the_discount_and_nothing_free_is_charged(client, issuer):
    evening = open_evening(client, issuer, tax_percent=10, fee_cents=100)
    package = evening.package(price_cents=1_000)
    for code, value in (("HALF", 50), ("GIFT", 100)):
        body = {"code": code, "discount_type": "percentage", "discount_value": value}
        assert client.post(f"{evening.path}/promo-codes", json=body, headers=evening.headers).status_code == 201
    half = evening.order((package["id"], 1), promo_code="HALF")
    assert (half["discount_cents"], half["tax_cents"], half["fee_cents"], half["total_cents"]) == (500, 50, 100, 650)
    gift = evening.order((package["id"], 1), promo_code="GIFT")
    assert (gift["tax_cents"], gift["fee_cents"], gift["total_cents"]) == (0, 0, 0)


def test_a_changed_rate_counts_for_later_orders_alone(client, issuer):
    evening = open_evening(client, issuer, tax_percent=10)
    package = evening.package(price_cents=1_000)
    before = evening.order((package["id"], 1))
    changed = client.patch(evening.path, json={"tax_percent": 7.125}, headers=evening.headers)
    assert (changed.status_code, changed.json()["tax_percent"]) == (200, 7.125)
    after = evening.order((package["id"], 1))
    assert (before["tax_cents"], after["tax_cents"]) == (100, 71)


def test_the_books_hold_every_part_of_a_sale(client, issuer, database_url):
    evening = open_evening(client, issuer, tax_percent=10, fee_percent=5, fee_included=True)
    package = evening.package(price_cents=1_000)
    code = {"code": "LESS", "discount_type": "fixed_amount", "discount_value": 200}
    client.post(f"{evening.path}/promo-codes", json=code, headers=evening.headers)
    order = evening.order((package["id"], 1), promo_code="LESS")
    rows = "SELECT kind, debit, credit, amount_cents FROM ledger WHERE order_id = %s ORDER BY kind"
    assert query(database_url, rows, order["id"]) == [
        ("charge", "money:test", "receivable", 880),
        ("discount", "discounts", "receivable", 200),
        ("fee", "sales", "fees", 40),
        ("sale", "receivable", "sales", 1_000),
        ("tax", "receivable", "taxes", 80),
    ]


def test_a_receipt_tells_what_of_the_price_was_a_gift(client, issuer):
    evening = open_evening(client, issuer)
    gala = evening.package(price_cents=10_000, fair_market_value_cents=6_000)
    cheap = evening.package(price_cents=5_000, fair_market_value_cents=6_000)
    order = evening.order((gala["id"], 2), (cheap["id"], 1), (evening.package()["id"], 1))
    assert [item["deductible_cents"] for item in order["items"]] == [8_000, 0, None]
    read = client.get(f"/public/orders/{order['id']}", headers={"X-Order-Token": order["access_token"]}).json()
    assert read == {name: value for name, value in order.items() if name != "access_token"}


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"tax_percent": 100.001}, "/tax_percent"),
        ({"tax_percent": -1}, "/tax_percent"),
        ({"tax_percent": 1.2345}, "/tax_percent"),
        ({"tax_percent": "8"}, "/tax_percent"),
        ({"fee_percent": True}, "/fee_percent"),
        ({"fee_cents": 1.5}, "/fee_cents"),
        ({"order_expiry_minutes": 0}, "/order_expiry_minutes"),
    ],
)
def test_rates_that_make_no_sense_are_refused(fields, pointer, client, issuer):
    evening = open_evening(client, issuer)
    refused = client.patch(evening.path, json=fields, headers=evening.headers)
    assert pointers(assert_problem(refused, 422, "invalid_input")) == [pointer]
