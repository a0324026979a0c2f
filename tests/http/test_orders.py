"""Buying tickets (R-ORD-1 to R-ORD-5): all or nothing, once for each key, never more than there are."""

import re
import uuid
from typing import Any

import httpx
import pytest

from tests.factories import (
    Evening,
    assert_problem,
    at_once,
    bearer,
    cancel_event,
    event_state,
    in_days,
    new_email,
    new_key,
    open_evening,
    order_fields,
    pointers,
    query,
    send_order,
)


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer)


def sold(database_url: str, *package_ids: str) -> list[int]:
    """How many of each package are sold; the stock and the orders must agree."""
    counts = []
    for package_id in package_ids:
        stock = query(database_url, "SELECT sold, held FROM stock WHERE id = %s", package_id)
        items = query(
            database_url, "SELECT coalesce(sum(quantity), 0)::int FROM order_items WHERE package_id = %s", package_id
        )
        assert stock == [(items[0][0], 0)]
        counts.append(items[0][0])
    return counts


def read_order(client: httpx.Client, order_id: str, **headers: str) -> httpx.Response:
    return client.get(f"/public/orders/{order_id}", headers=headers)


def test_an_order_brings_items_amounts_tickets_and_the_secret_of_its_link(client, evening, host):
    table = evening.package(name="Table", price_cents=40_000, seats_per_package=4)
    seat = evening.package(name="Seat", price_cents=1_999)
    buyer = {"name": "Ada Lovelace", "email": "Ada@Example.com", "phone": "+44 20 7946 0018"}
    answer = send_order(client, evening.id, [(table["id"], 1), (seat["id"], 3)], customer=buyer)
    order = answer.json()
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/api/v1/public/orders/{order['id']}"
    assert "Idempotent-Replayed" not in answer.headers
    assert re.fullmatch(r"ORD-\d{8}-[2-9A-HJKMNP-TV-Z]{6}", order["number"])
    assert (order["event_id"], order["status"], order["currency"]) == (evening.id, "paid", "USD")
    assert order["customer"] == buyer | {"email": "ada@example.com"}
    assert [(item["kind"], item["package_id"], item["description"], item["quantity"]) for item in order["items"]] == [
        ("package", table["id"], "Table", 1),
        ("package", seat["id"], "Seat", 3),
    ]
    assert [(item["unit_price_cents"], item["total_cents"]) for item in order["items"]] == [
        (40_000, 40_000),
        (1_999, 5_997),
    ]
    amounts = {name: value for name, value in order.items() if name.endswith("_cents")}
    assert amounts == {
        "subtotal_cents": 45_997,
        "discount_cents": 0,
        "fee_cents": 0,
        "tax_cents": 0,
        "included_fee_cents": 0,
        "included_tax_cents": 0,
        "total_cents": 45_997,
        "refunded_cents": 0,
    }
    assert (order["payment"]["method"], order["payment"]["status"]) == ("test", "paid")
    assert (order["expires_at"], order["paid_at"]) == (None, order["created_at"])
    assert len(order["tickets"]) == 7
    word = order["number"].removeprefix("ORD-")
    assert [ticket["number"] for ticket in order["tickets"]] == [f"TKT-{word}-{n:02d}" for n in range(1, 8)]
    assert {ticket["status"] for ticket in order["tickets"]} == {"valid"}
    assert len({ticket["code"] for ticket in order["tickets"]}) == 7
    opened = client.get(f"{host.url}{answer.headers['Location']}", headers={"X-Order-Token": order["access_token"]})
    assert opened.json() == {name: value for name, value in order.items() if name != "access_token"}


def test_a_sale_counts_packages_not_seats(evening, database_url):
    table = evening.package(seats_per_package=10, quantity_limit=5)
    evening.order((table["id"], 2))
    read = evening.read_package(table["id"])
    assert (read["sold_count"], read["held_count"], read["remaining"]) == (2, 0, 3)
    assert sold(database_url, table["id"]) == [2]


# --- repeating a request --------------------------------------------------------------------------------------------


def test_a_repeated_request_gets_the_same_answer_and_sells_nothing(client, evening, database_url):
    package, key = evening.package(quantity_limit=1, seats_per_package=12), new_key()
    first = send_order(client, evening.id, [(package["id"], 1)], key=key)
    before = event_state(database_url, evening.id)
    again = send_order(client, evening.id, [(package["id"], 1)], key=key)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Location"] == first.headers["Location"]
    assert event_state(database_url, evening.id) == before
    assert sold(database_url, package["id"]) == [1]


