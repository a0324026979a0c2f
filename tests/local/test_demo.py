"""The demo data: it is loaded once, and the books of its season add up."""

import os
import subprocess
import sys

import pytest

from infra.local.home import REPOSITORY
from tests.concurrency.ledger import disagreements
from tests.factories import query
from tests.harness.polling import PATIENCE_SECONDS

EVENT = "SELECT id FROM events WHERE slug = 'winter-showcase'"


@pytest.fixture(scope="module")
def loaded(app_environment, module_database):
    def load() -> str:
        command = [sys.executable, "-m", "infra.local.demo"]
        environment = os.environ | app_environment | {"DATABASE_URL": module_database}
        return subprocess.run(
            command,
            env=environment,
            cwd=REPOSITORY,
            check=True,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        ).stdout.strip()

    return load(), load()


def test_it_is_loaded_once(loaded, module_database):
    assert loaded == ("Demo data loaded.", "The demo data is there already.")
    assert query(module_database, "SELECT count(*) FROM events") == [(3,)]


@pytest.mark.usefixtures("loaded")
def test_the_season_has_something_of_everything_and_its_books_add_up(module_database):
    ((event_id,),) = query(module_database, EVENT)
    states = "SELECT status, count(*) FROM orders WHERE event_id = %s GROUP BY status"
    assert dict(query(module_database, states, event_id)) == {
        "paid": 79,
        "expired": 7,
        "pending": 1,
        "partially_refunded": 1,
        "refunded": 1,
    }
    assert disagreements(module_database, event_id) == []
    waiting = "SELECT count(*) FROM outbox WHERE event_id = %s AND done_at IS NULL"
    assert query(module_database, waiting, event_id) == [(0,)]
    days = "SELECT count(DISTINCT created_at::date) FROM orders WHERE event_id = %s"
    assert query(module_database, days, event_id)[0][0] >= 6
