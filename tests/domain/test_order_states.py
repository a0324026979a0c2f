"""The transitions between an order's states: every one in the table happens, and no other does (R-ORD-1)."""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

import pytest

from shared.domain.orders.schemas import PlacedOrderOut
from shared.domain.orders.states import TRANSITIONS, State, may_become
from shared.domain.payments.provider import Facts, PaymentStatus
from shared.domain.payments.refund_rules import Wish
from shared.kit.errors import Refusal
from tests.harness.desk import NOW, Desk, know_settings

LATE = NOW + timedelta(days=1)


@pytest.fixture
def desk(fresh_database, app_environment):
    know_settings(app_environment)
    desk = Desk(fresh_database)
    yield desk
    desk.close()


def give_up(desk: Desk, order: PlacedOrderOut) -> None:
    desk.hear(Facts(desk.begin_payment(order), PaymentStatus.CANCELLED))


def decline(desk: Desk, order: PlacedOrderOut) -> None:
    desk.hear(Facts(desk.begin_payment(order), PaymentStatus.FAILED, failure="card_declined"))


def dispute(desk: Desk, order: PlacedOrderOut) -> None:
    desk.hear(Facts(desk.begin_payment(order), disputed=True))


def refund_at_the_provider(cents: int) -> Callable[[Desk, PlacedOrderOut], None]:
    def refund(desk: Desk, order: PlacedOrderOut) -> None:
        reference = desk.rows("SELECT reference FROM payments WHERE order_id = %s ORDER BY id LIMIT 1", order.id)
        if reference:
            desk.hear(Facts(reference[0][0], refunded_cents=cents))

    return refund


EVENTS: dict[str, Callable[[Desk, PlacedOrderOut], object]] = {
    "paid": lambda desk, order: desk.pay(order),
    "paid late": lambda desk, order: desk.pay(order, now=LATE),
    "payment given up": give_up,
    "card declined": decline,
    "disputed": dispute,
    "time is up": lambda desk, order: desk.expire(now=LATE),
    "cancelled": lambda desk, order: desk.cancel(order.id),
    "a cent refunded": lambda desk, order: desk.refund(order.id, Wish(amount_cents=1)),
    "a ticket refunded": lambda desk, order: desk.refund(order.id, Wish(ticket_ids=[one_ticket(desk, order.id)])),
    "all refunded": lambda desk, order: desk.refund(order.id),
    "refunded in part at the provider": refund_at_the_provider(700),
    "refunded at the provider": refund_at_the_provider(2_000),
}


def one_ticket(desk: Desk, order_id: UUID) -> UUID:
    found: UUID = desk.value(
        "SELECT t.id FROM tickets t JOIN order_items i ON i.id = t.order_item_id WHERE i.order_id = %s LIMIT 1",
        order_id,
    )
    return found


def in_state(desk: Desk, state: State, package: UUID) -> PlacedOrderOut:
    """An order of two tickets in the given state."""
    order = desk.place({package: 2})
    ways: dict[State, list[str]] = {
        State.PENDING: [],
        State.PAID: ["paid"],
        State.FAILED: ["payment given up"],
        State.EXPIRED: ["time is up"],
        State.CANCELLED: ["cancelled"],
        State.PARTIALLY_REFUNDED: ["paid", "a cent refunded"],
        State.REFUNDED: ["paid", "all refunded"],
    }
    for event in ways[state]:
        EVENTS[event](desk, order)
    assert desk.status(order.id) == state
    return order


def test_what_happens_to_orders_is_what_the_table_says(desk):
    priced, gift = desk.package(), desk.package(price_cents=0)
    walked: set[tuple[State, State]] = set()
    for state in State:
        for package in (priced, gift) if state is State.PAID else (priced,):
            for event in EVENTS.values():
                order = desk.place({gift: 2}) if package == gift else in_state(desk, state, priced)
                before = desk.value("SELECT refunded_cents FROM orders WHERE id = %s", order.id)
                with suppress(Refusal):
                    if order.total_cents or event is EVENTS["cancelled"]:
                        event(desk, order)
                after = State(desk.status(order.id))
                refunded = desk.value("SELECT refunded_cents FROM orders WHERE id = %s", order.id)
                if after != state or refunded != before:
                    walked.add((state, after))
    steps = {(state, other) for state, others in TRANSITIONS.items() for other in others}
    # Money that is refunded was paid: a refund of a payment that counted as given up also shows that it was paid.
    through_paid = {(State.FAILED, other) for other in (State.PARTIALLY_REFUNDED, State.REFUNDED)}
    assert walked == steps | through_paid


def test_the_table_is_what_was_decided():
    decided = {
        "pending": "paid failed expired cancelled",
        "failed": "paid",  # late, if the stock is still there
        "expired": "paid",
        "paid": "partially_refunded refunded cancelled",
        "partially_refunded": "partially_refunded refunded",
        "cancelled": "",
        "refunded": "",
    }
    assert {state: set(others) for state, others in TRANSITIONS.items()} == {
        state: set(others.split()) for state, others in decided.items()
    }
    assert may_become("pending", State.PAID)
    assert not may_become("cancelled", State.PAID)


def test_the_database_knows_the_same_states(desk):
    definition = desk.value("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'ck_orders_status'")
    assert sorted(re.findall(r"'(\w+)'", definition)) == sorted(State)
