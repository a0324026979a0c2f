"""What the checks of the books find, and what a repair does about it (R-ORD-8).

Each test damages the data directly in the database, as a fault or a lost message would, and checks the findings.
"""

import uuid
from datetime import timedelta

import psycopg
import pytest

from shared.domain.ledger.errors import NoSuchFinding, NotRepairable
from shared.domain.ledger.reconciling import KINDS, ask_provider, check_books, differing, open_payments
from shared.domain.ledger.repairing import repair
from shared.domain.payments.provider import Facts, PaymentStatus
from shared.domain.payments.refund_rules import Wish
from tests.harness.desk import NOW, Desk, know_settings

LATER = NOW + timedelta(minutes=40)


@pytest.fixture
def desk(fresh_database, app_environment):
    know_settings(app_environment)
    desk = Desk(fresh_database)
    yield desk
    desk.close()


def found(desk, *, now=NOW):
    """Kind, subject and whether it can be repaired."""
    findings = check_books(desk.connection, desk.event_id, now=now).findings
    for finding in findings:
        assert finding.detail.endswith(".")
        assert "@" not in finding.detail
    return [(*finding.id.split(":"), finding.repairable) for finding in findings]


def mend(desk, kind, subject, *, now=NOW, told=None):
    with desk.session() as session:
        return repair(session, desk.event_id, f"{kind}:{subject}", told=told, actor=desk.coordinator, now=now)


def harm(desk, statement, *parameters):
    desk.connection.execute(statement.encode(), parameters or None)


def books_are_open(desk, statement, *parameters):
    """Change the ledger as only the database's owner can."""
    harm(desk, "ALTER TABLE ledger DISABLE TRIGGER USER")
    harm(desk, statement, *parameters)
    harm(desk, "ALTER TABLE ledger ENABLE TRIGGER USER")


def queued(desk, kind):
    return desk.value("SELECT count(*) FROM outbox WHERE kind = %s AND event_id = %s", kind, desk.event_id)


def tickets(desk, order):
    rows = desk.rows(
        "SELECT t.number, t.status FROM tickets t JOIN order_items i ON i.id = t.order_item_id"
        " WHERE i.order_id = %s ORDER BY t.number",
        order.id,
    )
    return [(number.rpartition("-")[2], status) for number, status in rows]


def test_an_evening_in_order_has_no_findings(desk):
    package = desk.package(quantity_limit=9, seats_per_package=2)
    desk.code("HALF", discount_value=50)
    desk.pay(desk.place({package: 2}, promo_code="HALF"))
    desk.refund(desk.place({package: 2}, by="test").id, Wish(amount_cents=1))
    desk.cancel(desk.place({package: 1}).id)
    desk.place({package: 1})
    assert found(desk) == []


@pytest.mark.parametrize("change", ["held = held + 1", "sold = sold - 1", "held = held + 1, sold = sold - 1"])
def test_stock_that_orders_do_not_account_for(desk, change):
    package = desk.package()
    desk.place({package: 2}, by="test")
    desk.place({desk.package(): 1})
    harm(desk, f"UPDATE stock SET {change} WHERE id = %s", package)
    assert found(desk) == [("stock_drift", str(package), False)]
    assert check_books(desk.connection, desk.event_id, now=NOW).stock_drift == change.count("=")
    with pytest.raises(NotRepairable):
        mend(desk, "stock_drift", package)


@pytest.mark.parametrize(
    "harmful",
    [
        "UPDATE promo_code_stock SET uses = uses + 1",
        "UPDATE promo_code_customers SET uses = uses + 1 WHERE customer = (SELECT min(customer) FROM promo_code_uses)",
        "DELETE FROM promo_code_customers WHERE customer = (SELECT min(customer) FROM promo_code_uses)",
        "UPDATE promo_code_uses SET returned_at = now() WHERE customer = (SELECT min(customer) FROM promo_code_uses)",
        "DELETE FROM promo_code_uses WHERE customer = (SELECT min(customer) FROM promo_code_uses)",
    ],
)
def test_a_promo_code_that_counts_what_was_not_used(desk, harmful):
    package, code = desk.package(), desk.code("HALF", discount_value=50)
    for email in ("bo@example.com", "al@example.com"):
        desk.place({package: 1}, promo_code="HALF", email=email)
    assert found(desk) == []
    harm(desk, harmful)
    assert found(desk) == [("promo_drift", str(code), False)]


def test_an_order_whose_items_do_not_add_up(desk):
    order = desk.place({desk.package(price_cents=700): 2}, by="test")
    assert found(desk) == []
    harm(desk, "UPDATE order_items SET unit_price_cents = 699, total_cents = 1398")
    assert found(desk) == [("totals_mismatch", str(order.id), False)]
    harm(desk, "UPDATE order_items SET unit_price_cents = 700, total_cents = 1400, included_tax_cents = 1")
    assert found(desk) == [("totals_mismatch", str(order.id), False)]


