"""The sales summary (R-SALES-1): it is never stale for long."""

from datetime import timedelta
from typing import Any

import pytest
import redis

from shared.domain.payments.refund_rules import Wish
from tests.architecture.application import load
from tests.factories import Evening, cancel_event, open_evening
from tests.harness.desk import NOW, Desk, know_settings


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer)


def summary(evening: Evening, **parameters: str) -> dict[str, Any]:
    path = f"{evening.packages}/sales-summary"
    answer = evening.client.get(path, params=parameters, headers=evening.headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_an_event_without_sales_has_a_summary_of_zeros(evening):
    found = summary(evening)
    assert found.pop("as_of").endswith("Z")
    assert found == {
        "total_revenue_cents": 0,
        "total_discount_cents": 0,
        "total_refunded_cents": 0,
        "total_fee_cents": 0,
        "total_tax_cents": 0,
        "tickets_sold": 0,
        "packages_sold": 0,
        "packages_sold_out": 0,
        "orders": 0,
        "currency": "USD",
    }


def test_the_summary_adds_up_what_was_sold(evening):
    seat = evening.package(price_cents=2_500, quantity_limit=3)
    gold = evening.package(price_cents=100_000, seats_per_package=10, is_sponsorship=True)
    evening.order((seat["id"], 2), (gold["id"], 1))
    evening.order((seat["id"], 1))
    found, sponsors = summary(evening), summary(evening, sponsorships_only="true")
    assert {name: found[name] for name in ("total_revenue_cents", "tickets_sold", "packages_sold", "orders")} == {
        "total_revenue_cents": 107_500,
        "tickets_sold": 13,
        "packages_sold": 4,
        "orders": 2,
    }
    assert found["packages_sold_out"] == 1
    assert (sponsors["total_revenue_cents"], sponsors["tickets_sold"], sponsors["orders"]) == (100_000, 10, 1)
    assert (sponsors["packages_sold"], sponsors["packages_sold_out"]) == (1, 0)


def test_the_summary_counts_what_was_sold_whatever_became_of_other_orders(database_url, app_environment):
    know_settings(app_environment)
    module = load("shared.domain.sales.queries", app_environment)
    desk = Desk(database_url, fee_percent=10)
    try:
        seat, free = desk.package(price_cents=1_000), desk.package(price_cents=0)
        gold = desk.package(price_cents=5_000, seats_per_package=2, is_sponsorship=True)
        silver = desk.package(price_cents=3_000, is_sponsorship=True)
        part = desk.place({seat: 2, gold: 1, silver: 1}, by="test")
        whole = desk.place({gold: 1}, by="test")
        desk.place({free: 1}, by="test")
        desk.cancel(desk.place({free: 1}, by="test").id)
        desk.cancel(desk.place({seat: 1}).id)
        desk.place({silver: 1})
        desk.expire(now=NOW + timedelta(hours=1))
        desk.place({seat: 1, gold: 1}, now=NOW + timedelta(hours=1))
        [item] = [item.id for item in part.items if item.package_id == seat]
        desk.refund(part.id, Wish(items={item: 1}))
        desk.refund(whole.id)
        with desk.session() as session:
            every, sponsors = (
                module.refresh_summary(session, desk.event_id, sponsorships_only=only, now=NOW).model_dump()
                for only in (False, True)
            )
            counts = {
                package: module.get_count(session, desk.event_id, package, now=NOW) for package in (seat, gold, silver)
            }
        names = ("orders", "total_revenue_cents", "total_fee_cents", "total_refunded_cents", "tickets_sold")
        assert [every[name] for name in names] == [3, 15_000, 1_500, 6_600, 5]
        assert [sponsors[name] for name in names] == [2, 13_000, 1_300, 6_600, 3]
        assert (every["packages_sold"], sponsors["packages_sold"]) == (4, 2)
        found = {package: (count.sold_count, count.tickets_sold) for package, count in counts.items()}
        assert found == {seat: (1, 1), gold: (1, 2), silver: (1, 1)}
    finally:
        desk.close()
        load("shared.kit.db.engine", app_environment).engine().dispose()


def test_the_summary_says_how_often_to_ask(evening):
    answer = evening.client.get(f"{evening.path}/ticket-packages/sales-summary", headers=evening.headers)
    assert answer.headers["X-Polling-Interval"] == "3000"


def test_a_sale_shows_soon_though_the_summary_is_cached(evening, poll, redis_url):
    package = evening.package(price_cents=100)
    assert summary(evening)["orders"] == 0
    with redis.Redis.from_url(redis_url) as cache:
        assert cache.exists(f"sales-summary:{evening.id}:all")
    evening.order((package["id"], 1))
    poll(lambda: summary(evening)["total_revenue_cents"] == 100)


def test_a_summary_that_somebody_spoilt_in_the_cache_is_computed_anew(evening, redis_url):
    evening.order((evening.package(price_cents=100)["id"], 1))
    for rubbish in (b"", b"{", b"null", b'{"as_of": "2026-01-01T00:00:00Z"}'):
        with redis.Redis.from_url(redis_url) as cache:
            cache.set(f"sales-summary:{evening.id}:all", rubbish)
        assert summary(evening)["total_revenue_cents"] == 100


def test_tickets_sold_stay_sold_when_later_packages_have_more_seats(evening, poll):
    package = evening.package(seats_per_package=2)
    evening.order((package["id"], 3))
    evening.patch_package(package["id"], {"seats_per_package": 10})
    poll(lambda: summary(evening)["tickets_sold"] == 6)


def test_a_cancelled_event_keeps_its_summary(client, evening):
    evening.order((evening.package(price_cents=100)["id"], 1))
    cancel_event(client, evening.token, evening.id)
    assert summary(evening)["total_revenue_cents"] == 100
