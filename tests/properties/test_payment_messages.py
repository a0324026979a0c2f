"""A provider's messages have the same result in any sequence, however often they arrive (R-ORD-6, R-ORD-7)."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.orders.schemas import PlacedOrderOut
from shared.domain.payments.provider import Facts, PaymentStatus, RefundFacts, RefundStatus
from shared.domain.payments.refund_rules import Wish
from tests.harness.desk import NOW, Desk, know_settings

LATER = NOW + timedelta(hours=1)
TOTAL = 1_000
PART = 400
BALANCE = """
SELECT coalesce(sum(amount_cents) FILTER (WHERE debit = %(account)s), 0)
     - coalesce(sum(amount_cents) FILTER (WHERE credit = %(account)s), 0) FROM ledger WHERE order_id = %(order_id)s
"""
SINGLE_REFUNDS = {
    "part": [RefundFacts("re_1", PART, RefundStatus.PENDING), RefundFacts("re_1", PART)],
    "rest": [RefundFacts("re_2", TOTAL - PART)],
    "sent back": [RefundFacts("re_1", PART, RefundStatus.FAILED, failure="closed")],
}
SUMS = {"part": PART, "rest": TOTAL, "sent back": 0}


@pytest.fixture(scope="module")
def desk(shared_service, app_environment):
    from tests.harness import databases

    know_settings(app_environment)
    url = databases.clone(shared_service("template"), f"messages_{uuid.uuid4().hex}")
    desk = Desk(url)
    yield desk
    desk.close()
    databases.drop(url)


def about_the_payment(order: PlacedOrderOut, reference: str) -> list[Facts]:
    """The messages about a payment that fails at first, and about a dispute."""
    payment: dict[str, Any] = {"order": (order.event_id, order.id), "amount_cents": TOTAL, "currency": "USD"}
    return [
        Facts(reference, PaymentStatus.CREATED, **payment),
        Facts(reference, PaymentStatus.REQUIRES_ACTION, **payment),
        Facts(reference, PaymentStatus.PROCESSING, **payment),
        Facts(reference, PaymentStatus.FAILED, failure="card_declined", **payment),
        Facts(reference, PaymentStatus.SUCCEEDED, **payment),
        Facts(reference, disputed=True),
    ]


def about_refunds(told: str, refunds: list[str], reference: str) -> list[Facts]:
    """The messages about refunds: about single ones, about their sum, or both."""
    singles = [Facts(reference, refunds=(refund,)) for name in refunds for refund in SINGLE_REFUNDS[name]]
    sums = [Facts(reference, refunded_cents=SUMS[name]) for name in refunds if SUMS[name]]
    return {"singles": singles, "sums": sums, "both": singles + sums}[told]


def begun(desk: Desk, package: uuid.UUID) -> tuple[PlacedOrderOut, str]:
    order = desk.place({package: 1})
    return order, desk.begin_payment(order)


def balance(desk: Desk, order: PlacedOrderOut, account: str) -> int:
    with desk.connection.cursor() as cursor:
        found = cursor.execute(BALANCE, {"account": account, "order_id": order.id}).fetchone()
    assert found is not None
    return int(found[0])


def refunds_of(desk: Desk, order: PlacedOrderOut, reason: str) -> list[tuple[int, str]]:
    return desk.rows(
        "SELECT amount_cents::int, status FROM refunds WHERE order_id = %s AND reason = %s ORDER BY amount_cents",
        order.id,
        reason,
    )


REFUNDS = st.sampled_from([[], ["part"], ["part", "rest"], ["rest", "part", "sent back"], ["part", "sent back"]])
TOLD = st.sampled_from(["singles", "sums", "both"])


@settings(max_examples=60)
@given(data=st.data(), told=TOLD, refunds=REFUNDS)
def test_whatever_the_order_of_the_messages_the_end_is_the_same(desk, data, told, refunds):
    package = desk.package(quantity_limit=1)
    order, reference = begun(desk, package)
    messages = about_the_payment(order, reference) + about_refunds(told, refunds, reference)
    twice = data.draw(st.lists(st.sampled_from(messages), max_size=4))
    for facts in data.draw(st.permutations(messages + twice)):
        desk.hear(facts)

    refunded = 0 if not refunds else TOTAL if "rest" in refunds else PART
    status = {0: "paid", PART: "partially_refunded", TOTAL: "refunded"}[refunded]
    assert desk.rows("SELECT status, refunded_cents::int FROM orders WHERE id = %s", order.id) == [(status, refunded)]
    payment = "SELECT status, failure, refunded_cents::int, disputed_at IS NOT NULL FROM payments WHERE reference = %s"
    assert desk.rows(payment, reference) == [("succeeded", None, refunded, True)]
    elsewhere = refunds_of(desk, order, "refunded_at_the_provider")
    assert sum(amount for amount, _ in elsewhere) == refunded
    if told != "sums":
        failed = "sent back" in refunds
        parts = [(PART, "failed" if failed else "succeeded")] if "part" in refunds else []
        assert elsewhere == parts + ([(TOTAL - PART, "succeeded")] if "rest" in refunds else [])
    assert desk.stock(package) == (0, 0 if refunded == TOTAL else 1)
    valid = desk.value(
        "SELECT count(*) FROM tickets t JOIN order_items i ON i.id = t.order_item_id"
        " WHERE i.order_id = %s AND t.status = 'valid'",
        order.id,
    )
    assert valid == (0 if refunded == TOTAL else 1)
    assert balance(desk, order, "receivable") == 0
    assert balance(desk, order, "money:test") == TOTAL - refunded
    confirmations = "SELECT count(*) FROM outbox WHERE kind = 'order_confirmation' AND payload->>'order_id' = %s"
    assert desk.value(confirmations, str(order.id)) == 1


@settings(max_examples=40)
@given(data=st.data(), told=TOLD, refunds=REFUNDS)
def test_with_an_expiry_in_between_the_money_is_taken_or_goes_back_and_never_both(desk, data, told, refunds):
    package = desk.package(quantity_limit=1)
    order, reference = begun(desk, package)

    def sell_to_another() -> None:
        desk.expire(now=LATER)
        if desk.stock(package) == (0, 0):
            desk.place({package: 1}, by="test", now=LATER)

    happenings = [
        lambda facts=facts: desk.hear(facts, now=LATER)
        for facts in about_the_payment(order, reference) + about_refunds(told, refunds, reference)
    ]
    happenings.append(data.draw(st.sampled_from([lambda: desk.expire(now=LATER), sell_to_another])))
    happenings += data.draw(st.lists(st.sampled_from(happenings), max_size=4))
    for happen in data.draw(st.permutations(happenings)):
        happen()

    [(status, refunded)] = desk.rows("SELECT status, refunded_cents::int FROM orders WHERE id = %s", order.id)
    returned = refunds_of(desk, order, "paid_too_late")
    assert balance(desk, order, "receivable") == 0
    if status == "expired":
        assert [amount for amount, _ in returned] == [TOTAL]
        assert (refunded, balance(desk, order, "money:test")) == (0, 0)
        assert desk.stock(package) == (0, 1)  # somebody else's
    else:
        assert status in {"paid", "partially_refunded", "refunded"}
        assert returned == []
        assert balance(desk, order, "money:test") == TOTAL - refunded
        assert refunded == (0 if not refunds else TOTAL if "rest" in refunds else PART)


def shuffled(data: st.DataObject, *things: Any) -> list[Any]:
    return list(data.draw(st.permutations(things)))


@settings(max_examples=25)
@given(data=st.data())
def test_our_own_refund_and_the_messages_about_it_are_one(desk, data):
    package = desk.package()
    order, reference = begun(desk, package)
    desk.hear(Facts(reference, PaymentStatus.SUCCEEDED))
    desk.refund(order.id, Wish(amount_cents=PART))
    ours = desk.value("SELECT id FROM refunds WHERE order_id = %s", order.id)
    created = Facts(reference, refunds=(RefundFacts("re_1", PART, RefundStatus.PENDING, ours=ours),))
    sent = Facts(reference, refunds=(RefundFacts("re_1", PART, ours=ours),))
    for facts in shuffled(data, created, sent, sent, Facts(reference, refunded_cents=PART)):
        desk.hear(facts)
    found = "SELECT amount_cents::int, status, provider_reference FROM refunds WHERE order_id = %s"
    assert desk.rows(found, order.id) == [(PART, "succeeded", "re_1")]
    assert desk.value("SELECT refunded_cents::int FROM orders WHERE id = %s", order.id) == PART
    assert balance(desk, order, "money:test") == TOTAL - PART


@settings(max_examples=25)
@given(data=st.data())
def test_of_two_payments_of_one_order_exactly_one_pays_it_and_the_other_goes_back(desk, data):
    package = desk.package(quantity_limit=1)
    order, first = begun(desk, package)
    second = desk.begin_payment(order)
    paid = [Facts(reference, PaymentStatus.SUCCEEDED) for reference in (first, second)]
    gone = Facts(data.draw(st.sampled_from([first, second])), PaymentStatus.CANCELLED)
    for facts in shuffled(data, *paid, *paid, gone):
        desk.hear(facts)
    assert desk.status(order.id) == "paid"
    assert refunds_of(desk, order, "paid_twice") == [(TOTAL, "pending")]
    loser = "SELECT p.reference FROM refunds r JOIN payments p ON p.id = r.payment_id WHERE r.order_id = %s"
    by_hand = RefundFacts("re_1", TOTAL)  # another refund was quicker than ours
    desk.hear(Facts(desk.value(loser, order.id), refunds=(by_hand,)))
    assert desk.status(order.id) == "paid"
    assert (balance(desk, order, "receivable"), balance(desk, order, "money:test")) == (0, TOTAL)
    assert desk.stock(package) == (0, 1)


def test_a_message_about_a_new_attempt_of_our_refund_may_come_before_its_answer(desk):
    package = desk.package()
    order, reference = begun(desk, package)
    desk.hear(Facts(reference, PaymentStatus.SUCCEEDED))
    desk.refund(order.id, Wish(amount_cents=PART))
    ours = desk.value("SELECT id FROM refunds WHERE order_id = %s", order.id)
    for attempt, status in (("re_1", RefundStatus.FAILED), ("re_2", RefundStatus.SUCCEEDED)):
        desk.hear(Facts(reference, refunds=(RefundFacts(attempt, PART, status, ours=ours),)))
    found = "SELECT amount_cents::int, status, provider_reference FROM refunds WHERE order_id = %s"
    assert desk.rows(found, order.id) == [(PART, "succeeded", "re_2")]
    assert desk.value("SELECT refunded_cents::int FROM orders WHERE id = %s", order.id) == PART