def test_a_repeated_request_is_answered_even_when_nothing_could_be_bought_any_more(client, evening):
    package, key = evening.package(), new_key()
    first = send_order(client, evening.id, [(package["id"], 1)], key=key)
    client.post(f"{evening.packages}/{package['id']}/disable", headers=evening.headers)
    assert send_order(client, evening.id, [(package["id"], 1)], key=key).content == first.content
    cancel_event(client, evening.token, evening.id)
    assert send_order(client, evening.id, [(package["id"], 1)], key=key).content == first.content


def test_the_same_key_eight_times_at_once_makes_one_order(client, evening, database_url):
    package, key = evening.package(quantity_limit=100), new_key()

    def buy(_: int) -> httpx.Response:
        return send_order(client, evening.id, [(package["id"], 2)], key=key)

    answers = at_once(8, buy)
    assert [answer.status_code for answer in answers] == [201] * 8
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 7
    assert sold(database_url, package["id"]) == [2]
    assert query(database_url, "SELECT count(*) FROM orders WHERE event_id = %s", evening.id) == [(1,)]


def test_the_same_key_with_eight_bodies_at_once_makes_one_order(client, evening, database_url):
    package, key = evening.package(), new_key()

    def buy(number: int) -> httpx.Response:
        return send_order(client, evening.id, [(package["id"], number + 1)], key=key)

    answers = at_once(8, buy)
    assert sorted(answer.status_code for answer in answers) == [201] + [422] * 7
    for answer in answers:
        if answer.status_code == 422:
            assert_problem(answer, 422, "idempotency_key_reused")
    assert query(database_url, "SELECT count(*) FROM orders WHERE event_id = %s", evening.id) == [(1,)]


def test_a_refused_request_leaves_its_key_free(client, evening):
    package, key = evening.package(quantity_limit=1), new_key()
    assert_problem(send_order(client, evening.id, [(package["id"], 2)], key=key), 409, "sold_out")
    assert send_order(client, evening.id, [(package["id"], 1)], key=key).status_code == 201


def test_a_key_belongs_to_its_caller_and_to_its_event(client, issuer, evening, database_url):
    key, token = new_key(), issuer.token(new_email("customer"))
    package, other = evening.package(), open_evening(client, issuer)
    answers = [
        send_order(client, evening.id, [(package["id"], 1)], key=key),
        send_order(client, evening.id, [(package["id"], 1)], key=key, token=token),
        send_order(client, other.id, [(other.package()["id"], 1)], key=key),
    ]
    assert [answer.status_code for answer in answers] == [201] * 3
    assert len({answer.json()["id"] for answer in answers}) == 3
    assert sold(database_url, package["id"]) == [2]


# --- what is left ---------------------------------------------------------------------------------------------------


def test_a_sold_out_refusal_says_what_remains(client, evening, database_url):
    package = evening.package(name="Box", quantity_limit=3)
    evening.order((package["id"], 2))
    before = event_state(database_url, evening.id)
    problem = assert_problem(send_order(client, evening.id, [(package["id"], 2)]), 409, "sold_out")
    assert (problem["package_id"], problem["remaining"]) == (package["id"], 1)
    assert event_state(database_url, evening.id) == before
    evening.order((package["id"], 1))
    problem = assert_problem(send_order(client, evening.id, [(package["id"], 1)]), 409, "sold_out")
    assert (problem["package_id"], problem["remaining"]) == (package["id"], 0)


def test_an_order_is_all_or_nothing(client, evening, database_url):
    plenty, scarce = evening.package(), evening.package(quantity_limit=1)
    before = event_state(database_url, evening.id)
    problem = assert_problem(send_order(client, evening.id, [(plenty["id"], 1), (scarce["id"], 2)]), 409, "sold_out")
    assert (problem["package_id"], problem["remaining"]) == (scarce["id"], 1)
    assert event_state(database_url, evening.id) == before


