"""Many buyers at the same instant: each with an open connection, all let go by one barrier."""

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

# What a buyer whose connection broke knows: nothing. No status of HTTP has this number.
NO_ANSWER = 0


@dataclass(frozen=True)
class Answer:
    """What one buyer got."""

    status: int
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """The status, and the problem's code where it is one: "201", "409 sold_out"."""
        return " ".join(str(part) for part in (self.status, self.body.get("code")) if part is not None)


def order(*items: tuple[str, int]) -> dict[str, Any]:
    """The body of an order of some packages, by id and quantity."""
    return {
        "customer": {"name": "Bo Buyer", "email": f"bo-{uuid.uuid4().hex[:12]}@example.test"},
        "items": [{"package_id": package_id, "quantity": quantity} for package_id, quantity in items],
        "payment_method": "test",
    }


def place_at_once(url: str, event_id: str, orders: Sequence[dict[str, Any]]) -> list[Answer]:
    """Place all orders at the same instant; returns the answers in the orders' own order."""
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
    """Place one order; a connection that breaks is an answer, too."""
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
    """What one buyer of a crowd got, and between which moments (of the monotonic clock) they waited for it."""

    begun: float
    ended: float
    answer: Answer

    def within(self, start: float, end: float) -> bool:
        """Whether all of it happened between the two moments."""
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
    """While the block runs, so many buyers buy again and again; yields what they have got so far.

    Each pauses so many seconds between two purchases, which spares the machine where a test waits for something else.
    Those who `insist` ask again with the same key after a 503, as it says, until they have what they want.
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
