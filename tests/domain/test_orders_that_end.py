"""Orders that end, and what comes after their end (R-ORD-4, R-ORD-6, R-ORD-9)."""

from datetime import timedelta

import pytest

from shared.domain.orders.errors import TooManyForCustomer
from shared.domain.payments.provider import Facts, PaymentStatus
from shared.domain.payments.refund_rules import Wish
from tests.harness.desk import NOW, Desk, know_settings

LATER = NOW + timedelta(hours=1)
ME = "me@example.com"


@pytest.fixture
def desk(fresh_database, app_environment):
    know_settings(app_environment)
    desk = Desk(fresh_database)
    yield desk
    desk.close()


def test_an_order_expires_though_the_customers_limit_was_lifted_meanwhile(desk):
    package = desk.package(quantity_limit=9)
    desk.change_event(max_tickets_per_customer=4)
    desk.place({package: 1}, email=ME, by="test")
    desk.change_event(max_tickets_per_customer=None)
    order = desk.place({package: 8}, email=ME)

    desk.expire(now=LATER)

    assert desk.status(order.id) == "expired"
    assert desk.stock(package) == (0, 1)


def test_what_was_bought_without_a_limit_counts_once_there_is_one(desk):
    package = desk.package()
    desk.change_event(max_tickets_per_customer=4)
    desk.place({package: 1}, email=ME)
    desk.change_event(max_tickets_per_customer=None)
    desk.place({package: 8}, email=ME)
    desk.change_event(max_tickets_per_customer=10)

    with pytest.raises(TooManyForCustomer) as refused:
        desk.place({package: 2}, email=ME)
    assert refused.value.fields == {"max_tickets_per_customer": 10, "has": 9}
    desk.place({package: 1}, email=ME)


def test_a_ticket_that_was_given_back_counts_no_more_for_its_customer(desk):
    package = desk.package(seats_per_package=3)
    order = desk.place({package: 1}, email=ME, by="test")
    desk.refund(order.id, Wish(ticket_ids=[order.tickets[0].id]))
    desk.change_event(max_tickets_per_customer=5)

    desk.place({package: 1}, email=ME)

    with pytest.raises(TooManyForCustomer) as refused:
        desk.place({package: 1}, email=ME)
    assert refused.value.fields["has"] == 5


def test_a_payment_that_was_sent_back_buys_nothing_when_the_stock_returns(desk):
    """The provider tells of the refund, too; by then the tickets may be free again."""
    package = desk.package(quantity_limit=1)
    order = desk.place({package: 1})
    reference = desk.begin_payment(order)
    desk.expire(now=LATER)
    other = desk.place({package: 1}, by="test", now=LATER)
    desk.hear(Facts(reference, PaymentStatus.SUCCEEDED), now=LATER)
    assert desk.rows("SELECT order_id, reason FROM refunds") == [(order.id, "paid_too_late")]
    desk.refund(other.id, now=LATER)

    desk.hear(Facts(reference, refunded_cents=order.total_cents), now=LATER)
    desk.hear(Facts(reference, PaymentStatus.SUCCEEDED), now=LATER)

    assert desk.status(order.id) == "expired"
    assert desk.stock(package) == (0, 0)


def test_a_late_payment_uses_its_promo_code_again_or_comes_too_late(desk):
    package = desk.package()
    desk.code("ONCE", max_total_uses=1)
    first, second = (desk.place({package: 1}, promo_code="ONCE", now=NOW + timedelta(hours=hour)) for hour in (0, 1))
    desk.expire(now=NOW + timedelta(hours=2))
    assert desk.value("SELECT uses FROM promo_code_stock") == 0

    desk.pay(first, now=NOW + timedelta(hours=2))
    desk.pay(second, now=NOW + timedelta(hours=2))

    assert (desk.status(first.id), desk.status(second.id)) == ("paid", "expired")
    assert desk.rows("SELECT order_id FROM refunds") == [(second.id,)]
    assert desk.value("SELECT uses FROM promo_code_stock") == 1
    assert desk.stock(package) == (0, 1)
