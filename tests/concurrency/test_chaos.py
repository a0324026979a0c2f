"""Every part dies at some moment of a sale; nothing is lost, sold twice, or charged without a sale (R-ORD, R-OPS-5).

Buyers and a coordinator go on as a browser would: they repeat a request without an answer with the same idempotency
key. `CHAOS_ROUNDS=50` makes the test longer, and `CHAOS_SEED=…` repeats a run with the same random choices.
"""

import http.client
import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.concurrency.crowd import NO_ANSWER, Answer, connect
from tests.concurrency.ledger import disagreements
from tests.concurrency.mortal import Mortal, mortal_system
from tests.concurrency.sale import open_sale
from tests.factories import bearer, new_email, new_key, query
from tests.harness.polling import PATIENCE_SECONDS

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "1"))
SEED = int(os.environ.get("CHAOS_SEED", "0")) or random.randrange(1, 10**6)
BUYERS = 4
# Cancelling has no key: if its outcome is unknown, the host says so, and asking again does no harm.
ASK_AGAIN = {NO_ANSWER, 503}

_COUNT_MAIL = "SELECT count(*) FROM outbox WHERE done_at IS NULL"
# As if the lease of a dead worker and the time after which a lost message is published again were over.
_LET_TIME_PASS = """
UPDATE outbox SET published_at = NULL, leased_until = NULL WHERE done_at IS NULL RETURNING kind, attempts, last_error
"""


@dataclass
class Told:
    """An order as its buyer knows it from the answers, and how it must end."""

    order: dict[str, Any]
    status: str
    refunded_cents: int = 0
    void: int = 0


@dataclass
class Client:
    """A buyer with one connection, who repeats a request until there is an answer."""

    url: str
    event_id: str
    packages: list[str]
    admin: dict[str, str]
    rng: random.Random
    told: list[Told] = field(default_factory=list)
    refused: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    _connection: http.client.HTTPConnection | None = None

    def act(self) -> None:
        """Make one purchase from beginning to end."""
        kind = self.rng.choice([self.buy_at_once, self.pay_by_card, self.pay_by_card, self.give_up, self.have_refunded])
        kind()

    def buy_at_once(self) -> Told | None:
        order = self.place("test")
        if order is None:
            return None
        assert order["status"] == "paid"
        self.told.append(Told(order, "paid"))
        return self.told[-1]

    def pay_by_card(self) -> None:
        order = self.place("card")
        if order is None:
            return
        self.ask_of(order, "payment-intent", 201)
        if self.rng.random() < 0.3:
            declined = self.ask_of(order, "confirm", 200, {"card": "declined"})
            assert (declined["status"], declined["payment"]["failure"]) == ("pending", "card_declined")
        paid = self.ask_of(order, "confirm", 200, {"card": "succeeds"})
        assert paid["status"] == "paid"
        self.told.append(Told(order | paid, "paid"))

    def give_up(self) -> None:
        order = self.place("card")
        if order is None:
            return
        if self.rng.random() < 0.5:
            self.ask_of(order, "payment-intent", 201)
        cancelled = self.ask_of(order, "cancel", 200)
        assert cancelled["status"] == "cancelled"
        self.told.append(Told(order | cancelled, "cancelled"))

    def have_refunded(self) -> None:
        told = self.buy_at_once()
        if told is None:
            return
        tickets = [ticket["id"] for ticket in told.order["tickets"]]
        wish: dict[str, Any] = self.rng.choice([{}, {"amount_cents": 700}, {"ticket_ids": tickets[:1]}])
        path = f"/api/v1/admin/events/{self.event_id}/orders/{told.order['id']}/refund"
        refund = self.insist("POST", path, {"reason": "Ill"} | wish, headers=self.admin, expected=(201,)).body
        told.refunded_cents = refund["amount_cents"]
        is_all = refund["amount_cents"] == told.order["total_cents"]
        told.status = "refunded" if is_all else "partially_refunded"
        told.void = len(tickets) if is_all else int("ticket_ids" in wish)

    def place(self, method: str) -> dict[str, Any] | None:
        """Place an order of some packages; None when they are sold out."""
        chosen = self.rng.sample(self.packages, self.rng.randint(1, 3))
        body = {
            "customer": {"name": "Bo Buyer", "email": new_email("bo")},
            "items": [{"package_id": package_id, "quantity": self.rng.randint(1, 2)} for package_id in chosen],
            "payment_method": method,
        } | ({"promo_code": "CHAOS"} if self.rng.random() < 0.3 else {})
        path = f"/api/v1/public/events/{self.event_id}/orders"
        answer = self.insist("POST", path, body, expected=(201, 409, 422))
        if answer.status != 201:
            assert answer.body["code"] in {"sold_out", "promo_code_used_up"}, answer.body
            self.refused += 1
            return None
        return answer.body

    def ask_of(self, order: dict[str, Any], what: str, status: int, body: Any = None) -> dict[str, Any]:
        path = f"/api/v1/public/orders/{order['id']}/{what}"
        headers = {"X-Order-Token": order["access_token"]}
        return self.insist("POST", path, body or {}, headers=headers, expected=(status,)).body

    def insist(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        expected: tuple[int, ...],
    ) -> Answer:
        """Send the same request with the same key until it is answered; only expected answers are allowed."""
        keyed = {"Content-Type": "application/json", "Idempotency-Key": new_key()} | (headers or {})
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up_at:
            answer = self.send(method, path, json.dumps(body), keyed)
            self.asked[answer.outcome] += 1
            if answer.status in expected:
                return answer
            assert answer.status in ASK_AGAIN, f"{method} {path}: {answer}"
            time.sleep(0.1)
        raise AssertionError(f"{method} {path} was not answered for {PATIENCE_SECONDS:g} s: {dict(self.asked)}")

    def hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def send(self, method: str, path: str, body: str, headers: dict[str, str]) -> Answer:
        """Try once; an error of the connection counts as an answer, too."""
        try:
            self._connection = self._connection or connect(self.url)
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            return Answer(response.status, json.loads(response.read() or b"{}"))
        except (http.client.HTTPException, OSError):
            self.hang_up()
            return Answer(NO_ANSWER)