def test_the_last_tickets_go_to_exactly_as_many_buyers_as_there_are_tickets(client, evening, database_url):
    package = evening.package(quantity_limit=5)

    def buy(_: int) -> httpx.Response:
        return send_order(client, evening.id, [(package["id"], 1)])

    answers = at_once(12, buy)
    assert sorted(answer.status_code for answer in answers) == [201] * 5 + [409] * 7
    for answer in answers:
        if answer.status_code == 409:
            assert assert_problem(answer, 409, "sold_out")["remaining"] == 0
    assert sold(database_url, package["id"]) == [5]
    tickets = query(database_url, "SELECT count(*) FROM tickets WHERE event_id = %s", evening.id)
    assert tickets == [(5,)]


def test_orders_of_the_same_packages_in_any_order_do_not_block_each_other(client, evening, database_url):
    one, two = evening.package(quantity_limit=100), evening.package(quantity_limit=100)

    def buy(number: int) -> int:
        items = [(one["id"], 1), (two["id"], 1)]
        return send_order(client, evening.id, items if number % 2 else items[::-1]).status_code

    assert at_once(12, buy) == [201] * 12
    assert sold(database_url, one["id"], two["id"]) == [12, 12]


def test_twenty_customers_who_have_never_signed_in_before_buy_at_once(client, issuer, evening, database_url):
    """There are more requests than the app has connections, so no request may need two at a time."""
    package = evening.package(quantity_limit=20)
    emails = [new_email("newcomer") for _ in range(20)]
    tokens = [issuer.token(email) for email in emails]

    def buy(number: int) -> httpx.Response:
        return send_order(client, evening.id, [(package["id"], 1)], token=tokens[number])

    answers = at_once(20, buy)
    assert [answer.status_code for answer in answers] == [201] * 20
    assert sold(database_url, package["id"]) == [20]
    owners = query(
        database_url,
        "SELECT count(DISTINCT u.email) FROM orders o JOIN users u ON u.id = o.customer_user_id WHERE o.event_id = %s",
        evening.id,
    )
    assert owners == [(20,)]


# --- quantities -----------------------------------------------------------------------------------------------------


def test_lines_of_one_package_count_together(client, evening, database_url):
    package = evening.package(quantity_limit=3, max_per_order=3)
    order = evening.order((package["id"], 1), (package["id"], 2))
    assert [item["quantity"] for item in order["items"]] == [1, 2]
    assert len(order["tickets"]) == 3
    assert sold(database_url, package["id"]) == [3]


@pytest.mark.parametrize(
    ("limits", "quantities", "status", "code"),
    [
        ({"max_per_order": 3}, (2, 2), 422, "quantity_out_of_range"),
        ({"quantity_limit": 3}, (2, 2), 409, "sold_out"),
        ({"min_per_order": 3}, (1, 1), 422, "quantity_out_of_range"),
    ],
)
def test_lines_of_one_package_cannot_go_around_a_limit(limits, quantities, status, code, client, evening, database_url):
    package = evening.package(**limits)
    before = event_state(database_url, evening.id)
    refused = send_order(client, evening.id, [(package["id"], quantity) for quantity in quantities])
    assert_problem(refused, status, code)
    assert event_state(database_url, evening.id) == before


@pytest.mark.parametrize(("quantity", "accepted"), [(1, False), (2, True), (4, True), (5, False)])
def test_an_order_keeps_to_least_and_most(quantity, accepted, client, evening, database_url):
    package = evening.package(min_per_order=2, max_per_order=4)
    before = event_state(database_url, evening.id)
    answer = send_order(client, evening.id, [(package["id"], quantity)])
    if accepted:
        assert answer.status_code == 201
        assert sold(database_url, package["id"]) == [quantity]
    else:
        problem = assert_problem(answer, 422, "quantity_out_of_range")
        assert (problem["min_per_order"], problem["max_per_order"]) == (2, 4)
        assert pointers(problem) == ["/items/0/quantity"]
        assert event_state(database_url, evening.id) == before


def test_the_fault_of_a_quantity_is_at_the_line_where_the_package_is_first_named(client, evening):
    fine, few = evening.package(), evening.package(max_per_order=1)
    refused = send_order(client, evening.id, [(fine["id"], 1), (few["id"], 1), (few["id"], 1)])
    assert pointers(assert_problem(refused, 422, "quantity_out_of_range")) == ["/items/1/quantity"]


def test_an_order_has_at_most_a_thousand_tickets(client, evening, database_url):
    package = evening.package(seats_per_package=100)
    before = event_state(database_url, evening.id)
    assert_problem(send_order(client, evening.id, [(package["id"], 11)]), 422, "too_many_tickets")
    assert event_state(database_url, evening.id) == before
    order = evening.order((package["id"], 10))
    assert len(order["tickets"]) == 1_000
    assert [ticket["number"][-5:] for ticket in order["tickets"]] == [f"-{n:04d}" for n in range(1, 1_001)]