BAD_BOOKS = {
    "a charge is missing": "DELETE FROM ledger WHERE kind = 'charge'",
    "a charge is too small": "UPDATE ledger SET amount_cents = amount_cents - 1 WHERE kind = 'charge'",
    "a refund is missing": "DELETE FROM ledger WHERE kind = 'refund'",
    "a refund is booked twice": "INSERT INTO ledger SELECT event_id, gen_random_uuid(), order_id, kind, debit, credit,"
    " amount_cents, currency, cause, created_at FROM ledger WHERE kind = 'refund'",
    "sale and charge are both too small": "UPDATE ledger SET amount_cents = 1 WHERE kind IN ('sale', 'charge')",
    "tax is booked as a fee": "UPDATE ledger SET kind = 'fee', credit = 'fees' WHERE kind = 'tax'",
    "an unheard-of account": "UPDATE ledger SET credit = 'pockets' WHERE kind = 'sale'",
    "another currency": "UPDATE ledger SET currency = 'EUR'",
    "nothing at all": "DELETE FROM ledger",
}


@pytest.mark.parametrize("harmful", BAD_BOOKS)
def test_books_that_say_otherwise_than_the_order(desk, harmful):
    desk.change_event(tax_percent=10, fee_cents=30)
    order = desk.place({desk.package(): 2}, by="test")
    desk.refund(order.id, Wish(amount_cents=500))
    books_are_open(desk, BAD_BOOKS[harmful])
    assert found(desk) == [("ledger_mismatch", str(order.id), False)]


def test_an_order_that_was_never_paid_has_no_books(desk):
    package = desk.package()
    order = desk.place({package: 1})
    paid = desk.place({package: 1}, by="test")
    books_are_open(desk, "UPDATE ledger SET order_id = %s WHERE order_id = %s", order.id, paid.id)
    assert {kind for kind, *_ in found(desk)} == {"ledger_mismatch"}
    assert {subject for _, subject, _ in found(desk)} == {str(order.id), str(paid.id)}


def test_paid_but_not_issued_is_repaired_with_the_numbers_that_were_due(desk):
    order = desk.place({desk.package(seats_per_package=2): 2, desk.package(): 1})
    desk.pay(order)
    harm(desk, "UPDATE tickets SET status = 'reserved' WHERE number LIKE '%-01'")
    harm(desk, "DELETE FROM tickets WHERE number LIKE '%-03' OR number LIKE '%-05'")
    harm(desk, "DELETE FROM outbox")
    assert found(desk) == [("paid_not_issued", str(order.id), True)]

    assert mend(desk, "paid_not_issued", order.id) is True
    assert mend(desk, "paid_not_issued", order.id) is False

    assert tickets(desk, order) == [(f"0{number}", "valid") for number in range(1, 6)]
    assert queued(desk, "order_confirmation") == 1
    assert found(desk) == []
    per_item = "SELECT count(*) FROM tickets GROUP BY order_item_id ORDER BY 1"
    assert desk.rows(per_item) == [(1,), (4,)]


def test_a_confirmation_that_was_queued_is_not_queued_again(desk):
    order = desk.place({desk.package(): 1}, by="test")
    harm(desk, "UPDATE tickets SET status = 'reserved'")
    assert mend(desk, "paid_not_issued", order.id) is True
    assert queued(desk, "order_confirmation") == 1


def test_tickets_of_an_order_that_waits_are_taken_back_until_it_is_paid(desk):
    order = desk.place({desk.package(): 2})
    harm(desk, "UPDATE tickets SET status = 'valid'")
    assert found(desk) == [("issued_not_paid", str(order.id), True)]
    assert [mend(desk, "issued_not_paid", order.id) for _ in "12"] == [True, False]
    assert {status for _, status in tickets(desk, order)} == {"reserved"}
    desk.pay(order)
    assert {status for _, status in tickets(desk, order)} == {"valid"}


def test_tickets_of_a_refunded_order_die_and_used_ones_are_left_to_people(desk):
    order = desk.place({desk.package(): 2}, by="test")
    desk.refund(order.id)
    harm(desk, "UPDATE tickets SET status = CASE WHEN number LIKE '%-01' THEN 'used' ELSE 'valid' END")
    assert found(desk) == [("issued_not_paid", str(order.id), True)]
    assert mend(desk, "issued_not_paid", order.id) is True
    assert tickets(desk, order) == [("01", "used"), ("02", "void")]
    assert found(desk) == [("issued_not_paid", str(order.id), False)]
    with pytest.raises(NotRepairable):
        mend(desk, "issued_not_paid", order.id)


