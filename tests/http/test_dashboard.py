"""The dashboard (R-SALES-5, R-SALES-6): sales in the event's time zone, and what somebody should look at."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import redis

from tests.architecture.application import load
from tests.factories import Evening, new_key, open_evening, query
from tests.harness.desk import Desk, know_settings
from tests.http.test_payments import hold


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer)


def dashboard(evening: Evening) -> Any:
    answer = evening.client.get(f"{evening.path}/dashboard", headers=evening.headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["X-Polling-Interval"] == "5000"
    return answer.json()


def test_an_event_without_sales_has_an_empty_dashboard(evening):
    found = dashboard(evening)
    nothing = {"orders": 0, "revenue_cents": 0, "discount_cents": 0}
    assert (found["today"], found["last_7_days"], found["hours"], found["packages"]) == (nothing, nothing, [], [])
    assert [{name: day[name] for name in nothing} for day in found["days"]] == [nothing] * 7
    assert found["problems"] == {
        "book_findings": 0,
        "books_checked_at": None,
        "emails_failed": 0,
        "emails_failing": 0,
        "refunds_failed": 0,
        "payments_disputed": 0,
        "orders_pending": 0,
    }


def test_what_is_sold_shows_by_hour_package_and_code(evening):
    package, other = evening.package(price_cents=1_000, quantity_limit=9), evening.package(name="Other")
    code = {"code": "HALF", "discount_type": "percentage", "discount_value": 50, "max_total_uses": 7}
    evening.client.post(f"{evening.path}/promo-codes", json=code, headers=evening.headers)
    evening.order((package["id"], 2))
    order = evening.order((package["id"], 2), promo_code="HALF")
    hold(evening, (package["id"], 1))
    headers = evening.headers | {"Idempotency-Key": new_key()}
    refund = {"reason": "Ill", "amount_cents": 300}
    answer = evening.client.post(f"{evening.path}/orders/{order['id']}/refund", json=refund, headers=headers)
    assert answer.status_code == 201
    found = dashboard(evening)
    sold = {"orders": 2, "revenue_cents": 3_000, "discount_cents": 1_000}
    assert (found["today"], found["last_7_days"]) == (sold, sold)
    assert found["days"][-1] == sold | {"day": found["days"][-1]["day"]}
    assert sum(hour["revenue_cents"] for hour in found["hours"]) == 3_000
    assert found["packages"] == [
        {
            "package_id": package["id"],
            "name": "Single seat",
            "sold_count": 4,
            "held_count": 1,
            "quantity_limit": 9,
            "remaining": 4,
            "today_count": 4,
            "today_revenue_cents": 3_000,
        },
        {
            "package_id": other["id"],
            "name": "Other",
            "sold_count": 0,
            "held_count": 0,
            "quantity_limit": None,
            "remaining": None,
            "today_count": 0,
            "today_revenue_cents": 0,
        },
    ]
    assert found["promo_codes"] == [{"code": "HALF", "uses": 1, "max_uses": 7, "discount_cents": 1_000}]
    assert (found["refunds"]["refunds"], found["refunds"]["amount_cents"]) == (1, 300)
    assert found["problems"]["orders_pending"] == 1


def test_days_and_hours_are_those_of_the_events_own_clock(database_url, app_environment):
    """In Auckland it is the next day already; 30 March 2025 has 23 hours in Berlin."""
    know_settings(app_environment)
    module = load("shared.domain.sales.dashboard", app_environment)
    desk = Desk(database_url, timezone="Pacific/Auckland")
    try:
        package = desk.package()
        now = datetime(2026, 11, 20, 18, tzinfo=UTC)  # 07:00 on the 21st in that time zone
        midnight = timedelta(hours=7)
        ago = (timedelta(hours=1), midnight, midnight + timedelta(microseconds=1), timedelta(days=6), timedelta(days=7))
        for before in ago:
            desk.place({package: 1}, by="test", now=now - before)
        desk.place({package: 1}, now=now - timedelta(days=1))  # not paid
        with desk.session() as session:
            found = module.get_dashboard(session, desk.event_id, now=now)
        assert [(each.hour, each.orders) for each in found.hours] == [(0, 1), (6, 1)]
        days = {str(day.day): (day.orders, day.revenue_cents) for day in found.days}
        assert (min(days), max(days), len(days)) == ("2026-11-15", "2026-11-21", 7)
        assert {day: sold for day, sold in days.items() if sold != (0, 0)} == {
            "2026-11-21": (2, 2_000),
            "2026-11-20": (1, 1_000),
            "2026-11-15": (1, 1_000),
        }
        assert (found.today.orders, found.last_7_days.orders) == (2, 4)
    finally:
        desk.close()
        load("shared.kit.db.engine", app_environment).engine().dispose()


def test_what_needs_a_look_is_counted(evening, database_url):
    package = evening.package()
    order = evening.order((package["id"], 1))
    event_id = UUID(evening.id)
    mails = (
        "INSERT INTO outbox (event_id, id, kind, payload, created_at, published_at, attempts, last_error)"
        " SELECT %s, gen_random_uuid(), kind, '{}', now(), now() + interval '1 hour', n, 'refused'"
        " FROM (VALUES ('refund_notice', 5), ('report_notice', 5), ('refund_notice', 1), ('provider_refund', 5))"
        "      AS failed(kind, n) RETURNING 1"
    )
    assert query(database_url, mails, event_id)
    books = (
        "INSERT INTO reconciliations (event_id, checked_at, findings, stock_drift)"
        """ VALUES (%s, now(), '{"stock_drift": 2, "refund_failed": 1}', 0) RETURNING 1"""
    )
    assert query(database_url, books, event_id)
    payment = (
        "INSERT INTO payments (event_id, id, order_id, provider, reference, status, amount_cents, currency,"
        " refunded_cents, is_mismatch, disputed_at, created_at, updated_at) VALUES (%s, gen_random_uuid(), %s, 'test',"
        " gen_random_uuid(), 'succeeded', 1, 'USD', 1, false, now(), now(), now()) RETURNING 1"
    )
    assert query(database_url, payment, event_id, order["id"])
    refund = (
        "INSERT INTO refunds (event_id, id, order_id, amount_cents, reason, status, created_at, updated_at)"
        " VALUES (%s, gen_random_uuid(), %s, 1, 'x', 'failed', now(), now()) RETURNING 1"
    )
    assert query(database_url, refund, event_id, order["id"])
    problems = dashboard(evening)["problems"]
    assert problems.pop("books_checked_at") is not None
    assert problems == {
        "book_findings": 3,
        "emails_failed": 2,
        "emails_failing": 1,
        "refunds_failed": 1,
        "payments_disputed": 1,
        "orders_pending": 0,
    }


def test_a_poller_gets_304_until_something_is_sold_and_then_sees_it(evening, poll):
    package = evening.package()
    first = evening.client.get(f"{evening.path}/dashboard", headers=evening.headers)
    known = evening.headers | {"If-None-Match": first.headers["ETag"]}
    assert evening.client.get(f"{evening.path}/dashboard", headers=known).status_code == 304
    evening.order((package["id"], 1))
    shown = poll(lambda: dashboard(evening)["today"]["orders"])
    assert shown == 1


def test_nonsense_in_the_cache_is_computed_anew(evening, redis_url):
    evening.order((evening.package()["id"], 1))
    first = dashboard(evening)
    server = redis.Redis.from_url(redis_url)
    keys = [key for key in server.keys("dashboard*") if evening.id.encode() in key]
    assert len(keys) == 3
    for key in keys:
        server.set(key, b'{"no": "dashboard"}')
    again = dashboard(evening)
    times = {"as_of": 0, "days_as_of": 0, "sums_as_of": 0}
    assert again | times == first | times


def test_while_one_poller_computes_the_others_get_what_was_known(evening, redis_url, poll):
    package = evening.package()
    before = dashboard(evening)
    evening.order((package["id"], 1))
    server: Any = redis.Redis.from_url(redis_url)
    [key] = [key for key in server.keys("dashboard:*") if evening.id.encode() in key]
    server.set(key + b":computing", b"1", px=60_000)  # as if another request were computing it
    poll(lambda: dashboard(evening)["as_of"] == before["as_of"])
    old = server.get(key).replace(before["as_of"].encode(), b"2026-01-01T00:00:00Z")
    server.set(key, old)
    assert dashboard(evening)["as_of"] == "2026-01-01T00:00:00Z"
    server.delete(key + b":computing")
    assert dashboard(evening)["today"]["orders"] == 1
