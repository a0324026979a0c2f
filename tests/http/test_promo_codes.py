"""Promo codes (R-PROMO): they are made, previewed, and redeemed exactly and never too often."""

from typing import Any

import pytest
import redis

from tests.factories import (
    UNKNOWN_ID,
    assert_problem,
    event_state,
    in_days,
    open_evening,
    pointers,
    query,
    send_order,
)


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer)


def codes(evening):
    return f"{evening.path}/promo-codes"


def add(evening, **fields):
    body = {"code": "EARLY10", "discount_type": "percentage", "discount_value": 10} | fields
    return evening.client.post(codes(evening), json=body, headers=evening.headers)


def added(evening, **fields):
    answer = add(evening, **fields)
    assert answer.status_code == 201, answer.text
    return answer.json()


def preview(evening, code, *items, **fields):
    body = {"code": code, "items": [{"package_id": p, "quantity": q} for p, q in items]} | fields
    return evening.client.post(f"/public/events/{evening.id}/promo-codes/validate", json=body)


def times_used(evening, promo):
    return evening.client.get(f"{codes(evening)}/{promo['id']}", headers=evening.headers).json()["times_used"]


def test_a_code_is_kept_in_capitals_and_is_unique_in_its_event(evening, client, issuer, database_url):
    made = added(evening, code="early10", max_total_uses=5, discount_value=12.5)
    assert (made["code"], made["discount_value"], made["times_used"], made["remaining_uses"]) == ("EARLY10", 12.5, 0, 5)
    assert made["is_active"] is True
    before = event_state(database_url, evening.id)
    assert_problem(add(evening, code="Early10"), 409, "promo_code_taken")
    assert event_state(database_url, evening.id) == before
    assert added(open_evening(client, issuer))["code"] == "EARLY10"
    listed = client.get(codes(evening), headers=evening.headers).json()
    assert (listed["total"], listed["items"]) == (1, [made])


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"code": "ABC"}, "/code"),
        ({"code": "A" * 21}, "/code"),
        ({"code": "TEN-OFF"}, "/code"),
        ({"discount_value": 0.5}, "/discount_value"),
        ({"discount_value": 100.01}, "/discount_value"),
        ({"discount_value": 12.345}, "/discount_value"),
        ({"discount_value": "10"}, "/discount_value"),
        ({"discount_type": "fixed_amount", "discount_value": 99}, "/discount_value"),
        ({"discount_type": "fixed_amount", "discount_value": 100.5}, "/discount_value"),
        ({"discount_type": "fixed_amount", "discount_value": 1_000_001}, "/discount_value"),
        ({"max_total_uses": 0}, "/max_total_uses"),
        ({"max_uses_per_customer": 101}, "/max_uses_per_customer"),
        ({"starts_at": in_days(2), "expires_at": in_days(1)}, "/expires_at"),
        ({"package_ids": [UNKNOWN_ID]}, "/package_ids/0"),
    ],
)
def test_a_code_that_makes_no_sense_is_refused_by_pointer(evening, fields, pointer):
    assert pointers(assert_problem(add(evening, **fields), 422, "invalid_input")) == [pointer]


def test_the_discount_is_split_over_the_items_to_the_cent(evening):
    packages = [evening.package(price_cents=cents) for cents in (333, 333, 334)]
    added(evening, discount_type="fixed_amount", discount_value=100)
    order = evening.order(*[(package["id"], 1) for package in packages], promo_code="early10")
    assert [item["discount_cents"] for item in order["items"]] == [33, 33, 34]
    assert [item["total_cents"] for item in order["items"]] == [300, 300, 300]
    assert (order["subtotal_cents"], order["discount_cents"], order["total_cents"]) == (1_000, 100, 900)
    assert order["promo_code"] == "EARLY10"


def test_a_percentage_is_rounded_half_up_once_for_the_whole_order(evening):
    package = evening.package(price_cents=1_005)
    added(evening, discount_value=50)
    order = evening.order((package["id"], 1), promo_code="EARLY10")
    assert (order["discount_cents"], order["total_cents"]) == (503, 502)


