"""Messages: each request that writes one adds its trace, and the message is published without the timer.

In this module's host the timer publishes once a year, so each message that is done was published after its commit.
"""

import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.factories import Evening, new_email, new_key, open_evening, order_fields, query, send_order
from tests.http.test_payments import ask, hold, let_time_pass, pay
from tests.http.test_reconciliation import harm, lose_tickets

Request = Callable[[], httpx.Response]


@pytest.fixture(scope="module")
def host(start_module_host, module_database, second_storage):
    changes = {"DATABASE_URL": module_database, "AzureWebJobsStorage": second_storage}
    return start_module_host(**changes, OUTBOX_SCHEDULE="0 0 0 1 1 *", SALES_REFRESH_SCHEDULE="0 0 0 1 1 *")


@pytest.fixture
def evening(host, issuer):
    with httpx.Client(base_url=f"{host.url}/api/v1", timeout=30, trust_env=False) as client:
        yield open_evening(client, issuer)


def post(evening: Evening, path: str, body: Any = None) -> httpx.Response:
    headers = evening.headers | {"Idempotency-Key": new_key()}
    return evening.client.post(f"{evening.path}/{path}", json=body or {}, headers=headers)


def by_card(evening: Evening) -> Any:
    """An order with a begun payment."""
    order = hold(evening, (evening.package()["id"], 1))
    assert ask(evening, order, "payment-intent").status_code == 201
    return order


def buying(evening: Evening, _: str) -> Request:
    body = order_fields([(evening.package()["id"], 1)])
    headers = {"Idempotency-Key": new_key()}
    return lambda: evening.client.post(f"/public/events/{evening.id}/orders", json=body, headers=headers)


def selling_at_the_box_office(evening: Evening, _: str) -> Request:
    body = order_fields([(evening.package()["id"], 1)], payment_method="cash")
    return lambda: post(evening, "orders", body)


def paying(evening: Evening, _: str) -> Request:
    order = by_card(evening)
    return lambda: ask(evening, order, "confirm", {"card": "succeeds"})


def paying_too_late(evening: Evening, database_url: str) -> Request:
    package = evening.package(quantity_limit=1)
    order = hold(evening, (package["id"], 1))
    assert ask(evening, order, "payment-intent").status_code == 201
    let_time_pass(database_url, order)
    evening.order((package["id"], 1))
    return lambda: ask(evening, order, "confirm", {"card": "succeeds"})


def refunding(evening: Evening, _: str) -> Request:
    order = hold(evening, (evening.package()["id"], 1))
    pay(evening, order)
    return lambda: post(evening, f"orders/{order['id']}/refund", {"reason": "Ill"})


def sending_again(evening: Evening, _: str) -> Request:
    order = evening.order((evening.package()["id"], 1))
    return lambda: post(evening, f"orders/{order['id']}/resend")


def cancelling(evening: Evening, _: str) -> Request:
    order = by_card(evening)
    return lambda: post(evening, f"orders/{order['id']}/cancel")


def giving_up(evening: Evening, _: str) -> Request:
    order = by_card(evening)
    return lambda: ask(evening, order, "cancel")


def erasing(evening: Evening, _: str) -> Request:
    email = new_email("forget")
    order = hold(evening, (evening.package()["id"], 1), customer={"name": "Ada", "email": email})
    assert ask(evening, order, "payment-intent").status_code == 201
    return lambda: post(evening, "privacy/erase", {"email": email, "force": True})


def issuing_what_is_missing(evening: Evening, database_url: str) -> Request:
    order = evening.order((evening.package()["id"], 1))
    lose_tickets(database_url, order)
    harm(database_url, "DELETE FROM outbox WHERE payload ->> 'order_id' = %s", order["id"])
    return lambda: post(evening, f"reconciliation/paid_not_issued:{order['id']}/repair")


def refunding_anew(evening: Evening, database_url: str) -> Request:
    order = hold(evening, (evening.package()["id"], 1))
    pay(evening, order)
    refund = post(evening, f"orders/{order['id']}/refund", {"reason": "Ill"}).json()
    harm(database_url, "UPDATE refunds SET status = 'failed' WHERE order_id = %s", order["id"])
    harm(database_url, "DELETE FROM outbox WHERE payload ->> 'refund_id' = %s", refund["id"])
    return lambda: post(evening, f"reconciliation/refund_failed:{refund['id']}/repair")


WAYS: dict[Callable[[Evening, str], Request], list[str]] = {
    buying: ["order_confirmation"],
    selling_at_the_box_office: ["order_confirmation"],
    paying: ["order_confirmation"],
    paying_too_late: ["payment_returned", "provider_refund"],
    refunding: ["provider_refund", "refund_notice"],
    sending_again: ["order_confirmation"],
    cancelling: ["give_up_payment"],
    giving_up: ["give_up_payment"],
    erasing: ["give_up_payment"],
    issuing_what_is_missing: ["order_confirmation"],
    refunding_anew: ["provider_refund"],
}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_each_way_to_write_a_message_keeps_the_trace_and_has_it_done(way, evening, module_database, poll):
    request = way(evening, module_database)
    trace = uuid.uuid4().hex
    evening.client.headers["traceparent"] = f"00-{trace}-00f067aa0ba902b7-01"
    answer = request()
    assert answer.is_success, answer.text
    of_trace = "SELECT kind FROM outbox WHERE payload ->> 'traceparent' LIKE %s ORDER BY kind"
    assert [kind for (kind,) in query(module_database, of_trace, f"00-{trace}-%")] == WAYS[way]
    waiting = "SELECT kind, last_error FROM outbox WHERE payload ->> 'traceparent' LIKE %s AND done_at IS NULL"
    poll(lambda: query(module_database, waiting, f"00-{trace}-%") == [])


def test_a_refused_order_has_nothing_published(evening, module_database):
    package = evening.package(quantity_limit=1)
    assert send_order(evening.client, evening.id, [(package["id"], 2)]).status_code == 409
    assert query(module_database, "SELECT count(*) FROM outbox WHERE event_id = %s", evening.id) == [(0,)]