# --- when and whether it is sold ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "said"),
    [
        ({"sale_starts_at": in_days(1)}, "has not begun"),
        ({"sale_ends_at": in_days(-1)}, "has ended"),
        ({"sale_starts_at": in_days(-2), "sale_ends_at": in_days(-1)}, "has ended"),
    ],
)
def test_nothing_is_sold_outside_the_sale_window(window, said, client, evening, database_url):
    package = evening.package(name="Early bird", **window)
    before = event_state(database_url, evening.id)
    problem = assert_problem(send_order(client, evening.id, [(package["id"], 1)]), 409, "package_not_on_sale")
    assert problem["package_id"] == package["id"]
    assert "Early bird" in problem["detail"]
    assert said in problem["detail"]
    assert event_state(database_url, evening.id) == before


def test_inside_the_sale_window_it_is_sold(evening):
    package = evening.package(sale_starts_at=in_days(-1), sale_ends_at=in_days(1))
    assert evening.order((package["id"], 1))["status"] == "paid"


def test_a_package_disabled_between_the_list_and_the_order_is_not_sold(client, evening, database_url):
    package = evening.package()
    listed = client.get(f"/public/events/{evening.id}/ticket-packages").json()["items"]
    assert [found["id"] for found in listed] == [package["id"]]
    client.post(f"{evening.packages}/{package['id']}/disable", headers=evening.headers)
    before = event_state(database_url, evening.id)
    assert_problem(send_order(client, evening.id, [(package["id"], 1)]), 409, "package_not_on_sale")
    assert event_state(database_url, evening.id) == before


def test_nothing_of_a_draft_or_a_cancelled_event_is_sold(client, issuer, database_url):
    evening = open_evening(client, issuer, published=False)
    package = evening.package()
    before = event_state(database_url, evening.id)
    assert_problem(send_order(client, evening.id, [(package["id"], 1)]), 404, "event_not_found")
    assert event_state(database_url, evening.id) == before
    cancel_event(client, evening.token, evening.id)
    before = event_state(database_url, evening.id)
    assert_problem(send_order(client, evening.id, [(package["id"], 1)]), 409, "event_cancelled")
    assert event_state(database_url, evening.id) == before


def test_after_the_answer_to_a_cancellation_nothing_is_sold(client, evening, database_url):
    """The claims under way finish first; the orders in the database at that moment are all that were ever sold."""
    package, headers = evening.package(), evening.headers

    def act(number: int) -> tuple[int, Any]:
        if number == 0:
            status = client.post(f"{evening.path}/cancel", headers=headers).status_code
            count = query(database_url, "SELECT count(*) FROM orders WHERE event_id = %s", evening.id)
            return status, count
        return send_order(client, evening.id, [(package["id"], 1)]).status_code, None

    (cancelled, count), *orders = at_once(8, act)
    assert cancelled == 200
    assert {status for status, _ in orders} <= {201, 409}
    assert query(database_url, "SELECT count(*) FROM orders WHERE event_id = %s", evening.id) == count
    assert [status for status, _ in orders].count(201) == count[0][0]


def test_a_price_is_the_price_of_the_moment(evening):
    package = evening.package(price_cents=5_000)
    first = evening.order((package["id"], 1))
    evening.patch_package(package["id"], {"price_cents": 7_000, "name": "Dearer"})
    second = evening.order((package["id"], 1))
    assert (first["total_cents"], second["total_cents"]) == (5_000, 7_000)
    assert second["items"][0]["description"] == "Dearer"
    kept = read_order(evening.client, first["id"], **{"X-Order-Token": first["access_token"]}).json()
    assert (kept["total_cents"], kept["items"][0]["description"]) == (5_000, "Single seat")


# --- paying ---------------------------------------------------------------------------------------------------------


def test_what_costs_nothing_needs_no_payment_method(client, evening):
    package = evening.package(price_cents=0)
    fields = order_fields([(package["id"], 2)])
    del fields["payment_method"]
    answer = client.post(f"/public/events/{evening.id}/orders", json=fields, headers={"Idempotency-Key": new_key()})
    order = answer.json()
    assert (answer.status_code, order["status"], order["total_cents"]) == (201, "paid", 0)
    assert order["payment"] == {"method": "free", "status": "paid", "provider_reference": None, "failure": None}


