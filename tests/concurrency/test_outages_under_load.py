"""Each dependency is stopped, stuck and started again while people buy (R-OPS-5).

No buyer notices that Redis or the storage is away. Without the database, buyers are told so within its time-outs, and
their request takes effect once or not at all.
"""

import signal
import time
from collections.abc import Sequence

import httpx
import psutil
import pytest

from tests.concurrency.crowd import Purchase, keep_buying, order, outcomes
from tests.concurrency.ledger import counts, disagreements
from tests.concurrency.mortal import Mortal, mortal_system
from tests.concurrency.sale import open_sale
from tests.factories import bearer, query
from tests.harness.polling import PATIENCE_SECONDS

BUYERS = 6
PAUSE_SECONDS = 0.1
# These time-outs are longer than a purchase takes, even on a slow and busy machine. So a request that takes as long has
# waited for a time-out.
REDIS_SECONDS = 5.0
STORAGE_SECONDS = 5.0
STATEMENT_SECONDS = 5
# The time of a statement, and the grace until the client gives up; then two attempts to connect.
DATABASE_SECONDS = STATEMENT_SECONDS + 2 + 2 * 2
NOISE_SECONDS = 10


@pytest.fixture(scope="module")
def system(tmp_path_factory, guard, app_environment, template_url):
    settings = {
        "REDIS_TIMEOUT_MS": str(int(REDIS_SECONDS * 1000)),
        "DATABASE_STATEMENT_TIMEOUT_MS": str(STATEMENT_SECONDS * 1000),
        "DATABASE_CONNECT_TIMEOUT_SECONDS": "2",
    }
    folder = tmp_path_factory.mktemp("load")
    with mortal_system(folder, guard, app_environment | settings, template=template_url, workers=1) as system:
        yield system


