"""Demand of once, twice and ten times what there is, with all that moves stock beside it (R-ORD-2, R-ORD-9)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import psycopg
import pytest

from shared.domain.orders.releasing import release
from shared.domain.orders.states import State
from tests.concurrency.ledger import disagreements, wait_for_locks
from tests.factories import open_evening, send_order
from tests.http.test_payments import hold, let_time_pass, read


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer)


def test_stock_that_somebody_else_frees_while_a_buyer_looks_for_it_is_not_refused(evening, database_url, poll):
    """The buyer finds nothing left, and before they can tidy away the expired order that is in the way, another has."""
    package = evening.package(quantity_limit=1)
    order = hold(evening, (package["id"], 1))
    let_time_pass(database_url, order)
    with psycopg.connect(database_url) as other, ThreadPoolExecutor(1) as buyer:
        other.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")  # reading what is on sale does not look there
        answer = buyer.submit(lambda: send_order(evening.client, evening.id, [(package["id"], 1)]))
        wait_for_locks(database_url, 1, poll)
        released = release(other, evening.event_id, [order["id"]], to=State.EXPIRED, now=datetime.now(UTC))
        assert [str(id_) for id_ in released] == [order["id"]]
        other.commit()
        assert answer.result().status_code == 201, answer.result().text
    assert read(evening, order)["status"] == "expired"
    assert disagreements(database_url, evening.id) == []
