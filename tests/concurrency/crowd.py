"""Many buyers at the same instant: each with an open connection, all released by one barrier."""

import http.client
import json
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tests.harness.polling import PATIENCE_SECONDS

# The status for a buyer whose connection broke, who knows nothing. No HTTP status has this number.
NO_ANSWER = 0


@dataclass(frozen=True)
class Answer:
    """What one buyer got."""

    status: int
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """The status, and the code if the answer is a problem: "201", "409 sold_out"."""
        return " ".join(str(part) for part in (self.status, self.body.get("code")) if part is not None)


def order(*items: tuple[str, int]) -> dict[str, Any]:
    """The body of an order of some packages, by id and quantity."""
    return {
        "customer": {"name": "Bo Buyer", "email": f"bo-{uuid.uuid4().hex[:12]}@example.test"},
        "items": [{"package_id": package_id, "quantity": quantity} for package_id, quantity in items],
        "payment_method": "test",
    }


def place_at_once(url: str, event_id: str, orders: Sequence[dict[str, Any]]) -> list[Answer]:
    """Place all orders at the same instant; return the answers in the same sequence as the orders."""
    barrier = threading.Barrier(len(orders))
    answers: list[Answer] = [Answer(NO_ANSWER)] * len(orders)

    def buy(index: int) -> None:
        connection = connect(url)
        try:
            barrier.wait()
            answers[index] = place(connection, event_id, orders[index])
        finally:
            connection.close()

    threads = [threading.Thread(target=buy, args=(index,)) for index in range(len(orders))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def place(
    connection: http.client.HTTPConnection, event_id: str, body: dict[str, Any], *, key: str | None = None
) -> Answer:
    """Place one order; a broken connection counts as an answer, too."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": key or uuid.uuid4().hex}
    try:
        connection.request("POST", f"/api/v1/public/events/{event_id}/orders", json.dumps(body), headers)
        response = connection.getresponse()
        return Answer(response.status, json.loads(response.read() or b"{}"))
    except (http.client.HTTPException, OSError):
        return Answer(NO_ANSWER)


def connect(url: str) -> http.client.HTTPConnection:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=PATIENCE_SECONDS)
    connection.connect()
    return connection


def outcomes(answers: Sequence[Answer]) -> dict[str, int]:
    """How often each outcome occurred."""
    return dict(Counter(answer.outcome for answer in answers))


@dataclass(frozen=True)
class Purchase:
    """What one buyer of a crowd got, and when (on the monotonic clock) they began and stopped waiting for it."""

    begun: float
    ended: float
    answer: Answer

    def within(self, start: float, end: float) -> bool:
        """Whether the whole wait was between the two moments."""
        return start < self.begun and self.ended < end


@contextmanager
def keep_buying(
    url: str,
    event_id: str,
    body: Callable[[], dict[str, Any]],
    *,
    buyers: int = 8,
    insist: bool = False,
    pause: float = 0.0,
) -> Iterator[list[Purchase]]:
    """While the block runs, a number of buyers buy again and again; yields what they have got so far.

    Each buyer pauses between two purchases, which saves CPU when a test waits for something else. With `insist`, buyers
    ask again with the same key after a 503, as its text says, until they get what they want.
    """
    purchases: list[Purchase] = []
    enough = threading.Event()

    def buy() -> None:
        connection = connect(url)
        while not enough.is_set():
            wish, key = body(), uuid.uuid4().hex
            while True:
                begun = time.monotonic()
                answer = place(connection, event_id, wish, key=key)
                purchases.append(Purchase(begun, time.monotonic(), answer))
                if not insist or answer.status != 503:
                    break
                time.sleep(0.05)  # a browser would wait longer
            enough.wait(pause)
        connection.close()

    with ThreadPoolExecutor(buyers) as pool:
        running = [pool.submit(buy) for _ in range(buyers)]
        try:
            yield purchases
        finally:
            enough.set()
        for buyer in running:
            buyer.result()
