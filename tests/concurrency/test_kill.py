"""A process killed with SIGKILL in the middle of a rush: nothing is lost, and nothing is sold twice (R-OPS-5)."""

import signal
import threading
import uuid

import httpx
import psutil

from tests.concurrency.crowd import NO_ANSWER, Answer, connect, order, outcomes, place
from tests.concurrency.ledger import counts, disagreements
from tests.concurrency.sale import open_sale
from tests.harness.polling import PATIENCE_SECONDS


def test_a_host_killed_in_the_middle_of_the_rush_leaves_counts_that_agree(start_host, fresh_database, issuer):
    """Two hundred buyers want fifty tickets; every process of the host dies when the first buyer is told of a sale.

    Buyers without an answer repeat the request with the same idempotency key once the host is back, as a browser would.
    """
    admin = {"Authorization": f"Bearer {issuer.token('admin@demo.test', roles=['super_admin'])}"}
    host = start_host(DATABASE_URL=fresh_database)
    with httpx.Client(base_url=f"{host.url}/api/v1", timeout=30, trust_env=False) as client:
        event_id, (package_id,) = open_sale(client, admin, {"quantity_limit": 50})
    requests = [(uuid.uuid4().hex, order((package_id, 1))) for _ in range(200)]

    processes = [*psutil.Process(host.process.pid).children(recursive=True), psutil.Process(host.process.pid)]
    first = _rush(host.url, event_id, requests, at_the_first_sale=lambda: _kill(processes))
    after_the_kill = counts(fresh_database, event_id)
    assert NO_ANSWER in {answer.status for answer in first}, "the kill must have hit somebody"
    assert after_the_kill["sold"] == after_the_kill["tickets"] == after_the_kill["orders"] < 50
    assert disagreements(fresh_database, event_id) == []

    again = start_host(http_only=True, DATABASE_URL=fresh_database)
    unanswered = [request for request, answer in zip(requests, first, strict=True) if answer.status == NO_ANSWER]
    second = _rush(again.url, event_id, unanswered)

    answers = [answer for answer in first if answer.status != NO_ANSWER] + second
    assert outcomes(answers) == {"201": 50, "409 sold_out": 150}
    assert counts(fresh_database, event_id) == {"sold": 50, "held": 0, "orders": 50, "packages": 50, "tickets": 50}
    assert len({answer.body["number"] for answer in answers if answer.status == 201}) == 50


def _rush(url, event_id, requests, *, at_the_first_sale=None):
    answers = [Answer(NO_ANSWER)] * len(requests)
    barrier = threading.Barrier(len(requests))
    sold = threading.Event()

    def buy(index):
        connection = connect(url)
        barrier.wait()
        key, body = requests[index]
        answers[index] = place(connection, event_id, body, key=key)
        if answers[index].status == 201:
            sold.set()
        connection.close()

    threads = [threading.Thread(target=buy, args=(index,)) for index in range(len(requests))]
    for thread in threads:
        thread.start()
    if at_the_first_sale:
        assert sold.wait(PATIENCE_SECONDS)
        at_the_first_sale()
    for thread in threads:
        thread.join()
    return answers


def _kill(processes):
    for process in processes:
        process.send_signal(signal.SIGKILL)
    psutil.wait_procs(processes, timeout=PATIENCE_SECONDS)