@pytest.fixture
def client(system):
    with httpx.Client(base_url=f"{system.host.url}/api/v1", timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
def sale(client, issuer):
    admin = bearer(issuer.token("admin@demo.test", roles=["super_admin"]))
    event_id, (package_id,) = open_sale(client, admin, {})
    return event_id, package_id, admin


def state(client, name):
    return client.get("/health/ready").json()["dependencies"][name]["state"]


def begun_after(purchases: Sequence[Purchase], moment: float) -> list[Purchase]:
    return [purchase for purchase in list(purchases) if purchase.begun > moment]


def wait_for_purchases(purchases, poll, count: int = 40) -> list[Purchase]:
    """Return the purchases that begin from now on, once there are `count` of them."""
    now = time.monotonic()
    return poll(lambda: len(found := begun_after(purchases, now)) >= count and found)


def assert_books_agree(system: Mortal, event_id: str, purchases: Sequence[Purchase]) -> None:
    bought = sum(purchase.answer.status == 201 for purchase in purchases)
    kept = counts(system.database_url, event_id)
    assert kept == {"sold": bought, "held": 0, "orders": bought, "packages": bought, "tickets": bought}
    assert disagreements(system.database_url, event_id) == []


def test_a_stuck_or_dead_redis_is_missed_by_no_buyer(system, client, sale, poll):
    event_id, package_id, admin = sale
    redis = system.valkey.process.popen
    with keep_buying(
        system.host.url, event_id, lambda: order((package_id, 1)), buyers=BUYERS, pause=PAUSE_SECONDS
    ) as purchases:
        wait_for_purchases(purchases, poll)
        stopped = time.monotonic()
        redis.send_signal(signal.SIGSTOP)
        wait_for_purchases(purchases, poll, 100)
        waited = [purchase for purchase in list(purchases) if purchase.ended > stopped]
        slow = [purchase for purchase in waited if purchase.ended - purchase.begun >= REDIS_SECONDS]
        # Only requests that were under way when it stopped have waited, and each of them once.
        assert len(slow) <= BUYERS
        assert all(purchase.begun < stopped + REDIS_SECONDS for purchase in slow)
        assert all(purchase.ended - purchase.begun < 2 * REDIS_SECONDS for purchase in slow)
        assert state(client, "redis") == "down"
        redis.send_signal(signal.SIGCONT)
        poll(lambda: state(client, "redis") == "up")
        redis.kill()
        redis.wait(PATIENCE_SECONDS)
        wait_for_purchases(purchases, poll)
        health = client.get("/health/ready")
        assert (health.status_code, health.json()["status"]) == (200, "degraded")
        assert client.get(f"/admin/events/{event_id}", headers=admin).status_code == 200
        system.valkey.start()
        poll(lambda: state(client, "redis") == "up")
    assert set(outcomes([purchase.answer for purchase in purchases])) == {"201"}
    summary = f"/admin/events/{event_id}/ticket-packages/sales-summary"
    assert client.get(summary, headers=admin).json()["packages_sold"] == len(purchases)
    assert_books_agree(system, event_id, purchases)


def test_a_stuck_or_stopped_storage_is_missed_by_no_buyer_and_the_mail_is_queued_later(system, client, sale, poll):
    event_id, package_id, admin = sale
    image = f"/admin/events/{event_id}/ticket-packages/{package_id}/image"
    with keep_buying(
        system.host.url, event_id, lambda: order((package_id, 1)), buyers=BUYERS, pause=PAUSE_SECONDS
    ) as purchases:
        wait_for_purchases(purchases, poll)
        system.azurite.process.popen.send_signal(signal.SIGSTOP)
        assert state(client, "storage") == "down"
        refused = client.post(image, headers=admin, files={"image": ("a.jpg", b"\xff\xd8\xff", "image/jpeg")})
        assert (refused.status_code, refused.json()["dependency"]) == (503, "storage")
        assert refused.elapsed.total_seconds() < STORAGE_SECONDS  # the breaker is open
        assert client.get("/metrics").elapsed.total_seconds() < STORAGE_SECONDS
        wait_for_purchases(purchases, poll, 100)
        system.azurite.process.popen.send_signal(signal.SIGCONT)
        poll(lambda: state(client, "storage") == "up")
        system.azurite.stop(timeout=PATIENCE_SECONDS)
        wait_for_purchases(purchases, poll)
        system.azurite.start()
        poll(lambda: state(client, "storage") == "up")
    assert set(outcomes([purchase.answer for purchase in purchases])) == {"201"}
    assert max(purchase.ended - purchase.begun for purchase in purchases) < STORAGE_SECONDS
    assert_books_agree(system, event_id, purchases)
    # The storage may have taken a message just before it stopped: it is delivered, but not marked as published.
    waiting = "SELECT count(*) FROM outbox WHERE event_id = %s AND published_at IS NULL AND done_at IS NULL"
    poll(lambda: query(system.database_url, waiting, event_id) == [(0,)])


def test_a_stuck_database_gives_clear_answers_in_time_and_what_was_asked_for_happens_once(system, client, sale, poll):
    event_id, package_id, _ = sale
    body = lambda: order((package_id, 1))  # noqa: E731
    with keep_buying(system.host.url, event_id, body, buyers=BUYERS, pause=PAUSE_SECONDS, insist=True) as purchases:
        wait_for_purchases(purchases, poll)
        processes = system.postgres_processes()
        signal_all(processes, signal.SIGSTOP)
        try:
            refused = wait_for_refusals(purchases, poll)
            assert client.get("/health/live").status_code == 200
            health = client.get("/health/ready")
            assert (health.status_code, health.json()["status"]) == (503, "down")
        finally:
            signal_all(processes, signal.SIGCONT)
        wait_for_purchases(purchases, poll)
    assert set(outcomes([purchase.answer for purchase in purchases])) == {"201", "503 dependency_down"}
    waits = [purchase.ended - purchase.begun for purchase in refused]
    assert max(waits) < DATABASE_SECONDS + NOISE_SECONDS
    # Once the outage is known, no request waits: waiting threads would be missing when the database is back.
    assert sum(wait >= 2 for wait in waits) <= 2 * BUYERS
    assert all(purchase.answer.body["dependency"] == "database" for purchase in refused)
    assert_books_agree(system, event_id, purchases)


def test_a_dead_database_gives_clear_answers_and_selling_goes_on_when_it_is_back(system, client, sale, poll):
    event_id, package_id, _ = sale
    body = lambda: order((package_id, 1))  # noqa: E731
    with keep_buying(system.host.url, event_id, body, buyers=BUYERS, pause=PAUSE_SECONDS, insist=True) as purchases:
        wait_for_purchases(purchases, poll)
        processes = system.postgres_processes()
        signal_all(processes, signal.SIGKILL)
        system.postgres.process.popen.wait(PATIENCE_SECONDS)
        psutil.wait_procs(processes[1:], timeout=PATIENCE_SECONDS)
        refused = wait_for_refusals(purchases, poll)
        told = client.get("/metrics")
        assert told.status_code == 200
        assert 'boxoffice_dependency_up{dependency="database"} 0.0' in told.text
        system.postgres.start()
        wait_for_purchases(purchases, poll)
    assert set(outcomes([purchase.answer for purchase in purchases])) == {"201", "503 dependency_down"}
    assert max(purchase.ended - purchase.begun for purchase in refused) < STATEMENT_SECONDS
    assert_books_agree(system, event_id, purchases)


def signal_all(processes: Sequence[psutil.Process], number: int) -> None:
    """Its first process first, because that would replace the others."""
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue


def wait_for_refusals(purchases, poll) -> list[Purchase]:
    """The refusals that the buyers got, once each buyer has got two."""

    def refused() -> list[Purchase]:
        return [purchase for purchase in list(purchases) if purchase.answer.status != 201]

    return poll(lambda: len(refused()) >= 4 * BUYERS and refused())
