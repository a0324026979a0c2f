"""What a refund does to its order, the stock, the promo code and the payment (R-ORD-7)."""

from datetime import timedelta
from uuid import uuid4

import pytest

from shared.domain.payments.errors import NotRefundable
from shared.domain.payments.provider import Facts, RefundFacts, RefundStatus
from shared.domain.payments.refund_rules import Wish
from shared.domain.payments.refunds import book_refund_elsewhere
from tests.harness.desk import NOW, Desk, know_settings

LATER = NOW + timedelta(minutes=5)


@pytest.fixture
def desk(module_database, app_environment):
    know_settings(app_environment)
    desk = Desk(module_database)
    yield desk
    desk.close()


def refunded(desk, order):
    """The order's state and what has gone back."""
    return desk.rows("SELECT status, refunded_cents::int FROM orders WHERE id = %s", order.id)[0]


def refunds(desk, order):
    return desk.rows("SELECT amount_cents::int, status FROM refunds WHERE order_id = %s ORDER BY id", order.id)


def uses(desk):
    return desk.value("SELECT uses FROM promo_code_stock WHERE event_id = %s", desk.event_id)


def test_a_ticket_brings_back_its_share_of_the_fee_and_the_tax(desk):
    desk.change_event(tax_percent=10, fee_cents=30)
    order = desk.place({desk.package(): 2}, by="test")
    # 2,000 with a tax of 200 and fees of 60, for two.
    desk.refund(order.id, Wish(ticket_ids=[order.tickets[0].id]))
    assert desk.value("SELECT refunded_cents FROM orders WHERE id = %s", order.id) == 1_130
    assert refunded(desk, order) == ("partially_refunded", 1_130)


def test_what_is_refunded_ticket_by_ticket_may_be_sold_again_each_time_and_once(desk):
    package = desk.package()
    order = desk.place({package: 3}, by="test")
    left = []
    for ticket in order.tickets:
        desk.refund(order.id, Wish(ticket_ids=[ticket.id]))
        left.append(desk.stock(package))
    assert left == [(0, 2), (0, 1), (0, 0)]
    assert desk.value("SELECT returned FROM order_items WHERE order_id = %s", order.id) == 3


def test_lines_of_one_package_are_given_back_together(desk):
    package = desk.package()
    order = desk.place([(package, 1), (package, 2)], by="test")
    desk.refund(order.id)
    assert desk.stock(package) == (0, 0)


def test_a_refund_waits_for_the_provider_where_there_is_one(desk):
    package = desk.package()
    at_the_till, by_card = desk.place({package: 1}, by="test"), desk.place({package: 1})
    desk.pay(by_card)
    for order in (at_the_till, by_card):
        desk.refund(order.id)
    assert refunds(desk, at_the_till) == [(1_000, "succeeded")]
    assert refunds(desk, by_card) == [(1_000, "pending")]
    queued = "SELECT count(*) FROM outbox WHERE kind = 'provider_refund' AND payload ->> 'order_id' = %s"
    assert [desk.value(queued, str(order.id)) for order in (at_the_till, by_card)] == [0, 1]


def test_a_promo_code_may_be_used_again_once_all_has_gone_back(desk):
    desk.code("TENTH")
    order = desk.place({desk.package(): 1}, by="test", promo_code="TENTH")
    desk.refund(order.id, Wish(amount_cents=899))
    assert uses(desk) == 1
    desk.refund(order.id)
    assert uses(desk) == 0


def test_a_promo_code_stays_used_where_the_event_says_so(desk):
    desk.change_event(return_promo_uses=False)
    desk.code("TENTH")
    order = desk.place({desk.package(): 1}, by="test", promo_code="TENTH")
    desk.refund(order.id)
    assert (refunded(desk, order), uses(desk)) == (("refunded", 900), 1)


def test_a_refund_at_the_provider_counts_for_as_much_as_was_left(desk):
    package = desk.package()
    order = desk.place({package: 1})
    reference = desk.pay(order)
    desk.refund(order.id, Wish(amount_cents=600))
    desk.hear(Facts(reference, refunds=(RefundFacts("re_1", 700),)))
    assert refunded(desk, order) == ("refunded", 1_000)
    assert desk.stock(package) == (0, 0)


def test_late_word_of_an_attempt_that_failed_leaves_the_attempt_that_stands(desk):
    order = desk.place({desk.package(): 1})
    reference = desk.pay(order)
    desk.refund(order.id)
    ours = desk.value("SELECT id FROM refunds WHERE order_id = %s", order.id)
    attempt = "SELECT provider_reference, status, last_error FROM refunds WHERE order_id = %s"
    for told in (
        RefundFacts("re_2", 1_000, RefundStatus.PENDING, ours=ours),
        RefundFacts("re_1", 1_000, RefundStatus.FAILED, ours=ours, failure="closed"),
    ):
        desk.hear(Facts(reference, refunds=(told,)))
        assert desk.rows(attempt, order.id) == [("re_2", "pending", None)]


def test_a_new_attempt_takes_the_place_of_one_that_failed(desk):
    order = desk.place({desk.package(): 1})
    reference = desk.pay(order)
    desk.refund(order.id)
    ours = desk.value("SELECT id FROM refunds WHERE order_id = %s", order.id)
    attempt = "SELECT provider_reference, status, last_error FROM refunds WHERE order_id = %s"
    desk.hear(Facts(reference, refunds=(RefundFacts("re_1", 1_000, RefundStatus.FAILED, ours=ours, failure="closed"),)))
    assert desk.rows(attempt, order.id) == [("re_1", "failed", "closed")]
    desk.hear(Facts(reference, refunds=(RefundFacts("re_2", 1_000, RefundStatus.PENDING, ours=ours),)))
    assert desk.rows(attempt, order.id) == [("re_2", "pending", None)]


def test_only_a_refund_that_failed_has_a_reason_for_it(desk):
    order = desk.place({desk.package(): 1})
    reference = desk.pay(order)
    for status, why in ((RefundStatus.PENDING, None), (RefundStatus.SUCCEEDED, None), (RefundStatus.FAILED, "closed")):
        desk.hear(Facts(reference, refunds=(RefundFacts("re_1", 1_000, status, failure="closed"),)))
        assert desk.rows("SELECT status, last_error FROM refunds WHERE order_id = %s", order.id) == [(status, why)]


def test_a_refund_of_what_was_never_paid_changes_nothing(desk):
    package = desk.package()
    order = desk.place({package: 1})
    with desk.connection.transaction():
        book_refund_elsewhere(desk.connection, desk.event_id, order.id, 100, refund_id=uuid4(), now=LATER)
    assert (refunded(desk, order), desk.stock(package)) == (("pending", 0), (1, 0))
    with pytest.raises(NotRefundable):
        desk.refund(order.id)


def test_late_word_that_a_failed_refund_is_under_way_keeps_the_reason_why_it_failed(desk):
    order = desk.place({desk.package(): 1})
    reference = desk.pay(order)
    desk.hear(Facts(reference, refunds=(RefundFacts("re_1", 1_000, RefundStatus.FAILED, failure="closed"),)))
    desk.hear(Facts(reference, refunds=(RefundFacts("re_1", 1_000, RefundStatus.PENDING),)))
    assert desk.rows("SELECT status, last_error FROM refunds WHERE order_id = %s", order.id) == [("failed", "closed")]