def test_a_discount_never_exceeds_what_it_is_for_and_then_nothing_is_owed(evening):
    cheap, dear = evening.package(price_cents=500), evening.package(price_cents=9_000)
    added(evening, discount_type="fixed_amount", discount_value=2_000, package_ids=[cheap["id"]])
    order = evening.order((cheap["id"], 2), (dear["id"], 1), promo_code="EARLY10")
    assert [item["discount_cents"] for item in order["items"]] == [1_000, 0]
    free = send_order(evening.client, evening.id, [(cheap["id"], 1)], promo_code="EARLY10", payment_method=None)
    assert (free.status_code, free.json()["total_cents"], free.json()["payment"]["method"]) == (201, 0, "free")


REFUSALS: dict[str, dict[str, Any]] = {
    "promo_code_inactive": {},
    "promo_code_not_started": {"starts_at": in_days(1)},
    "promo_code_expired": {"starts_at": in_days(-2), "expires_at": in_days(-1)},
    "promo_code_below_minimum": {"min_order_cents": 5_001},
    "promo_code_unknown": {"code": "OTHERCODE"},
}


@pytest.mark.parametrize("code", REFUSALS)
def test_each_reason_has_a_code_of_its_own_in_preview_and_purchase(evening, database_url, code):
    package = evening.package(price_cents=5_000)
    promo = added(evening, **REFUSALS[code])
    if code == "promo_code_inactive":
        path = f"{codes(evening)}/{promo['id']}"
        assert evening.client.patch(path, json={"is_active": False}, headers=evening.headers).status_code == 200
    before = event_state(database_url, evening.id)
    seen = preview(evening, "EARLY10", (package["id"], 1)).json()
    assert (seen["valid"], seen["reason"], seen["discount_cents"], seen["total_cents"]) == (False, code, 0, 5_000)
    refused = send_order(evening.client, evening.id, [(package["id"], 1)], promo_code="EARLY10")
    assert pointers(assert_problem(refused, 422, code)) == ["/promo_code"]
    assert event_state(database_url, evening.id) == before


def test_a_code_for_other_packages_is_refused(evening):
    package, other = evening.package(), evening.package()
    added(evening, package_ids=[other["id"]])
    refused = send_order(evening.client, evening.id, [(package["id"], 1)], promo_code="EARLY10")
    assert_problem(refused, 422, "promo_code_not_for_these")


def test_a_preview_shows_what_the_purchase_then_takes_off(evening):
    package = evening.package(price_cents=2_000)
    added(evening)
    seen = preview(evening, " early10 ", (package["id"], 3)).json()
    assert seen == {
        "valid": True,
        "code": "EARLY10",
        "reason": None,
        "detail": None,
        "subtotal_cents": 6_000,
        "discount_cents": 600,
        "total_cents": 5_400,
    }
    assert evening.order((package["id"], 3), promo_code="EARLY10")["total_cents"] == 5_400


def test_a_cache_that_says_yes_lets_no_purchase_through(evening, redis_url, database_url):
    package = evening.package()
    promo = added(evening, max_total_uses=1)
    assert preview(evening, "EARLY10", (package["id"], 1)).json()["valid"] is True
    with redis.Redis.from_url(redis_url) as cache:
        key = f"promo-code:{evening.id}:EARLY10"
        yes = cache.get(key)
        assert yes is not None
        evening.order((package["id"], 1), promo_code="EARLY10")
        assert cache.get(key) is None, "a redemption drops the entry"
        cache.set(key, yes)  # as if the drop had been lost
        assert preview(evening, "EARLY10", (package["id"], 1)).json()["valid"] is True
    before = event_state(database_url, evening.id)
    refused = send_order(evening.client, evening.id, [(package["id"], 1)], promo_code="EARLY10")
    assert_problem(refused, 422, "promo_code_used_up")
    assert event_state(database_url, evening.id) == before
    assert times_used(evening, promo) == 1