def test_what_costs_something_needs_a_payment_method(client, evening, database_url):
    free, dear = evening.package(price_cents=0), evening.package(price_cents=1)
    before = event_state(database_url, evening.id)
    refused = send_order(client, evening.id, [(free["id"], 1), (dear["id"], 1)], payment_method=None)
    assert pointers(assert_problem(refused, 422, "payment_method_unavailable")) == ["/payment_method"]
    assert event_state(database_url, evening.id) == before


def test_the_test_provider_is_refused_in_production(start_host, client, evening, database_url):
    package = evening.package(price_cents=1)
    production = start_host(http_only=True, ENVIRONMENT="production", METRICS_KEY="k" * 32)
    before = event_state(database_url, evening.id)
    with httpx.Client(base_url=f"{production.url}/api/v1", timeout=30, trust_env=False) as there:
        refused = send_order(there, evening.id, [(package["id"], 1)])
        assert pointers(assert_problem(refused, 422, "payment_method_unavailable")) == ["/payment_method"]
        # In production the metrics have their own key.
        assert_problem(there.get("/metrics"), 401, "unauthenticated")
        assert_problem(there.get("/metrics", headers=bearer("x" * 32)), 401, "unauthenticated")
        assert there.get("/metrics", headers=bearer("k" * 32)).status_code == 200
    assert event_state(database_url, evening.id) == before


# --- reading an order -----------------------------------------------------------------------------------------------


def test_an_order_opens_with_its_token_and_with_no_other(client, evening):
    package = evening.package()
    order, other = evening.order((package["id"], 1)), evening.order((package["id"], 1))
    opened = read_order(client, order["id"], **{"X-Order-Token": order["access_token"]})
    assert (opened.status_code, opened.json()["number"]) == (200, order["number"])
    assert "access_token" not in opened.json()
    for headers in (
        {},
        {"X-Order-Token": ""},
        {"X-Order-Token": "wrong"},
        {"X-Order-Token": other["access_token"]},
        {"X-Order-Token": order["access_token"][:-1]},
        {"X-Order-Token": order["access_token"] + "A"},
        {"X-Order-Token": order["access_token"].swapcase()},
        evening.headers,
    ):
        assert_problem(read_order(client, order["id"], **headers), 404, "order_not_found")


def test_a_customer_who_was_signed_in_reads_the_order_without_a_token(client, issuer, evening):
    customer, package = new_email("customer"), evening.package()
    order = send_order(client, evening.id, [(package["id"], 1)], token=issuer.token(customer)).json()
    assert read_order(client, order["id"], **bearer(issuer.token(customer))).status_code == 200
    stranger = read_order(client, order["id"], **bearer(issuer.token(new_email("stranger"))))
    assert_problem(stranger, 404, "order_not_found")
    both = {"X-Order-Token": "wrong"} | bearer(issuer.token(customer))
    assert read_order(client, order["id"], **both).status_code == 200


def test_a_guests_order_is_not_opened_by_signing_in_with_its_address(client, issuer, evening):
    email, package = new_email("guest"), evening.package()
    order = evening.order((package["id"], 1), customer={"name": "Guest", "email": email})
    assert_problem(read_order(client, order["id"], **bearer(issuer.token(email))), 404, "order_not_found")


def test_the_secret_of_an_order_is_not_in_the_database(evening, database_url):
    order = evening.order((evening.package()["id"], 1))
    stored = query(database_url, "SELECT to_jsonb(o)::text FROM orders o WHERE id = %s", order["id"])[0][0]
    assert order["access_token"] not in stored


def test_an_order_is_read_anew_only_when_it_has_changed(client, evening):
    order = evening.order((evening.package()["id"], 1))
    token = {"X-Order-Token": order["access_token"]}
    etag = read_order(client, order["id"], **token).headers["ETag"]
    assert read_order(client, order["id"], **token, **{"If-None-Match": etag}).status_code == 304


def test_ids_sort_as_the_orders_were_placed(evening: Evening):
    package = evening.package()
    ids = [uuid.UUID(evening.order((package["id"], 1))["id"]) for _ in range(4)]
    assert ids == sorted(ids)
    assert {made.version for made in ids} == {7}
