"""Guessing is limited, by address and event; selling is not, unless a setting says so (R-PROMO-4, R-OPS-3)."""

import signal

import httpx
import pytest

from infra.local.home import free_port
from infra.local.services.valkey import ValkeyServer
from infra.local.tokens import ADMIN
from tests.factories import UNKNOWN_ID, Evening, assert_problem, bearer, new_key, open_evening, send_order
from tests.harness.polling import PATIENCE_SECONDS

REAL = {
    "RATE_LIMITS": "production",
    "RATE_LIMIT_PROMO_PREVIEWS": "5/hour",
    "RATE_LIMIT_PROMO_GUESSES": "3/hour",
    "RATE_LIMIT_ORDER_LINKS": "4/hour",
    "TRUSTED_PROXY_HOPS": "2",  # the test plays a proxy of our own before the host
}

STRICT = REAL | {
    "RATE_LIMIT_USER_REQUESTS": "12/hour",
    "RATE_LIMIT_EVENT_WRITES": "6/hour",
    "RATE_LIMIT_ORDERS": "3/hour",
    "RATE_LIMIT_REPORTS": "1/hour",
}


@pytest.fixture(scope="module")
def valkey(tmp_path_factory, guard):
    server = ValkeyServer(log=tmp_path_factory.mktemp("valkey") / "valkey.log", guard=guard, port=free_port())
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def limited(start_module_host, module_database, valkey):
    return start_module_host(http_only=True, **REAL, DATABASE_URL=module_database, REDIS_URL=valkey.url())


@pytest.fixture
def evening(limited, issuer):
    with httpx.Client(base_url=f"{limited.url}/api/v1", timeout=30, trust_env=False) as client:
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
    seconds = int(guesses[-1].headers["Retry-After"])
    assert 3_500 < seconds == problem["retry_after_seconds"] <= 3_600
    assert guesses[-1].headers["RateLimit"] == f'"promo_previews";r=0;t={seconds}'
    assert guesses[0].headers["RateLimit-Policy"] == '"promo_previews";q=5;w=3600'
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


def test_wrong_links_are_slowed_for_their_address_and_keep_nobody_from_paying(evening):
    package_id = evening.package()["id"]
    order = buy(evening, package_id, "203.0.113.30", payment_method="card").json()
    path = f"/public/orders/{order['id']}"

    def open_(token: str, address: str = "203.0.113.30", path: str = path, method: str = "GET") -> httpx.Response:
        headers = {"X-Order-Token": token, "X-Forwarded-For": address, "Idempotency-Key": new_key()}
        return evening.client.request(method, path, headers=headers)

    def pay(token: str) -> httpx.Response:
        return open_(token, path=f"{path}/payment-intent", method="POST")

    right = order["access_token"]
    wrong = [open_("wrong"), open_("wrong", path=f"/public/orders/{UNKNOWN_ID}"), pay("wrong")]
    assert [answer.status_code for answer in (*wrong, open_(right), open_("wrong"))] == [404, 404, 404, 200, 404]
    assert_problem(open_("wrong"), 429, "too_many_requests")
    assert open_("wrong").headers["RateLimit-Policy"] == '"order_links";q=4;w=3600'
    cancel = f"{path}/cancel"
    assert [open_(right).status_code, open_(right, path=cancel, method="POST").status_code] == [429, 429]
    assert open_(right, address="203.0.113.31").json()["status"] == "pending"
    # Others with the same address still pay; a caller that is wrong again is told to wait.
    assert (pay(right).status_code, pay("wrong").status_code) == (201, 429)


def test_messages_of_the_payment_provider_are_never_limited(evening):
    sent = [
        evening.client.post("/webhooks/stripe", content=b"{}", headers={"X-Forwarded-For": "203.0.113.40"})
        for _ in range(150)
    ]
    assert {answer.status_code for answer in sent} == {400}  # unsigned; a limit would say 429


def test_without_redis_each_process_counts_for_itself(evening, valkey):
    package_id = evening.package()["id"]
    valkey.process.popen.send_signal(signal.SIGKILL)
    valkey.process.popen.wait(PATIENCE_SECONDS)
    try:
        guesses = [preview(evening, package_id, f"GUESS{n}", "203.0.113.11").status_code for n in range(6)]
    finally:
        valkey.start()
    assert guesses == [200] * 5 + [429]


@pytest.fixture
def strict(start_host, fresh_database, issuer, valkey):
    host = start_host(http_only=True, **STRICT, DATABASE_URL=fresh_database, REDIS_URL=valkey.url(1))
    with httpx.Client(base_url=f"{host.url}/api/v1", timeout=30, trust_env=False) as client:
        yield client


def test_users_events_and_where_somebody_says_so_orders_have_limits_of_their_own(strict, issuer):
    evening = open_evening(strict, issuer)  # publishing was the event's second change, and the coordinator's first
    package = evening.package()
    seen = [evening.patch_package(package["id"], {"name": f"Name {number}"}) for number in range(4)]
    assert [answer.status_code for answer in seen] == [200, 200, 200, 429]
    assert_problem(seen[-1], 429, "too_many_requests")
    assert seen[0].headers["RateLimit-Policy"] == '"user_requests";q=12;w=3600, "event_writes";q=6;w=3600'
    assert seen[-1].headers["RateLimit-Policy"] == '"event_writes";q=6;w=3600'
    # Reading works until this user has asked too often; buying always works, and so do other users' requests.
    reads = [strict.get(evening.path, headers=evening.headers).status_code for _ in range(8)]
    assert reads[0] == 200
    assert reads[-1] == 429
    assert strict.get(evening.path, headers=bearer(issuer.token(ADMIN))).status_code == 200
    bought = [buy(evening, package["id"], "203.0.113.50") for _ in range(4)]
    assert [answer.status_code for answer in bought] == [201, 201, 201, 429]
    assert bought[0].headers["RateLimit-Policy"] == '"orders";q=3;w=3600'
    assert buy(evening, package["id"], "203.0.113.51").status_code == 201

    other = open_evening(strict, issuer)
    made = [strict.post(f"{other.path}/reports", json={}, headers=other.headers) for _ in range(2)]
    assert [answer.status_code for answer in made] == [201, 429]
    assert made[1].headers["RateLimit-Policy"] == '"reports";q=1;w=3600'