def test_usage_tells_who_used_a_code_and_when(evening):
    package = evening.package(price_cents=1_000)
    promo = added(evening, max_total_uses=9)
    first = evening.order((package["id"], 1), promo_code="EARLY10", customer={"name": "Ann", "email": "ann@x.test"})
    second = evening.order((package["id"], 2), promo_code="EARLY10", customer={"name": "Ben", "email": "ben@x.test"})
    usage = evening.client.get(f"{codes(evening)}/{promo['id']}/usage", headers=evening.headers).json()
    assert (usage["times_used"], usage["remaining_uses"], usage["total_discount_cents"]) == (2, 7, 300)
    assert [(use["order_id"], use["customer_name"], use["discount_cents"]) for use in usage["items"]] == [
        (second["id"], "Ben", 200),
        (first["id"], "Ann", 100),
    ]
    assert usage["items"][0]["used_at"] == second["created_at"]


def test_a_redeemed_code_is_deactivated_and_never_deleted(evening):
    package = evening.package()
    promo, unused = added(evening), added(evening, code="UNUSED")
    evening.order((package["id"], 1), promo_code="EARLY10")
    path = f"{codes(evening)}/{promo['id']}"
    assert_problem(evening.client.delete(path, headers=evening.headers), 409, "promo_code_redeemed")
    off = evening.client.patch(path, json={"is_active": False}, headers=evening.headers)
    assert (off.status_code, off.json()["is_active"], off.json()["times_used"]) == (200, False, 1)
    assert evening.client.delete(f"{codes(evening)}/{unused['id']}", headers=evening.headers).status_code == 204
    assert_problem(
        evening.client.get(f"{codes(evening)}/{unused['id']}", headers=evening.headers), 404, "promo_code_not_found"
    )


def test_the_total_never_goes_below_what_was_used_and_stale_edits_are_refused(evening):
    package = evening.package()
    promo = added(evening, max_total_uses=5)
    for _ in range(2):
        evening.order((package["id"], 1), promo_code="EARLY10")
    path = f"{codes(evening)}/{promo['id']}"
    low = evening.client.patch(path, json={"max_total_uses": 1}, headers=evening.headers)
    assert assert_problem(low, 409, "uses_below_redeemed")["times_used"] == 2
    read = evening.client.get(path, headers=evening.headers)
    edit = evening.client.patch(path, json={"discount_value": 20}, headers=evening.headers)
    assert (edit.status_code, edit.json()["discount_value"]) == (200, 20)
    late = evening.client.patch(
        path, json={"discount_value": 30}, headers=evening.headers | {"If-Match": read.headers["ETag"]}
    )
    assert_problem(late, 412, "stale_version")


def test_a_sold_out_order_uses_no_code(evening, database_url):
    package = evening.package(quantity_limit=1)
    promo = added(evening, max_total_uses=5)
    evening.order((package["id"], 1))
    refused = send_order(evening.client, evening.id, [(package["id"], 1)], promo_code="EARLY10")
    assert_problem(refused, 409, "sold_out")
    assert times_used(evening, promo) == 0
    assert query(database_url, "SELECT count(*) FROM promo_code_customers WHERE event_id = %s", evening.id) == [(0,)]


def test_a_package_that_a_code_is_limited_to_is_not_deleted_from_under_it(evening, database_url):
    package, other = evening.package(), evening.package()
    promo = added(evening, package_ids=[package["id"]])
    delete = f"{evening.packages}/{package['id']}?confirm=true"
    before = event_state(database_url, evening.id)
    assert_problem(evening.client.delete(delete, headers=evening.headers), 409, "package_in_promo_codes")
    assert event_state(database_url, evening.id) == before
    refused = send_order(evening.client, evening.id, [(other["id"], 1)], promo_code="EARLY10")
    assert_problem(refused, 422, "promo_code_not_for_these")
    wider = {"package_ids": [other["id"]]}
    path = f"{codes(evening)}/{promo['id']}"
    assert evening.client.patch(path, json=wider, headers=evening.headers).json()["package_ids"] == [other["id"]]
    assert evening.client.delete(delete, headers=evening.headers).status_code == 204
