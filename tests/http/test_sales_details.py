"""Purchases of a package one by one, and how many there are (R-SALES-2)."""

import re
import tempfile
from datetime import timedelta

import psycopg
import pytest
import redis

from shared.domain.sales.schemas import DetailsQuery
from tests.architecture.application import load
from tests.factories import UNKNOWN_ID, assert_problem, new_key, open_evening, pointers
from tests.harness.desk import NOW, Desk, know_settings


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer)


@pytest.fixture
def desk(database_url, app_environment):
    know_settings(app_environment)
    desk = Desk(database_url)
    yield desk
    desk.close()


@pytest.fixture
def module(app_environment):
    yield load("shared.domain.sales.details", app_environment)
    load("shared.kit.db.engine", app_environment).engine().dispose()


def total(module, desk, package, *, now=NOW, **query):
    """Return the total that a page gives when there are more pages."""
    with desk.session() as session:
        found = module.get_details(session, desk.event_id, package, DetailsQuery(page_size=1, **query), now=now)
    return found.total


def details(evening, package, status=200, **parameters):
    path = f"{evening.packages}/{package['id']}/sales-details"
    answer = evening.client.get(path, params=parameters, headers=evening.headers)
    assert answer.status_code == status, answer.text
    return answer.json()


def count(evening, package):
    answer = evening.client.get(f"{evening.packages}/{package['id']}/sales-count", headers=evening.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def buy(evening, package, name, quantity=1, **fields):
    customer = {"name": name, "email": f"{name.split()[0].lower()}@example.com"}
    return evening.order((package["id"], quantity), customer=customer, **fields)


def test_each_purchase_tells_who_what_and_for_how_much(client, issuer):
    evening = open_evening(client, issuer, tax_percent=10)
    package, other = evening.package(price_cents=1_000), evening.package()
    code = {"code": "HALF", "discount_type": "percentage", "discount_value": 50}
    client.post(f"{evening.path}/promo-codes", json=code, headers=evening.headers)
    first = buy(evening, package, "Ann Early")
    buy(evening, other, "Otto Other")
    second = buy(evening, package, "Ben Late", 2, promo_code="HALF")
    found = details(evening, package)
    assert (found["total"], found["currency"], found["next_cursor"]) == (2, "USD", None)
    ben, ann = found["items"]
    assert (ben["order_id"], ben["name"], ben["email"]) == (second["id"], "Ben Late", "ben@example.com")
    assert (ben["quantity"], ben["promo_code"], ben["discount_cents"]) == (2, "HALF", 1_000)
    assert ben["final_price_cents"] == second["total_cents"] == 1_100
    assert [guest["ticket_number"] for guest in ben["guests"]] == [ticket["number"] for ticket in second["tickets"]]
    assert (ann["order_number"], ann["promo_code"], ann["final_price_cents"]) == (first["number"], None, 1_100)
    assert ann["purchased_at"] == first["created_at"]


def test_pages_by_cursor_neither_repeat_nor_miss_a_purchase_while_others_buy(evening):
    package = evening.package()
    bought = [buy(evening, package, f"Buyer {number}")["id"] for number in range(7)]
    page = details(evening, package, page_size=3)
    seen = [item["order_id"] for item in page["items"]]
    while page["next_cursor"]:
        buy(evening, package, "Somebody Meanwhile")
        page = details(evening, package, page_size=3, cursor=page["next_cursor"])
        seen += [item["order_id"] for item in page["items"]]
    assert seen == bought[::-1]
    assert [item["order_id"] for item in details(evening, package, page_size=2, page=2)["items"]] == seen[:2]


def test_pages_by_number_are_those_by_cursor_even_where_an_order_has_the_package_twice(evening):
    package = evening.package()
    for number in range(3):
        buy(evening, package, f"Buyer {number}")
        evening.order((package["id"], 1), (package["id"], 2))
    page = details(evening, package, page_size=2)
    seen = [[(item["order_id"], item["quantity"]) for item in page["items"]]]
    while page["next_cursor"]:
        page = details(evening, package, page_size=2, cursor=page["next_cursor"])
        seen.append([(item["order_id"], item["quantity"]) for item in page["items"]])
    assert sorted(quantity for items in seen for _, quantity in items) == [1] * 6 + [2] * 3
    by_number = [details(evening, package, page_size=2, page=number) for number in range(1, 7)]
    assert [[(item["order_id"], item["quantity"]) for item in page["items"]] for page in by_number] == [*seen, []]
    assert [page["total"] for page in by_number] == [9] * 6
    searched = details(evening, package, page_size=2, page=2, q="buyer")
    assert ([item["name"] for item in searched["items"]], searched["total"]) == (["Buyer 0"], 3)


def test_the_total_is_right_at_once_after_whatever_makes_a_purchase_or_ends_one(desk, module):
    package, free = desk.package(), desk.package(price_cents=0)
    desk.place({package: 1}, by="test")
    desk.place({package: 1}, by="test")
    assert total(module, desk, package) == 2
    held = desk.place({package: 1})
    lost = desk.place({package: 1})
    assert total(module, desk, package) == 2
    desk.pay(held)
    assert total(module, desk, package) == 3
    desk.expire(now=NOW + timedelta(hours=1))
    assert total(module, desk, package) == 3
    desk.pay(lost, now=NOW + timedelta(hours=2))  # paid late: the ticket is taken again
    assert total(module, desk, package) == 4
    desk.refund(held.id)
    assert total(module, desk, package) == 4
    for _ in range(3):
        order = desk.place({free: 1}, by="test")
    assert total(module, desk, free) == 3
    desk.cancel(order.id)
    assert total(module, desk, free) == 2


def test_a_large_total_may_be_two_seconds_old_and_no_older(desk, module, monkeypatch):
    monkeypatch.setattr(module, "_COUNTED_AT_ONCE", 1)
    package = desk.package()
    for _ in range(2):
        desk.place({package: 1}, by="test")
    assert total(module, desk, package) == 2
    desk.place({package: 1}, by="test")
    assert total(module, desk, package, now=NOW + timedelta(seconds=1.9)) == 2
    assert total(module, desk, package, now=NOW + timedelta(seconds=2)) == 3


def test_nonsense_in_the_cache_is_counted_anew(desk, module, redis_url):
    package = desk.package()
    for _ in range(2):
        desk.place({package: 1}, by="test")
    assert total(module, desk, package) == 2
    server = redis.Redis.from_url(redis_url)
    [key] = [key for key in server.keys("sales-purchases:*") if str(package).encode() in key]
    server.set(key, b'{"no": "count"}')
    assert total(module, desk, package) == 2


def test_a_page_takes_three_statements_and_a_total_is_counted_once(desk, module):
    package = desk.package()
    for _ in range(4):
        desk.place({package: 2}, by="test")
    assert statements(module, desk, package) == 4
    assert [statements(module, desk, package, page=page) for page in (1, 2, 4)] == [3, 4, 4]
    assert statements(module, desk, package, q="bo") == 4
    desk.place({package: 1}, by="test")
    assert [statements(module, desk, package) for _ in range(2)] == [4, 3]


def statements(module, desk, package, **query):
    """The statements are counted in this process."""
    with desk.session() as session, tempfile.TemporaryFile("w+") as trace:
        driver = session.connection().connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        driver.execute("SELECT 1")  # the first statement opens the transaction
        driver.pgconn.trace(trace.fileno())
        found = module.get_details(session, desk.event_id, package, DetailsQuery(page_size=1, **query), now=NOW)
        driver.pgconn.untrace()
        assert len(found.items) == 1
        trace.seek(0)
        return len(re.findall(r"\tF\t\d+\t(?:Execute|Query)\t", trace.read()))


def test_names_and_addresses_are_searched_as_they_are_written(evening):
    package = evening.package()
    for name in ("Ann 100% Smith", "Bob Smithers", "under_score"):
        buy(evening, package, name)
    found = {
        q: [item["name"] for item in details(evening, package, q=q)["items"]] for q in ("smith", "0%", "r_s", "bob@")
    }
    assert found == {
        "smith": ["Bob Smithers", "Ann 100% Smith"],
        "0%": ["Ann 100% Smith"],
        "r_s": ["under_score"],
        "bob@": ["Bob Smithers"],
    }


def test_a_cursor_that_is_none_of_ours_is_refused(evening):
    package = evening.package()
    for cursor in ("x", "bnVsbA", "WzEsMl0", "é"):
        path = f"{evening.packages}/{package['id']}/sales-details"
        refused = evening.client.get(path, params={"cursor": cursor}, headers=evening.headers)
        assert pointers(assert_problem(refused, 422, "invalid_input")) == ["/query/cursor"]


def test_the_count_shows_a_sale_at_once_and_a_return_too(evening):
    package = evening.package(seats_per_package=2)
    assert (count(evening, package)["sold_count"], count(evening, package)["tickets_sold"]) == (0, 0)
    order = buy(evening, package, "Ann", 2)
    assert (count(evening, package)["sold_count"], count(evening, package)["tickets_sold"]) == (2, 4)
    item = {"item_id": order["items"][0]["id"], "quantity": 1}
    headers = evening.headers | {"Idempotency-Key": new_key()}
    refund = f"{evening.path}/orders/{order['id']}/refund"
    assert evening.client.post(refund, json={"items": [item], "reason": "x"}, headers=headers).status_code == 201
    assert (count(evening, package)["sold_count"], count(evening, package)["tickets_sold"]) == (1, 2)


@pytest.mark.parametrize("what", ["sales-summary", "sales-count"])
def test_a_poller_who_has_what_is_current_gets_304_until_something_is_sold(what, evening):
    package = evening.package()
    path = f"{evening.packages}/{'' if what == 'sales-summary' else package['id'] + '/'}{what}"
    first = evening.client.get(path, headers=evening.headers)
    known = evening.headers | {"If-None-Match": first.headers["ETag"]}
    assert evening.client.get(path, headers=known).status_code == 304
    buy(evening, package, "Ann")
    if what == "sales-count":
        fresh = evening.client.get(path, headers=known)
        assert (fresh.status_code, fresh.json()["sold_count"]) == (200, 1)


def test_another_events_package_has_no_sales_here(evening, client, issuer):
    foreign = open_evening(client, issuer).package()
    for package in (foreign, {"id": UNKNOWN_ID}):
        for what in ("sales-details", "sales-count"):
            path = f"{evening.packages}/{package['id']}/{what}"
            assert_problem(client.get(path, headers=evening.headers), 404, "package_not_found")
