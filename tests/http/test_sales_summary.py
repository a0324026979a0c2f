"""What was sold, in sum (R-SALES-1): never stale for long."""

from typing import Any

import pytest
import redis

from tests.factories import Evening, cancel_event, open_evening


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


def test_the_summary_says_how_often_to_ask(evening):
    answer = evening.client.get(f"{evening.path}/ticket-packages/sales-summary", headers=evening.headers)
    assert answer.headers["X-Polling-Interval"] == "3000"


def test_a_sale_shows_within_three_seconds_though_the_summary_is_cached(evening, poll, redis_url):
    package = evening.package(price_cents=100)
    assert summary(evening)["orders"] == 0
    with redis.Redis.from_url(redis_url) as cache:
        assert cache.exists(f"sales-summary:{evening.id}:all")
    evening.order((package["id"], 1))
    poll(lambda: summary(evening)["total_revenue_cents"] == 100, 3)


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
    poll(lambda: summary(evening)["tickets_sold"] == 6, 3)


def test_a_cancelled_event_keeps_its_summary(client, evening):
    evening.order((evening.package(price_cents=100)["id"], 1))
    cancel_event(client, evening.token, evening.id)
    assert summary(evening)["total_revenue_cents"] == 100