@pytest.fixture
def system(app_environment, guard, tmp_path_factory, template_url) -> Iterator[Mortal]:
    folder = tmp_path_factory.mktemp("mortal")
    with mortal_system(folder, guard, app_environment, template=template_url, workers=2) as mortal:
        yield mortal


def test_whatever_dies_during_a_sale_everything_adds_up_and_everybody_has_what_they_were_told(
    system, issuer, mail_box, poll
):
    print(f"CHAOS_SEED={SEED} CHAOS_ROUNDS={ROUNDS}")
    admin = bearer(issuer.token("admin@demo.test", roles=["super_admin"]))
    event_id, packages = set_scene(system, admin)
    clients = [
        Client(system.host.url, event_id, packages, admin, random.Random(SEED * 100 + number))
        for number in range(BUYERS)
    ]

    deaths = keep_buying_while_things_die(system, clients, poll)

    told = [known for client in clients for known in client.told]
    asked = sum((client.asked for client in clients), Counter())
    print(f"{deaths} deaths, {len(told)} orders, answers {dict(asked)}")
    assert len(told) > 10 * ROUNDS
    assert asked[str(NO_ANSWER)] + sum(count for what, count in asked.items() if what.startswith("503")) > 0
    assert disagreements(system.database_url, event_id) == []
    in_the_database = query(system.database_url, "SELECT id::text FROM orders WHERE event_id = %s", event_id)
    assert {row[0] for row in in_the_database} == {known.order["id"] for known in told}
    assert_all_as_told(system, told)

    deliver_what_is_left(system, poll)

    unsettled = "SELECT * FROM refunds WHERE event_id = %s AND status <> 'succeeded'"
    assert query(system.database_url, unsettled, event_id) == []
    assert_confirmed_once(mail_box, told)
    assert disagreements(system.database_url, event_id) == []


