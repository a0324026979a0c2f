"""Changes after an order was computed and before it claims: the order is computed again (R-ORD-2, R-PROMO-2, R-PKG-5).

The order is held between these two steps, because it refers to a second package whose row somebody has locked. So each
guard of the claim is reached in every run, not only once in a thousand rushes.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pytest

from tests.concurrency.ledger import disagreements, wait_for_locks
from tests.factories import Evening, event_state, in_days, open_evening, send_order

MAILBOX = "keen@example.com"


@dataclass(frozen=True)
class Scene:
    """A package on sale with five left, a promo code, and a question to its buyers."""

    evening: Evening
    package_id: str
    promo_id: str

    def send(self, method: str, path: str, body: Any = None) -> None:
        answer = self.evening.client.request(method, self.evening.path + path, json=body, headers=self.evening.headers)
        assert answer.is_success, answer.text

    def change_package(self, **change: Any) -> None:
        self.send("PATCH", f"/ticket-packages/{self.package_id}", change)

    def change_event(self, **change: Any) -> None:
        self.send("PATCH", "", change)

    def change_code(self, **change: Any) -> None:
        self.send("PATCH", f"/promo-codes/{self.promo_id}", change)

    def ask(self) -> None:
        question = {"label": "I agree", "option_type": "boolean"}
        self.send("POST", f"/ticket-packages/{self.package_id}/custom-options", question)

    def buy(self, *emails: str, quantity: int = 1) -> None:
        for email in emails:
            items = [(self.package_id, quantity)]
            self.evening.order(*items, promo_code="EARLY10", customer={"name": "B", "email": email})


@pytest.fixture
def scene(client, issuer):
    evening = open_evening(client, issuer)
    package = evening.package(name="Early", price_cents=10_000, quantity_limit=5)
    code = {"code": "EARLY10", "discount_type": "percentage", "discount_value": 10}
    limits = {"max_total_uses": 2, "max_uses_per_customer": 1}
    path = f"{evening.path}/promo-codes"
    promo = client.post(path, json=code | limits, headers=evening.headers).json()
    return Scene(evening, package["id"], promo["id"])


def order_across(scene: Scene, database_url: str, poll: Any, change: Callable[[Scene], Any]) -> httpx.Response:
    """Order three with the code, and make the change while the order is between its computation and its claim."""
    gate = scene.evening.package(name="Gate", price_cents=0)["id"]
    customer = {"name": "Keen", "email": MAILBOX}
    items = [(gate, 1), (scene.package_id, 3)]
    with psycopg.connect(database_url) as lock, ThreadPoolExecutor(1) as buyer:
        lock.execute("SELECT 1 FROM ticket_packages WHERE id = %s FOR UPDATE", [gate])
        answer = buyer.submit(
            lambda: send_order(scene.evening.client, scene.evening.id, items, promo_code="EARLY10", customer=customer)
        )
        wait_for_locks(database_url, 1, poll)
        change(scene)
        lock.rollback()
        return answer.result()


ANEW: dict[str, tuple[Callable[[Scene], Any], tuple[str, int, int, int]]] = {
    "nothing": (lambda scene: None, ("Early", 10_000, 3_000, 3)),
    "name, price and seats": (
        lambda scene: scene.change_package(name="Late", price_cents=20_000, seats_per_package=2),
        ("Late", 20_000, 6_000, 6),
    ),
    "percentage": (lambda scene: scene.change_code(discount_value=12.5), ("Early", 10_000, 3_750, 3)),
    "kind of discount": (
        lambda scene: scene.change_code(discount_type="fixed_amount", discount_value=777),
        ("Early", 10_000, 777, 3),
    ),
    "somebody else's purchase": (lambda scene: scene.buy("other@example.com"), ("Early", 10_000, 3_000, 3)),
    "what nobody agrees to": (lambda scene: scene.change_package(description="Other"), ("Early", 10_000, 3_000, 3)),
}


@pytest.mark.parametrize("change", ANEW)
def test_an_order_has_the_terms_of_the_moment_in_which_it_is_placed(scene, database_url, poll, change):
    make, (name, price, discount, tickets) = ANEW[change]
    answer = order_across(scene, database_url, poll, make)
    assert answer.status_code == 201, answer.text
    order = answer.json()
    item = order["items"][1]
    assert (item["description"], item["unit_price_cents"], item["discount_cents"]) == (name, price, discount)
    assert (item["total_cents"], order["total_cents"]) == (3 * price - discount, 3 * price - discount)
    assert len(order["tickets"]) == 1 + tickets
    assert disagreements(database_url, scene.evening.id) == []


REFUSED: dict[str, tuple[Callable[[Scene], Any], int, str]] = {
    "disabled": (
        lambda scene: scene.send("POST", f"/ticket-packages/{scene.package_id}/disable"),
        409,
        "package_not_on_sale",
    ),
    "sale over": (lambda scene: scene.change_package(sale_ends_at=in_days(-1)), 409, "package_not_on_sale"),
    "deleted": (
        lambda scene: scene.send("DELETE", f"/ticket-packages/{scene.package_id}?confirm=true"),
        422,
        "unknown_package",
    ),
    "limit lowered": (lambda scene: scene.change_package(quantity_limit=2), 409, "sold_out"),
    "bought by others": (lambda scene: scene.buy("other@example.com", quantity=3), 409, "sold_out"),
    "fewer an order": (lambda scene: scene.change_package(max_per_order=2), 422, "quantity_out_of_range"),
    "fewer a customer": (
        lambda scene: scene.change_event(max_tickets_per_customer=3),
        409,
        "too_many_for_customer",
    ),
    "a question more": (lambda scene: scene.ask(), 422, "invalid_answers"),
    "event cancelled": (lambda scene: scene.send("POST", "/cancel"), 409, "event_cancelled"),
    "code deactivated": (lambda scene: scene.change_code(is_active=False), 422, "promo_code_inactive"),
    "code expired": (lambda scene: scene.change_code(expires_at=in_days(-1)), 422, "promo_code_expired"),
    "code deleted": (
        lambda scene: scene.send("DELETE", f"/promo-codes/{scene.promo_id}"),
        422,
        "promo_code_unknown",
    ),
    "code for dearer orders": (
        lambda scene: scene.change_code(min_order_cents=30_001),
        422,
        "promo_code_below_minimum",
    ),
    "code used up": (
        lambda scene: scene.buy("other-1@example.com", "other-2@example.com"),
        422,
        "promo_code_used_up",
    ),
    "code used by this customer": (
        lambda scene: scene.buy("Keen+again@Example.com"),
        422,
        "promo_code_used_by_customer",
    ),
}


@pytest.mark.parametrize("change", REFUSED)
def test_an_order_that_is_overtaken_by_a_change_is_refused_and_leaves_nothing(scene, database_url, poll, change):
    make, status, code = REFUSED[change]
    after_the_change: dict[str, Any] = {}

    def make_and_look(scene: Scene) -> None:
        make(scene)
        after_the_change.update(event_state(database_url, scene.evening.id))

    answer = order_across(scene, database_url, poll, make_and_look)
    assert (answer.status_code, answer.json().get("code")) == (status, code)
    assert event_state(database_url, scene.evening.id) == after_the_change
    assert disagreements(database_url, scene.evening.id) == []
