"""Demand for once, twice and ten times the stock, while everything else changes the stock too (R-ORD-2, R-ORD-9)."""

import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, LiteralString

import psycopg
import pytest

from shared.domain.orders.releasing import release, release_all_overdue
from shared.domain.orders.states import State
from tests.concurrency.crowd import connect, order, outcomes, place, place_at_once
from tests.concurrency.ledger import counts, deadlocks, disagreements, wait_for_locks
from tests.factories import Evening, new_key, open_evening, query, send_order
from tests.harness.polling import PATIENCE_SECONDS
from tests.http.test_payments import ask, hold, let_time_pass, read

DEMAND = pytest.mark.parametrize("times", [1, 2, 10], ids=["once", "twice", "ten times"])


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer)


def remaining(evening: Evening) -> dict[str, int]:
    listed = evening.client.get(evening.packages, params={"page_size": 100}, headers=evening.headers).json()["items"]
    return {package["id"]: package["remaining"] for package in listed}


@DEMAND
def test_of_one_package_exactly_as_many_are_had_as_there_are(evening, host, database_url, times):
    """Half of the buyers pay at once; the other half hold packages that they will pay for later."""
    package = evening.package(quantity_limit=20)
    bodies = [order((package["id"], 1)) | {"payment_method": ("test", "card")[n % 2]} for n in range(20 * times)]

    answers = place_at_once(host.url, evening.id, bodies)

    assert outcomes(answers) == {"201": 20} | ({"409 sold_out": 20 * times - 20} if times > 1 else {})
    assert {answer.body["remaining"] for answer in answers if answer.status == 409} <= {0}
    after = counts(database_url, evening.id)
    assert (after["sold"] + after["held"], after["orders"], after["tickets"]) == (20, 20, 20)
    assert disagreements(database_url, evening.id) == []


