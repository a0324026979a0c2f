"""Orders that end, and what happens after their end (R-ORD-4, R-ORD-6, R-ORD-9)."""

from datetime import timedelta

import pytest

from shared.domain.orders.errors import NotCancellable, TooManyForCustomer
from shared.domain.payments.provider import Facts, PaymentStatus
from shared.domain.payments.refund_rules import Wish
from shared.domain.promotions.errors import PromoCodeUsedByCustomer
from shared.domain.promotions.redeeming import return_uses
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
    """The provider reports the refund as well; by then the tickets may be free again."""
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


def test_a_buyer_whose_order_ended_unpaid_may_buy_again_within_the_limits_of_a_customer(desk):
    package = desk.package()
    desk.code("ONCE", max_uses_per_customer=1)
    desk.change_event(max_tickets_per_customer=1)
    first = desk.place({package: 1}, email=ME, promo_code="ONCE")

    with pytest.raises(PromoCodeUsedByCustomer):
        desk.place({package: 1}, email=ME, promo_code="ONCE")
    with pytest.raises(TooManyForCustomer):
        desk.place({package: 1}, email=ME)
    desk.place({package: 1}, email=ME, promo_code="ONCE", now=LATER)

    assert desk.status(first.id) == "expired"


def test_a_buyer_whose_order_ended_unpaid_may_have_as_many_tickets_again(desk):
    package = desk.package()
    desk.change_event(max_tickets_per_customer=2)
    desk.place({package: 2}, email=ME)
    desk.place({package: 2}, email=ME, now=LATER)


def test_a_buyer_gets_what_is_held_beyond_its_time_however_many_others_have_to_be_let_go_first(desk):
    """One run ends a hundred orders; the orders that expired first come first."""
    package, other = desk.package(quantity_limit=1), desk.package()
    for _ in range(100):
        desk.place({other: 1})
    desk.place({package: 1}, now=NOW + timedelta(seconds=1))

    desk.place({package: 1}, now=LATER)

    assert desk.stock(package) == (1, 0)


def test_the_timer_lets_all_go_whose_time_is_up_to_the_moment(desk):
    package = desk.package()
    orders = [desk.place({package: 1}) for _ in range(101)]
    desk.expire(now=NOW + timedelta(minutes=15, microseconds=-1))
    assert desk.stock(package) == (101, 0)
    desk.expire(now=NOW + timedelta(minutes=15))
    assert desk.stock(package) == (0, 0)
    assert {desk.status(order.id) for order in orders} == {"expired"}


def test_the_uses_of_all_orders_that_end_together_are_given_back(desk):
    package = desk.package()
    desk.code("TENTH")
    for email in (ME, ME, "you@example.com"):
        desk.place({package: 1}, email=email, promo_code="TENTH")

    desk.expire(now=LATER)
    desk.expire(now=LATER)

    assert desk.value("SELECT uses FROM promo_code_stock") == 0
    assert desk.rows("SELECT uses FROM promo_code_customers") == [(0,), (0,)]


def test_a_late_payment_goes_back_where_its_customer_has_as_many_tickets_as_allowed_by_now(desk):
    package = desk.package()
    desk.change_event(max_tickets_per_customer=2)
    late = desk.place({package: 2}, email=ME)
    desk.expire(now=LATER)
    desk.place({package: 1}, email=ME, by="test", now=LATER)

    desk.pay(late, now=LATER)

    assert desk.status(late.id) == "expired"
    assert desk.rows("SELECT order_id, reason FROM refunds") == [(late.id, "paid_too_late")]
    assert desk.stock(package) == (0, 1)


def test_an_order_that_was_paid_for_is_refunded_and_not_cancelled(desk):
    package = desk.package()
    order = desk.place({package: 1}, by="test")
    with pytest.raises(NotCancellable) as refused:
        desk.cancel(order.id)
    assert refused.value.fields == {"order_status": "paid"}
    assert (desk.status(order.id), desk.stock(package)) == ("paid", (0, 1))


def test_a_cancelled_gift_gives_back_its_packages_once(desk):
    package = desk.package(price_cents=0)
    order = desk.place({package: 2}, by="test")
    desk.cancel(order.id)
    assert desk.rows("SELECT quantity::int, returned::int FROM order_items") == [(2, 2)]
    desk.cancel(order.id)
    assert (desk.status(order.id), desk.stock(package)) == ("cancelled", (0, 0))


def test_uses_that_are_given_back_twice_count_once(desk):
    package = desk.package()
    desk.code("TENTH")
    one, _ = (desk.place({package: 1}, email=ME, promo_code="TENTH") for _ in "12")
    for _ in "12":
        return_uses(desk.connection, desk.event_id, [one.id], now=NOW)
    assert desk.value("SELECT uses FROM promo_code_stock") == 1
    assert desk.value("SELECT uses FROM promo_code_customers") == 1


def test_an_order_that_was_paid_in_time_waits_no_more(desk):
    package = desk.package()
    order = desk.place({package: 1})
    assert order.expires_at == NOW + timedelta(minutes=15)
    desk.pay(order)
    assert desk.rows("SELECT expires_at, paid_at FROM orders") == [(None, NOW)]
    desk.expire(now=LATER)
    assert (desk.status(order.id), desk.stock(package)) == ("paid", (0, 1))


def test_what_costs_nothing_is_paid_by_whatever_pays_at_once_or_for_free(desk):
    free = desk.package(price_cents=0)
    orders = [desk.place({free: 1}, by=by).id for by in ("test", "card")]
    methods = [desk.value("SELECT payment_method FROM orders WHERE id = %s", order) for order in orders]
    assert methods == ["test", "free"]
