"""After a refusal the app asks whether its key has had its effect before; the database may die during that query."""

import threading
from contextlib import closing

import psycopg
import pytest

from tests.concurrency.crowd import Answer, connect, order, place
from tests.concurrency.sale import open_sale
from tests.harness.polling import PATIENCE_SECONDS

_WAITING = """
SELECT pid FROM pg_stat_activity
 WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%idempotency_keys%'
"""


@pytest.fixture(scope="module")
def admin(issuer):
    return {"Authorization": f"Bearer {issuer.token('admin@demo.test', roles=['super_admin'])}"}


def test_a_refusal_whose_question_is_cut_off_is_asked_again_and_told(client, host, admin, database_url, poll):
    event_id, (package_id,) = open_sale(client, admin, {"quantity_limit": 1})
    answers: list[Answer] = []

    def buy() -> None:
        with closing(connect(host.url)) as connection:
            answers.append(place(connection, event_id, order((package_id, 1))))

    buy()

    buyer = threading.Thread(target=buy)
    with psycopg.connect(database_url) as holder, psycopg.connect(database_url, autocommit=True) as watcher:
        holder.execute("LOCK TABLE idempotency_keys IN ACCESS EXCLUSIVE MODE")
        buyer.start()
        (waiting,) = poll(lambda: watcher.execute(_WAITING).fetchone())
        watcher.execute("SELECT pg_terminate_backend(%s)", (waiting,))
    buyer.join(timeout=PATIENCE_SECONDS)

    assert [answer.outcome for answer in answers] == ["201", "409 sold_out"]
