"""Guessing of promo codes is slowed, by address and event; selling never is (R-PROMO-4, R-OPS-3)."""

import signal

import httpx
import pytest

from infra.local.home import free_port
from infra.local.services.valkey import ValkeyServer
from infra.local.tokens import ADMIN
from tests.factories import Evening, assert_problem, bearer, open_evening, send_order

REAL = {
    "RATE_LIMITS": "production",
    "RATE_LIMIT_PROMO_PREVIEWS": "5/hour",
    "RATE_LIMIT_PROMO_GUESSES": "3/hour",
    "TRUSTED_PROXY_HOPS": "2",  # the test plays a proxy of our own before the host
}


@pytest.fixture(scope="module")
def valkey(tmp_path_factory, guard):
    server = ValkeyServer(log=tmp_path_factory.mktemp("valkey") / "valkey.log", guard=guard, port=free_port())
    server.start()
    yield server
    server.stop()


@pytest.fixture
def evening(start_host, fresh_database, issuer, valkey):
    host = start_host(**REAL, DATABASE_URL=fresh_database, REDIS_URL=valkey.url())
    with httpx.Client(base_url=f"{host.url}/api/v1", timeout=30, trust_env=False) as client:
        evening = open_evening(client, issuer)
        made = client.post(
            f"{evening.path}/promo-codes",
            json={"code": "EARLY10", "discount_type": "percentage", "discount_value": 10},
            headers=evening.headers,
        )
        assert made.status_code == 201
        yield evening


def preview(evening: Evening, package_id: str, code: str, address: str, **headers: str) -> httpx.Response:
    return evening.client.post(
        f"/public/events/{evening.id}/promo-codes/validate",
        json={"code": code, "items": [{"package_id": package_id, "quantity": 1}]},
        headers={"X-Forwarded-For": address} | headers,
    )


def buy(evening: Evening, package_id: str, address: str, **fields: str) -> httpx.Response:
    evening.client.headers["X-Forwarded-For"] = address
    return send_order(evening.client, evening.id, [(package_id, 1)], **fields)


def test_guessing_is_slowed_for_one_address_and_event_and_for_nobody_else(evening, issuer):
    package_id = evening.package()["id"]
    guesses = [preview(evening, package_id, f"GUESS{n}", "203.0.113.7") for n in range(6)]
    assert [guess.status_code for guess in guesses] == [200] * 5 + [429]
    problem = assert_problem(guesses[-1], 429, "too_many_requests")
    assert guesses[-1].headers["RateLimit-Policy"] == '"promo_previews";q=5;w=3600'
    assert 3_500 < int(guesses[-1].headers["Retry-After"]) == problem["retry_after_seconds"] <= 3_600
    # An invented address further left changes nothing, another client is free, and so is another event.
    assert preview(evening, package_id, "EARLY10", "1.1.1.1, 203.0.113.7").status_code == 429
    assert preview(evening, package_id, "EARLY10", "203.0.113.8").json()["valid"] is True
    other = open_evening(evening.client, issuer)
    assert preview(other, other.package()["id"], "GUESS", "203.0.113.7").status_code == 200


def test_an_order_is_no_way_around_and_orders_themselves_are_never_limited(evening):
    package_id = evening.package()["id"]
    guesses = [buy(evening, package_id, "203.0.113.9", promo_code=f"GUESS{n}") for n in range(5)]
    assert [guess.status_code for guess in guesses] == [422] * 3 + [429] * 2
    assert {guess.json()["code"] for guess in guesses[:3]} == {"promo_code_unknown"}
    assert_problem(buy(evening, package_id, "203.0.113.9", promo_code="EARLY10"), 429, "too_many_requests")
    assert [buy(evening, package_id, "203.0.113.9").status_code for _ in range(8)] == [201] * 8
    assert buy(evening, package_id, "203.0.113.10", promo_code="EARLY10").json()["discount_cents"] == 500
    assert evening.read_package(package_id)["sold_count"] == 9


def test_orders_with_codes_that_hold_are_never_limited(evening):
    package_id = evening.package()["id"]
    bought = [buy(evening, package_id, "203.0.113.20", promo_code="EARLY10") for _ in range(8)]
    assert [answer.status_code for answer in bought] == [201] * 8


def test_without_redis_each_process_counts_for_itself(evening, valkey):
    package_id = evening.package()["id"]
    valkey.process.popen.send_signal(signal.SIGKILL)
    valkey.process.popen.wait(10)
    try:
        guesses = [preview(evening, package_id, f"GUESS{n}", "203.0.113.11").status_code for n in range(6)]
    finally:
        valkey.start()
    assert guesses == [200] * 5 + [429]


def test_one_user_and_one_event_have_limits_of_their_own(start_host, fresh_database, issuer, valkey):
    host = start_host(
        RATE_LIMITS="production",
        RATE_LIMIT_USER_REQUESTS="12/hour",
        RATE_LIMIT_EVENT_WRITES="6/hour",
        DATABASE_URL=fresh_database,
        REDIS_URL=valkey.url(),
    )
    with httpx.Client(base_url=f"{host.url}/api/v1", timeout=30, trust_env=False) as client:
        evening = open_evening(client, issuer)  # publishing was the event's second change, and the coordinator's first
        package = evening.package()
        seen = [evening.patch_package(package["id"], {"name": f"Name {number}"}) for number in range(4)]
        assert [answer.status_code for answer in seen] == [200, 200, 200, 429]
        assert_problem(seen[-1], 429, "too_many_requests")
        assert seen[-1].headers["RateLimit-Policy"] == '"event_writes";q=6;w=3600'
        # Reading goes on, until this user has asked too often; buying always does, and so do others.
        reads = [client.get(evening.path, headers=evening.headers).status_code for _ in range(8)]
        assert reads[0] == 200
        assert reads[-1] == 429
        assert client.get(evening.path, headers=bearer(issuer.token(ADMIN))).status_code == 200
        assert send_order(client, evening.id, [(package["id"], 1)]).status_code == 201