def set_scene(system: Mortal, admin: dict[str, str]) -> tuple[str, list[str]]:
    """An event with some packages, one of them scarce, and a promo code with a limit."""
    with httpx.Client(base_url=f"{system.host.url}/api/v1", timeout=30, trust_env=False) as client:
        limits: list[dict[str, Any]] = [{"quantity_limit": 40}, {}, {"seats_per_package": 2}, {"quantity_limit": 9_999}]
        event_id, packages = open_sale(client, admin, *limits)
        code = {"code": "CHAOS", "discount_type": "percentage", "discount_value": 10, "max_total_uses": 30}
        client.post(f"/admin/events/{event_id}/promo-codes", headers=admin, json=code).raise_for_status()
    return event_id, packages


def keep_buying_while_things_die(system: Mortal, clients: list[Client], poll: Any) -> int:
    """Let the clients buy while each part of the system dies once in each round; return the number of deaths.

    Between two deaths somebody buys something, so that no death hits a system that is still completely down.
    """
    enough = threading.Event()

    def keep_acting(client: Client) -> None:
        try:
            while not enough.is_set():
                client.act()
                time.sleep(client.rng.uniform(0, 0.3))
        finally:
            client.hang_up()

    rng = random.Random(SEED)
    deaths = 0
    with ThreadPoolExecutor(len(clients)) as pool:
        running = [pool.submit(keep_acting, client) for client in clients]
        try:
            for _ in range(ROUNDS):
                for name, die in rng.sample(sorted(system.deaths.items()), len(system.deaths)):
                    wait_for_sales(clients, running, poll)
                    time.sleep(rng.uniform(0, 0.4))
                    print(f"  {name} dies")
                    die(rng)
                    deaths += 1
        finally:
            enough.set()
        for client in running:
            client.result()
    return deaths


def wait_for_sales(clients: list[Client], running: list[Future[None]], poll: Any) -> None:
    def sold() -> int:
        return sum(len(client.told) for client in clients)

    before = sold()
    poll(lambda: sold() > before + 3 or any(client.done() for client in running))


def assert_all_as_told(system: Mortal, told: list[Told]) -> None:
    """Each order is still what its buyer was told, including the codes of the tickets."""
    with httpx.Client(base_url=f"{system.host.url}/api/v1", timeout=30, trust_env=False) as client:
        for known in told:
            order = known.order
            found = client.get(f"/public/orders/{order['id']}", headers={"X-Order-Token": order["access_token"]}).json()
            assert (found["status"], found["refunded_cents"]) == (known.status, known.refunded_cents)
            assert [found[name] for name in SAME] == [order[name] for name in SAME]
            assert [ticket["number"] for ticket in found["tickets"]] == [t["number"] for t in order["tickets"]]
            assert [ticket["code"] for ticket in found["tickets"]] == [t["code"] for t in order["tickets"]]
            assert sum(ticket["status"] == "void" for ticket in found["tickets"]) == known.void


SAME = ("number", "customer", "subtotal_cents", "discount_cents", "total_cents", "created_at", "paid_at", "promo_code")


def deliver_what_is_left(system: Mortal, poll: Any) -> None:
    """Let interrupted work be done, as it would be ten minutes later."""
    system.host.stop()
    query(system.database_url, _LET_TIME_PASS)
    system.host.start()
    poll(lambda: query(system.database_url, _COUNT_MAIL) == [(0,)])


def assert_confirmed_once(mail_box: Any, told: list[Told]) -> None:
    """Each paid order has its confirmation; if it came twice, because its sender died, both have the same id."""
    ids: dict[str, set[str]] = {}
    for message in mail_box.messages():
        if message["Subject"].startswith("Your tickets for"):
            ids.setdefault(message["Subject"].rpartition("(")[2].rstrip(")"), set()).add(message["Message-ID"])
    for known in told:
        number = known.order["number"]
        assert len(ids.get(number, ())) == (known.status != "cancelled"), number
