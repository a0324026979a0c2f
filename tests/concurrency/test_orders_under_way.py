"""Coordinators while an order is being written: edits never wait for buyers, and deletions cause no deadlock with them.

An order that is being written refers to its packages and to the questions it answers, which locks those rows against
deletion. It claims its stock last. Here such an order is held open between these two steps.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from tests.concurrency.ledger import wait_for_locks
from tests.factories import Evening, open_evening

# The locks that the foreign keys of order items and answers take on the rows that they refer to.
REFERS = """
SELECT 1 FROM ticket_packages WHERE event_id = %(event)s FOR KEY SHARE;
SELECT 1 FROM custom_options WHERE event_id = %(event)s FOR KEY SHARE;
SELECT 1 FROM events WHERE id = %(event)s FOR KEY SHARE
"""
CLAIM = """
SELECT stock_claim(event_id, ARRAY[id], ARRAY[1]::bigint[], ARRAY[terms], false)
  FROM stock WHERE id = %s
"""


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer)


@pytest.fixture
def order_under_way(evening: Evening, database_url: str) -> Iterator[Any]:
    """Opens an order that has not claimed its stock yet; call it when everything that the order refers to exists."""
    with psycopg.connect(database_url) as connection:

        def begin() -> psycopg.Connection[Any]:
            connection.execute("SET LOCAL lock_timeout = '700ms'")  # less than it takes to notice a deadlock
            for statement in REFERS.split(";"):
                connection.execute(statement.encode(), {"event": evening.id})
            return connection

        yield begin
        connection.rollback()


def option(evening: Evening, package_id: str, label: str) -> str:
    fields = {"label": label, "option_type": "text_input", "is_required": False}
    path = f"{evening.packages}/{package_id}/custom-options"
    return str(evening.client.post(path, json=fields, headers=evening.headers).json()["id"])


def test_no_edit_waits_for_a_buyer(evening, order_under_way):
    first, second = (evening.package()["id"] for _ in range(2))
    one, two = (option(evening, first, label) for label in ("One", "Two"))
    order_under_way()
    package = f"{evening.packages}/{first}"
    edits: list[tuple[str, str, dict[str, Any] | None]] = [
        ("PUT", f"{evening.packages}/reorder", {"package_ids": [second, first]}),
        ("PUT", f"{package}/custom-options/reorder", {"option_ids": [two, one]}),
        ("PATCH", package, {"name": "Renamed", "price_cents": 1, "quantity_limit": 5}),
        ("PATCH", f"{package}/custom-options/{one}", {"label": "Uno"}),
        ("PATCH", f"{package}/custom-options/{one}", {"is_active": False}),
        ("POST", f"{package}/custom-options", {"label": "Three", "option_type": "boolean"}),
        ("POST", f"{package}/disable", None),
        ("POST", f"{package}/enable", None),
        ("PATCH", evening.path, {"title": "Renamed", "currency": "EUR"}),
        ("POST", evening.packages, {"name": "New", "description": "New", "price_cents": 1}),
    ]
    for method, path, body in edits:
        answer = evening.client.request(method, path, json=body, headers=evening.headers)
        assert answer.status_code in {200, 201}, f"{method} {path}: {answer.text}"


@pytest.mark.parametrize(
    ("what", "code"), [("package", "package_has_sales"), ("option", "option_has_answers")], ids=["package", "option"]
)
def test_a_deletion_lets_the_order_under_way_finish(evening, order_under_way, database_url, poll, what, code):
    package_id = evening.package()["id"]
    path = f"{evening.packages}/{package_id}"
    gone = {"package": f"{path}?confirm=true", "option": f"{path}/custom-options/{option(evening, package_id, 'One')}"}
    headers = evening.headers

    def delete() -> httpx.Response:
        return evening.client.delete(gone[what], headers=headers)

    with ThreadPoolExecutor(1) as coordinator:
        order = order_under_way()
        answer = coordinator.submit(delete)
        wait_for_locks(database_url, 1, poll)
        order.execute(CLAIM, [package_id])
        order.commit()
        refused = answer.result()
    assert (refused.status_code, refused.json()["code"]) == (409, code)
    assert evening.read_package(package_id)["sold_count"] == 1