@pytest.mark.parametrize("paid", [{"amount_cents": 999}, {"currency": "EUR"}])
def test_a_wrong_amount_goes_back_and_buys_nothing(desk, paid):
    order = desk.place({desk.package(): 1})
    reference = desk.begin_payment(order, **paid)
    desk.hear(Facts(reference, PaymentStatus.SUCCEEDED))
    payment = desk.value("SELECT id FROM payments")
    assert found(desk) == [("payment_mismatch", str(payment), True)]
    assert [mend(desk, "payment_mismatch", payment) for _ in "12"] == [True, False]
    assert desk.rows("SELECT amount_cents, status FROM refunds") == [(paid.get("amount_cents", 1_000), "pending")]
    assert (queued(desk, "provider_refund"), queued(desk, "refund_notice")) == (1, 1)
    # The next message may make it look right, but the money is on its way back.
    right = Facts(reference, PaymentStatus.SUCCEEDED, amount_cents=1_000, currency="USD")
    desk.hear(right)
    assert desk.status(order.id) == "pending"
    assert found(desk) == []


def test_money_that_has_all_gone_back_is_no_finding(desk):
    """Neither a wrong amount nor a payment that bought nothing is found, though no refund of ours is on record."""
    wrong, unused = desk.place({desk.package(): 1}), desk.place({desk.package(): 1})
    desk.hear(Facts(desk.begin_payment(wrong, amount_cents=999), PaymentStatus.SUCCEEDED))
    desk.begin_payment(unused)
    harm(desk, "UPDATE payments SET status = 'succeeded'")
    assert {kind for kind, *_ in found(desk)} == {"payment_mismatch", "payment_unused"}
    harm(desk, "UPDATE payments SET refunded_cents = amount_cents - 1")
    assert {kind for kind, *_ in found(desk)} == {"payment_mismatch", "payment_unused"}
    harm(desk, "UPDATE payments SET refunded_cents = amount_cents")
    assert found(desk) == []


def test_a_payment_that_had_no_effect_has_it_now(desk):
    order, late = desk.place({desk.package(): 1}), desk.place({desk.package(quantity_limit=1): 1})
    for one in (order, late):
        desk.begin_payment(one)
    desk.cancel(late.id)
    harm(desk, "UPDATE payments SET status = 'succeeded'")
    payments = dict(desk.rows("SELECT order_id, id FROM payments"))
    assert sorted(found(desk)) == sorted(("payment_unused", str(id_), True) for id_ in payments.values())
    for payment in payments.values():
        assert [mend(desk, "payment_unused", payment) for _ in "12"] == [True, False]
    assert (desk.status(order.id), desk.status(late.id)) == ("paid", "cancelled")
    assert desk.rows("SELECT order_id, amount_cents FROM refunds") == [(late.id, 1_000)]
    assert found(desk) == []


def refunded(desk):
    order = desk.place({desk.package(): 1})
    desk.pay(order)
    desk.refund(order.id)
    return desk.value("SELECT id FROM refunds")


def test_a_refund_is_stuck_after_a_quarter_of_an_hour_or_once_nobody_tries_any_more(desk):
    refund = refunded(desk)
    assert found(desk, now=NOW + timedelta(minutes=15)) == []
    stuck = [("refund_stuck", str(refund), True)]
    assert found(desk, now=NOW + timedelta(minutes=16)) == stuck
    harm(desk, "UPDATE outbox SET attempts = 5, published_at = now() WHERE kind = 'provider_refund'")
    assert found(desk) == stuck

    assert [mend(desk, "refund_stuck", refund) for _ in "12"] == [True, False]

    messages = "SELECT attempts, published_at FROM outbox WHERE kind = 'provider_refund'"
    assert desk.rows(messages) == [(0, None)]
    assert found(desk) == []
    harm(desk, "DELETE FROM outbox WHERE kind = 'provider_refund'")
    assert mend(desk, "refund_stuck", refund, now=LATER) is True
    assert desk.rows(messages) == [(0, None)]


def test_a_refund_that_the_provider_refused_is_sent_again(desk):
    refund = refunded(desk)
    harm(desk, "UPDATE refunds SET status = 'failed', last_error = 'insufficient_funds'")
    harm(desk, "UPDATE outbox SET done_at = now()")
    assert found(desk) == [("refund_failed", str(refund), True)]
    assert [mend(desk, "refund_failed", refund) for _ in "12"] == [True, False]
    assert desk.rows("SELECT status FROM refunds") == [("pending",)]
    assert queued(desk, "provider_refund") == 2
    assert found(desk) == []


def test_a_disputed_payment_is_for_people(desk):
    order = desk.place({desk.package(): 1})
    reference = desk.pay(order)
    desk.hear(Facts(reference, disputed=True))
    payment = desk.value("SELECT id FROM payments")
    assert found(desk) == [("payment_disputed", str(payment), False)]
    with pytest.raises(NotRepairable):
        mend(desk, "payment_disputed", payment)


