"""The running app's log: a line for each request, with its trace, and no personal data or secrets."""

import json

import httpx
import psycopg
import pytest

from tests.factories import assert_problem, bearer, new_key, open_evening, query, send_order

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
NAME, EMAIL, PHONE = "Philippa Quincey-Adair", "philippa@bounce.test", "+44 20 7946 0999"
PROMO = "HUSHHUSH7"
CUSTOMER = {"name": NAME, "email": EMAIL, "phone": PHONE}


@pytest.fixture(scope="module")
def host(start_module_host, module_database, second_storage):
    changes = {"DATABASE_URL": module_database, "AzureWebJobsStorage": second_storage}
    return start_module_host(**changes, LOG_FORMAT="json", ACCESS_LOG="true")


@pytest.fixture
def talking(host):
    with httpx.Client(base_url=f"{host.url}/api/v1", timeout=30, trust_env=False) as client:
        yield client


def lines(host):
    return [json.loads(line) for line in host.log().splitlines() if line.startswith("{")]


def test_each_request_is_one_line_tied_to_its_trace(host, talking, poll):
    answer = talking.get("/public/events?page_size=7", headers=TRACEPARENT | {"X-Request-Id": "my-request"})
    assert answer.status_code == 200
    talking.get("/public/events/hush-hush?secret=1", headers={"X-Request-Id": "my-second"})
    talking.get("/nowhere/hush-hush", headers={"X-Request-Id": "my-third"})

    def line(request_id: str) -> dict[str, object]:
        def of_request() -> list[dict[str, object]]:
            return [line for line in lines(host) if line.get("request_id") == request_id]

        (found,) = poll(of_request)
        return found

    first = line("my-request")
    assert first["level"] == "info"
    assert first["logger"] == "boxoffice.access"
    assert (first["function"], first["route"], first["method"], first["status"]) == (
        "list_public_events",
        "v1/public/events",
        "GET",
        200,
    )
    assert (first["trace_id"], first["message"]) == (TRACE, f"GET v1/public/events 200 in {first['ms']} ms")
    second, third = line("my-second"), line("my-third")
    assert (second["route"], second["status"]) == ("v1/public/events/{slug}", 404)
    assert (third["function"], third["status"]) == ("no_such_route", 404)
    assert second["trace_id"] != TRACE
    assert "hush-hush" not in host.log()


def test_nothing_of_a_buyer_is_written_whatever_happens(host, talking, issuer, module_database, poll):
    evening = open_evening(talking, issuer)
    package = evening.package()
    talking.post(
        f"{evening.path}/promo-codes",
        json={"code": PROMO, "discount_type": "percentage", "discount_value": 10},
        headers=evening.headers,
    ).raise_for_status()
    order = evening.order((package["id"], 1), customer=CUSTOMER, promo_code=PROMO)
    secrets = [NAME, EMAIL, PHONE, PROMO, order["access_token"], order["tickets"][0]["code"], evening.token]
    key = new_key()
    path = f"/public/orders/{order['id']}"

    # Wrong guesses, bad input, garbage, and a member whose address is in the path.
    assert send_order(talking, evening.id, [(package["id"], 1)], promo_code="WRONGHUSH8").status_code == 422
    bad = {"customer": CUSTOMER | {"email": f"{NAME}@", "phone": 7}, "items": [{"package_id": PROMO}]}
    assert talking.post(f"/public/events/{evening.id}/orders", json=bad, headers={"Idempotency-Key": key}).is_error
    assert talking.post(f"/public/events/{evening.id}/orders", content=f'{{"name": "{NAME}'.encode()).is_error
    assert talking.get(path, headers={"X-Order-Token": order["access_token"]}).status_code == 200
    assert talking.get(path, params={"token": order["access_token"]}).is_error
    assert talking.get(f"{path}?email={EMAIL}", headers={"X-Order-Token": f"{NAME}"}).is_error
    assert talking.get("/my/orders", headers=bearer(f"{order['access_token']}.{PROMO}")).is_error
    member = f"{evening.path}/members/{EMAIL}"
    assert talking.put(member, json={"role": "staff"}, headers=evening.headers).status_code == 200
    # The database refuses the order, and its error quotes the row.
    with psycopg.connect(module_database, autocommit=True) as connection:
        connection.execute("ALTER TABLE orders ADD CONSTRAINT nobody CHECK (customer_name = 'Nobody') NOT VALID")
        failed = send_order(talking, evening.id, [(package["id"], 1)], customer=CUSTOMER, promo_code=PROMO)
        connection.execute("ALTER TABLE orders DROP CONSTRAINT nobody")
    assert_problem(failed, 500, "internal_error")
    # The mail server refuses the address, by name; in the log it belongs to the trace of the order.
    failing = "SELECT last_error FROM outbox WHERE event_id = %s AND last_error IS NOT NULL"
    assert EMAIL in poll(lambda: query(module_database, failing, evening.id))[0][0]

    def failures() -> list[str]:
        return [line["message"].partition(" (")[0] for line in lines(host) if line["level"] in {"warning", "error"}]

    poll(lambda: {"place_public_order failed", "An e-mail could not be sent", "deliver_email failed"} <= {*failures()})
    written = host.log()
    assert [secret for secret in (*secrets, "WRONGHUSH8", key) if secret in written] == []
    (error,) = [line for line in lines(host) if line["message"].startswith("place_public_order failed")]
    assert error["request_id"] == failed.headers["X-Request-Id"]
    assert "psycopg.errors.CheckViolation: 23514 nobody" in error["error"]


def test_a_trace_goes_through_the_outbox(talking, issuer, module_database):
    evening = open_evening(talking, issuer)
    package = evening.package()
    talking.headers.update(TRACEPARENT)
    evening.order((package["id"], 1))
    cause = query(module_database, "SELECT payload->>'traceparent' FROM outbox WHERE event_id = %s", evening.id)
    assert cause[0][0].startswith(f"00-{TRACE}-")
