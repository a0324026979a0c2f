"""What one message of a provider changes, and what it leaves unchanged (R-ORD-6)."""

from datetime import timedelta

import pytest

from shared.domain.payments.commands import open_payment
from shared.domain.payments.errors import NothingToPay
from shared.domain.payments.facts import take_note
from shared.domain.payments.provider import Facts, PaymentStatus, RefundFacts
from tests.harness.desk import NOW, Desk, know_settings

LATER = NOW + timedelta(minutes=5)


@pytest.fixture(scope="module")
def desk(module_database, app_environment):
    know_settings(app_environment)
    desk = Desk(module_database)
    yield desk
    desk.close()


@pytest.fixture
def order(desk):
    return desk.place({desk.package(): 1})


def answer(desk, facts):
    """The provider's answer when it is asked for a payment."""
    with desk.connection.transaction():
        take_note(desk.connection, "test", facts, asked=True, now=LATER)


def payment(desk, reference, *fields):
    """The present facts of the payment."""
    (row,) = desk.rows(f"SELECT {', '.join(fields)} FROM payments WHERE reference = %s", reference)
    return row[0] if len(fields) == 1 else row


def refunds(desk, order):
    return desk.rows("SELECT reason, amount_cents::int FROM refunds WHERE order_id = %s", order.id)


def test_an_order_fails_when_the_last_of_its_payments_is_given_up(desk, order):
    first, second = desk.begin_payment(order), desk.begin_payment(order)
    desk.hear(Facts(first, PaymentStatus.CANCELLED))
    assert desk.status(order.id) == "pending"
    desk.hear(Facts(second, PaymentStatus.CANCELLED))
    assert desk.status(order.id) == "failed"


@pytest.mark.parametrize("status", [PaymentStatus.PROCESSING, PaymentStatus.FAILED])
def test_an_order_waits_while_a_payment_may_still_succeed(desk, order, status):
    first, second = desk.begin_payment(order), desk.begin_payment(order)
    desk.hear(Facts(first, status))
    desk.hear(Facts(second, PaymentStatus.CANCELLED))
    assert desk.status(order.id) == "pending"


def test_a_payment_goes_on_after_a_failure_only_when_the_provider_was_asked(desk, order):
    reference = desk.begin_payment(order)
    desk.hear(Facts(reference, PaymentStatus.FAILED, failure="card_declined"))
    on_its_way = Facts(reference, PaymentStatus.PROCESSING)
    desk.hear(on_its_way)
    assert payment(desk, reference, "status", "failure") == ("failed", "card_declined")
    answer(desk, on_its_way)
    assert payment(desk, reference, "status", "failure") == ("processing", None)


@pytest.mark.parametrize("end", [PaymentStatus.SUCCEEDED, PaymentStatus.CANCELLED])
def test_a_payment_that_has_ended_stays_so_whatever_is_answered(desk, order, end):
    reference = desk.begin_payment(order)
    desk.hear(Facts(reference, end))
    answer(desk, Facts(reference, PaymentStatus.PROCESSING))
    assert payment(desk, reference, "status") == end


def test_a_dispute_keeps_the_date_of_its_first_message(desk, order):
    reference = desk.pay(order)
    assert payment(desk, reference, "disputed_at") is None
    desk.hear(Facts(reference, disputed=True), now=NOW)
    desk.hear(Facts(reference, disputed=True), now=LATER)
    assert payment(desk, reference, "disputed_at") == NOW
    desk.hear(Facts(reference), now=LATER)
    assert payment(desk, reference, "disputed_at") == NOW


def test_a_lower_sum_of_refunds_or_none_is_old_news(desk, order):
    reference = desk.pay(order)
    for told in (300, 200):
        desk.hear(Facts(reference, refunded_cents=told))
    desk.hear(Facts(reference, disputed=True))
    assert payment(desk, reference, "refunded_cents") == 300
    assert refunds(desk, order) == [("refunded_at_the_provider", 300)]


@pytest.mark.parametrize("told", [{"refunded_cents": 400}, {"refunds": (RefundFacts("re_1", 400),)}])
def test_a_refund_says_that_the_money_had_come(desk, order, told):
    reference = desk.begin_payment(order)
    desk.hear(Facts(reference, **told))
    assert payment(desk, reference, "status", "refunded_cents") == ("succeeded", 400)
    assert desk.status(order.id) == "partially_refunded"


@pytest.mark.parametrize(
    "taken", [{"amount_cents": 999, "currency": "USD"}, {"amount_cents": 1_000, "currency": "EUR"}]
)
def test_what_was_really_taken_counts_and_another_amount_pays_nothing(desk, order, taken):
    reference = desk.begin_payment(order)
    desk.hear(Facts(reference, PaymentStatus.SUCCEEDED, **taken))
    assert payment(desk, reference, "amount_cents::int", "currency", "is_mismatch") == (*taken.values(), True)
    assert desk.status(order.id) == "pending"


def test_what_was_to_be_taken_does_not_count_before_it_is_taken(desk, order):
    reference = desk.begin_payment(order)
    desk.hear(Facts(reference, PaymentStatus.PROCESSING, amount_cents=1, currency="EUR"))
    assert payment(desk, reference, "amount_cents::int", "currency") == (1_000, "USD")


def test_the_money_of_a_second_payment_goes_back_as_paid_twice_and_that_of_a_cancelled_order_as_too_late(desk, order):
    other = desk.begin_payment(order)
    desk.pay(order)
    desk.hear(Facts(other, PaymentStatus.SUCCEEDED))
    assert refunds(desk, order) == [("paid_twice", 1_000)]
    cancelled = desk.place({desk.package(): 1})
    late = desk.begin_payment(cancelled)
    desk.cancel(cancelled.id)
    desk.hear(Facts(late, PaymentStatus.SUCCEEDED))
    assert refunds(desk, cancelled) == [("paid_too_late", 1_000)]


def test_a_payment_can_be_begun_until_the_orders_time_is_up(desk, order):
    begun = open_payment(order, attempt=1, now=order.expires_at - timedelta(microseconds=1))
    assert (begun.amount_cents, begun.currency) == (1_000, "USD")
    with pytest.raises(NothingToPay, match="The order is expired"):
        open_payment(order, attempt=1, now=order.expires_at)


def test_a_payment_that_only_a_message_tells_of_is_taken_if_it_says_what_it_is_for(desk, order):
    ours = (desk.event_id, order.id)
    for lacking in (
        {"amount_cents": 1_000, "currency": "USD"},
        {"order": ours, "currency": "USD"},
        {"order": ours, "amount_cents": 1_000},
    ):
        with desk.connection.transaction():
            told = Facts(f"pi_{order.id}", PaymentStatus.SUCCEEDED, **lacking)
            assert take_note(desk.connection, "test", told, now=NOW) is None
    assert desk.status(order.id) == "pending"
    desk.hear(Facts(f"pi_{order.id}", PaymentStatus.SUCCEEDED, amount_cents=1_000, currency="USD", order=ours))
    assert desk.status(order.id) == "paid"


def test_a_fact_about_an_unknown_payment_is_ignored(desk):
    with desk.connection.transaction():
        assert take_note(desk.connection, "test", Facts("pi_foreign", PaymentStatus.SUCCEEDED), now=NOW) is None