@DEMAND
def test_of_twenty_packages_and_a_code_only_buyers_of_what_is_short_are_refused(evening, host, database_url, times):
    """Stock and uses only go down here, so a refusal was right exactly if what it names is still short now."""
    rng = random.Random(times)
    packages = [evening.package(price_cents=2_000)["id"] for _ in range(20)]
    bodies = []
    for number in range(100):
        chosen = [(package_id, rng.randint(1, 3)) for package_id in rng.sample(packages, rng.randint(2, 5))]
        code = {"promo_code": "DEMAND"} if number % 2 else {}
        bodies.append(order(*chosen) | {"payment_method": rng.choice(["test", "card"])} | code)
    wanted: Counter[str] = Counter()
    for body in bodies:
        wanted.update({item["package_id"]: item["quantity"] for item in body["items"]})
    for package_id in packages:
        limited = evening.patch_package(package_id, {"quantity_limit": max(1, wanted[package_id] // times)})
        assert limited.status_code == 200
    limited_code = {
        "code": "DEMAND",
        "discount_type": "percentage",
        "discount_value": 10,
        "max_total_uses": 50 // times,
    }
    evening.client.post(f"{evening.path}/promo-codes", json=limited_code, headers=evening.headers).raise_for_status()

    before = deadlocks(evening.client)
    answers = place_at_once(host.url, evening.id, bodies)

    assert deadlocks(evening.client) == before, "everybody locks in the same order"
    if times == 1:
        assert outcomes(answers) == {"201": 100}
    assert set(outcomes(answers)) <= {"201", "409 sold_out", "422 promo_code_used_up"}
    assert disagreements(database_url, evening.id) == []
    left = remaining(evening)
    (uses,) = query(database_url, "SELECT uses, max_uses FROM promo_code_stock WHERE event_id = %s", evening.id)
    for body, answer in zip(bodies, answers, strict=True):
        if answer.status == 409:
            short = answer.body["package_id"]
            assert left[short] < {item["package_id"]: item["quantity"] for item in body["items"]}[short]
        elif answer.status == 422:
            assert uses == (50 // times, 50 // times)


@DEMAND
def test_what_expired_orders_hold_is_there_for_everybody_at_once(evening, host, database_url, times):
    """Fifteen tickets, all held by expired orders; buyers and two timers want them at the same time."""
    package = evening.package(quantity_limit=15)
    code = {"code": "EXPIRED", "discount_type": "percentage", "discount_value": 10, "max_total_uses": 5}
    evening.client.post(f"{evening.path}/promo-codes", json=code, headers=evening.headers).raise_for_status()
    for number in range(5):
        let_time_pass(database_url, hold(evening, (package["id"], 3), promo_code="EXPIRED" if number else None))
    bodies = [order((package["id"], 1)) | ({"promo_code": "EXPIRED"} if n < 5 else {}) for n in range(15 * times)]

    def tidy_up() -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            release_all_overdue(connection, now=datetime.now(UTC))

    with ThreadPoolExecutor(2) as timers:
        running = [timers.submit(tidy_up) for _ in range(2)]
        answers = place_at_once(host.url, evening.id, bodies)
        for timer in running:
            timer.result()

    assert outcomes(answers) == {"201": 15} | ({"409 sold_out": 15 * times - 15} if times > 1 else {})
    assert disagreements(database_url, evening.id) == []


def test_stock_that_somebody_else_frees_while_a_buyer_looks_for_it_is_not_refused(evening, database_url, poll):
    """A buyer finds nothing left; before they can end the expired order that holds the stock, somebody else does."""
    package = evening.package(quantity_limit=1)
    order = hold(evening, (package["id"], 1))
    let_time_pass(database_url, order)
    with psycopg.connect(database_url) as other, ThreadPoolExecutor(1) as buyer:
        other.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")  # what is on sale is read elsewhere
        answer = buyer.submit(lambda: send_order(evening.client, evening.id, [(package["id"], 1)]))
        wait_for_locks(database_url, 1, poll)
        released = release(other, evening.event_id, [order["id"]], to=State.EXPIRED, now=datetime.now(UTC))
        assert [str(id_) for id_ in released] == [order["id"]]
        other.commit()
        assert answer.result().status_code == 201, answer.result().text
    assert read(evening, order)["status"] == "expired"
    assert disagreements(database_url, evening.id) == []


@dataclass
class Market:
    """A package that is bought, held, paid, given up, expired and refunded at the same time, with a log of these acts.

    Each list holds moments of the monotonic clock and numbers of packages.
    """

    evening: Evening
    package_id: str
    database_url: str
    limit: int
    freed: list[tuple[float, int]] = field(default_factory=list)
    """The moments from which packages were surely free again."""
    taken: list[tuple[float, int]] = field(default_factory=list)
    """The moments from which packages may have been taken."""
    refused: list[tuple[float, float, int, dict[str, Any]]] = field(default_factory=list)
    """For each refused buyer: when they began and stopped waiting, how many packages they wanted, and the refusal."""
    paid: list[dict[str, Any]] = field(default_factory=list)
    pending: list[dict[str, Any]] = field(default_factory=list)

    @property
    def has_seen_enough(self) -> bool:
        """Whether all important acts have happened often enough for a result."""
        return len(self.taken) >= 150 and len(self.refused) >= 50 and len(self.freed) >= 50

    def run(self, act: Callable[[random.Random], None], seed: int) -> None:
        rng = random.Random(seed)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.has_seen_enough:
            assert time.monotonic() < deadline, (len(self.taken), len(self.refused), len(self.freed))
            act(rng)

    def buy(self, rng: random.Random, connection: Any) -> None:
        quantity, method = rng.randint(1, 3), rng.choice(["test", "card"])
        body = order((self.package_id, quantity)) | {"payment_method": method}
        if rng.random() < 0.2:
            body["promo_code"] = "MARKET"
        begun = time.monotonic()
        answer = place(connection, self.evening.id, body)
        if answer.status == 201:
            self.taken.append((begun, quantity))
            (self.paid if method == "test" else self.pending).append(answer.body)
        elif answer.outcome == "409 sold_out":
            self.refused.append((begun, time.monotonic(), quantity, answer.body))
        else:
            assert answer.outcome == "422 promo_code_used_up", answer

    def refund(self, rng: random.Random) -> None:
        if (bought := self.draw(self.paid, rng)) is None:
            return
        path = f"{self.evening.path}/orders/{bought['id']}/refund"
        headers = self.evening.headers | {"Idempotency-Key": new_key()}
        answer = self.evening.client.post(path, json={"reason": "Ill"}, headers=headers)
        assert answer.status_code == 201, answer.text
        self.freed.append((time.monotonic(), bought["items"][0]["quantity"]))

    def end_hold(self, rng: random.Random) -> None:
        """Pay for the order, give it up, or let it expire; and sometimes pay for it all the same."""
        if (held := self.draw(self.pending, rng)) is None:
            return
        quantity = held["items"][0]["quantity"]
        if rng.random() < 0.3:
            assert ask(self.evening, held, "cancel").status_code == 200
            self.freed.append((time.monotonic(), quantity))
            return
        begun = ask(self.evening, held, "payment-intent")
        assert begun.status_code == 201, begun.text
        late = rng.random() < 0.5
        if late:
            let_time_pass(self.database_url, held)
            self.freed.append((time.monotonic(), quantity))
            if rng.random() < 0.5:
                return
        since = time.monotonic()
        answer = ask(self.evening, held, "confirm", {"card": "succeeds"})
        assert answer.status_code == 200, answer.text
        if answer.json()["status"] == "paid":
            if late:
                self.taken.append((since, quantity))
            self.paid.append(held)
        else:
            assert (late, answer.json()["status"]) == (True, "expired")

    def tidy_up(self, _: random.Random) -> None:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            release_all_overdue(connection, now=datetime.now(UTC))
        time.sleep(0.05)

    @staticmethod
    def draw(orders: list[dict[str, Any]], rng: random.Random) -> dict[str, Any] | None:
        try:
            return orders.pop(rng.randrange(max(1, len(orders))))
        except IndexError:
            time.sleep(0.01)
            return None

    def spurious(self) -> list[Any]:
        """Return the refusals of buyers for whom there were surely enough packages during their whole wait.

        At any moment of a wait, at least this many are free: the limit, plus all packages freed before the wait began,
        minus all that may have been taken before it ended.
        """
        return [
            refusal
            for refusal in self.refused
            if self.limit
            + sum(count for since, count in self.freed if since < refusal[0])
            - sum(count for since, count in self.taken if since < refusal[1])
            >= refusal[2]
        ]


def test_nobody_is_refused_what_is_there_while_others_expire_cancel_pay_late_and_refund(evening, host, database_url):
    package = evening.package(quantity_limit=40)
    code = {"code": "MARKET", "discount_type": "percentage", "discount_value": 10, "max_total_uses": 12}
    evening.client.post(f"{evening.path}/promo-codes", json=code, headers=evening.headers).raise_for_status()
    before = deadlocks(evening.client)
    market = Market(evening, package["id"], database_url, limit=40)

    def buy(seed: int) -> None:
        connection = connect(host.url)
        try:
            market.run(lambda rng: market.buy(rng, connection), seed)
        finally:
            connection.close()

    others = [market.refund, market.refund, market.end_hold, market.end_hold, market.end_hold, market.tidy_up]
    with ThreadPoolExecutor(12) as pool:
        running = [pool.submit(buy, seed) for seed in range(6)]
        running += [pool.submit(market.run, act, seed) for seed, act in enumerate(others)]
        for actor in running:
            actor.result()

    assert deadlocks(evening.client) == before
    print(f"{len(market.taken)} taken, {len(market.refused)} refused, {len(market.freed)} freed")
    assert market.spurious() == []
    assert disagreements(database_url, evening.id) == []
    with psycopg.connect(database_url, autocommit=True) as connection:
        release_all_overdue(connection, now=datetime.now(UTC))
    left = remaining(evening)[package["id"]]
    answers = place_at_once(host.url, evening.id, [order((package["id"], 1))] * (left + 3))
    assert outcomes(answers) == ({"201": left} if left else {}) | {"409 sold_out": 3}
    assert disagreements(database_url, evening.id) == []


TRIES = 3


def claim_by_version(connection: psycopg.Connection[Any]) -> str:
    """Read, insert the order, and claim if nobody has claimed since; after three tries the buyer is refused."""
    for _ in range(TRIES):
        row = connection.execute("SELECT sold, quantity_limit, version FROM tally").fetchone()
        assert row is not None
        if row[0] >= row[1]:
            return "sold out"
        if write_down(connection, "version = %s", row[2]):
            return "bought"
    return "try again"


def claim_under_guard(connection: psycopg.Connection[Any]) -> str:
    """Insert the order, and claim if a ticket is left."""
    return "bought" if write_down(connection, "sold < quantity_limit") else "sold out"


def write_down(connection: psycopg.Connection[Any], condition: LiteralString, *parameters: int) -> bool:
    """Insert an order and claim a ticket for it if the condition holds, or do neither."""
    connection.execute("BEGIN")
    connection.execute("INSERT INTO bought VALUES (%s)", [uuid.uuid4()])
    claim = "UPDATE tally SET sold = sold + 1, version = version + 1 WHERE " + condition
    claimed = connection.execute(claim, parameters).rowcount == 1
    connection.execute("COMMIT" if claimed else "ROLLBACK")
    return claimed


@pytest.mark.parametrize(("claim", "all_have_one"), [(claim_by_version, False), (claim_under_guard, True)])
def test_positive_control_comparing_versions_sends_buyers_away_while_tickets_remain(
    fresh_database, claim, all_have_one
):
    """A hundred buyers for a hundred tickets, in SQL only: why stock has a guard and not a version (decision 6)."""
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE tally (sold int, quantity_limit int, version int)")
        connection.execute("INSERT INTO tally VALUES (0, 100, 1)")
        connection.execute("CREATE TABLE bought (id uuid PRIMARY KEY)")
    barrier = threading.Barrier(100)

    def buy(_: int) -> str:
        with psycopg.connect(fresh_database, autocommit=True) as connection:
            barrier.wait()
            return claim(connection)

    with ThreadPoolExecutor(100) as crowd:
        got = Counter(crowd.map(buy, range(100)))

    print(f"{claim.__name__}: {dict(got)}")
    assert query(fresh_database, "SELECT sold, (SELECT count(*) FROM bought) FROM tally") == [(got["bought"],) * 2]
    assert got["bought"] + got["try again"] == 100
    assert (got["bought"] == 100) is all_have_one