def test_an_order_that_no_timer_has_let_go_is_let_go(desk):
    package = desk.package()
    order = desk.place({package: 3})
    due = NOW + timedelta(minutes=15)
    assert found(desk, now=due + timedelta(minutes=5)) == []
    late = due + timedelta(minutes=5, seconds=1)
    assert found(desk, now=late) == [("order_overdue", str(order.id), True)]
    assert [mend(desk, "order_overdue", order.id, now=late) for _ in "12"] == [True, False]
    assert (desk.status(order.id), desk.stock(package)) == ("expired", (0, 0))


def test_what_the_provider_says_otherwise_has_its_effect_once(desk):
    order = desk.place({desk.package(): 1})
    reference = desk.begin_payment(order)
    payment = desk.value("SELECT id FROM payments")
    told = Facts(reference, PaymentStatus.SUCCEEDED)
    assert [mend(desk, "provider_mismatch", payment, told=told) for _ in "12"] == [True, False]
    assert desk.status(order.id) == "paid"
    assert mend(desk, "provider_mismatch", payment, told=Facts(reference)) is False


def test_only_old_payments_that_have_not_ended_are_asked_about(desk):
    order = desk.place({desk.package(): 1})
    reference = desk.begin_payment(order)
    asked = lambda now: open_payments(desk.connection, desk.event_id, now=now)  # noqa: E731
    assert asked(NOW + timedelta(minutes=59)) == []
    (payment,) = asked(NOW + timedelta(minutes=61))
    assert (payment["reference"], payment["number"]) == (reference, order.number)
    assert ask_provider([payment]) == []  # the test provider says nothing new
    finding = differing(payment, Facts(reference, PaymentStatus.SUCCEEDED))
    assert finding is not None
    assert (finding.id, finding.repairable) == (f"provider_mismatch:{payment['id']}", True)
    assert finding.detail == f"A payment of {order.number} is created here, and succeeded at the provider."
    assert differing(payment, Facts(reference, PaymentStatus.REQUIRES_ACTION)) is None
    assert asked(NOW + timedelta(days=31)) == []
    desk.hear(Facts(reference, PaymentStatus.SUCCEEDED))
    assert asked(NOW + timedelta(minutes=61)) == []


def test_findings_that_nobody_made_are_unknown(desk):
    order = desk.place({desk.package(): 1}, by="test")
    for name in ("nonsense", "paid_not_issued", "paid_not_issued:1", f"nonsense:{order.id}", ":", ""):
        with pytest.raises(NoSuchFinding), desk.session() as session:
            repair(session, desk.event_id, name, told=None, actor=desk.coordinator, now=NOW)
    for kind in KINDS:
        with pytest.raises(NoSuchFinding):
            mend(desk, kind, uuid.uuid4())
    assert mend(desk, "paid_not_issued", order.id) is False


def test_no_more_than_two_hundred_of_a_kind_are_listed_and_all_are_counted(desk):
    package = desk.package()
    for _ in range(203):
        desk.place({package: 1}, by="test")
    harm(desk, "UPDATE tickets SET status = 'reserved'")
    checked = check_books(desk.connection, desk.event_id, now=NOW)
    assert (len(checked.findings), checked.counts) == (200, {"paid_not_issued": 203})


@pytest.mark.parametrize(
    "statement",
    ["UPDATE ledger SET amount_cents = 1", "DELETE FROM ledger", "TRUNCATE ledger", "TRUNCATE orders CASCADE"],
)
def test_the_database_refuses_to_change_or_remove_what_was_booked(desk, statement):
    desk.place({desk.package(): 1}, by="test")
    before = desk.rows("SELECT to_jsonb(l)::text FROM ledger l ORDER BY id")
    assert len(before) == 2
    with pytest.raises(psycopg.DatabaseError, match="insert-only") as refused:
        harm(desk, statement)
    assert refused.value.sqlstate == "BX005"
    assert desk.rows("SELECT to_jsonb(l)::text FROM ledger l ORDER BY id") == before


@pytest.mark.parametrize("pair", [("sales", "sales", 1), ("receivable", "sales", 0), ("receivable", "sales", -1)])
def test_an_entry_has_two_accounts_and_an_amount(desk, pair):
    order = desk.place({desk.package(): 1})
    with pytest.raises(psycopg.errors.CheckViolation):
        harm(
            desk,
            "INSERT INTO ledger (event_id, id, order_id, kind, debit, credit, amount_cents, currency, cause,"
            " created_at) VALUES (%s, gen_random_uuid(), %s, 'sale', %s, %s, %s, 'USD', gen_random_uuid(), now())",
            desk.event_id,
            order.id,
            *pair,
        )
