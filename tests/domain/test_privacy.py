"""Erasing and handing out personal data (docs/decisions/0021): erased data is gone, the books stay, limits still count.

The tests look in all tables for the data that must be gone: the address, the name, the telephone number, the answer.
"""

import re
import uuid
from datetime import timedelta
from importlib import import_module
from types import SimpleNamespace

import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from infra.local.schema import MIGRATIONS
from shared.domain.audit.queries import verify_chain
from shared.domain.ledger.reconciling import check_books
from shared.domain.orders.errors import TooManyForCustomer
from shared.domain.orders.placing.commands import place_order
from shared.domain.orders.schemas import OrderPlace
from shared.domain.payments.commands import note_message
from shared.domain.payments.provider import Facts, Message, PaymentStatus
from shared.domain.payments.refund_rules import Wish
from shared.domain.privacy import retention
from shared.domain.privacy.erasing import erase
from shared.domain.privacy.errors import CustomerActive
from shared.domain.privacy.exporting import export
from shared.domain.privacy.inventory import ERASED_COLUMNS, IMPERSONAL_COLUMNS, KEPT_COLUMNS
from shared.domain.privacy.placeholders import ERASED, ERASED_EMAIL
from shared.domain.promotions.errors import PromoCodeUsedByCustomer
from shared.domain.promotions.redeeming import customer_of
from shared.kit.actor import GUEST, Actor
from shared.kit.db.engine import make_engine
from shared.kit.db.idempotency import Idempotency
from shared.kit.settings.database import DatabaseSettings
from shared.kit.settings.group import load
from tests.factories import at_once
from tests.harness.desk import NOW, ONLINE, Desk, know_settings

AFTER = NOW + timedelta(days=40)  # the desk's event has ended
EMAIL = "bo.secretive@example.com"
NAME, PHONE, ANSWER = "Bo Secretive", "+44 20 7946 0123", "Nuts would kill me"
OFF = retention.Rules(personal_data_days=0, provider_message_days=0, outbox_days=0)


@pytest.fixture
def desk(fresh_database, app_environment):
    know_settings(app_environment)
    desk = Desk(fresh_database)
    yield desk
    desk.close()


def buy(desk, package, *, quantity=1, by="test", email=EMAIL, actor=GUEST, answers=(), now=NOW, **fields):
    """Buy as the secretive Bo, with a telephone number and answers."""
    body = OrderPlace.model_validate(
        {
            "customer": {"name": NAME, "email": email, "phone": PHONE},
            "items": [{"package_id": package, "quantity": quantity, "answers": list(answers)}],
            "payment_method": by,
        }
        | fields
    )
    key = Idempotency(desk.event_id, uuid.uuid4().bytes * 2, bytes(32))
    return place_order(desk.connection, desk.event_id, body, actor=actor, channel=ONLINE, idempotency=key, now=now)


def erased(desk, *, email=EMAIL, everywhere=False, force=False, now=AFTER):
    with desk.session() as session:
        return erase(
            session,
            email,
            event_id=None if everywhere else desk.event_id,
            force=force,
            actor=desk.coordinator,
            now=now,
        )


def exported(desk, *, email=EMAIL, everywhere=False, **fields):
    with desk.session() as session:
        scope = None if everywhere else desk.event_id
        return export(session, email, event_id=scope, after=None, actor=desk.coordinator, now=AFTER, **fields)


def anywhere(desk, *words):
    """The tables that hold one of the words at any depth."""
    tables = desk.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    count = "SELECT count(*) FROM {} t WHERE to_jsonb(t)::text ILIKE ANY(%s)"
    patterns = [f"%{word}%" for word in words]
    found = {
        name: desk.connection.execute(sql.SQL(count).format(sql.Identifier(name)), [patterns]).fetchone()[0]
        for (name,) in tables
    }
    return {name: count for name, count in found.items() if count}


def a_user(desk, email):
    user = Actor(uuid.uuid4(), email, NAME)
    desk.connection.execute(
        "INSERT INTO users (id, issuer, subject, email, name, is_super_admin, created_at)"
        " VALUES (%s, 'i', %s, %s, %s, false, %s)",
        [user.user_id, str(user.user_id), email, NAME, NOW],
    )
    return user


def question(desk, package, **fields):
    option = uuid.uuid4()
    desk.connection.execute(
        "INSERT INTO custom_options (event_id, id, package_id, label, option_type, choices, is_required, is_active,"
        " display_order, created_at) VALUES (%s, %s, %s, 'Diet', 'text_input', '{}', false, true, 0, %s)",
        [desk.event_id, option, package, NOW],
    )
    desk.connection.execute("UPDATE stock SET terms = terms + 1 WHERE id = %s", [package])
    return option


def a_full_life(desk):
    """Place an order with all personal data that an order can have; return the order and its package."""
    package = desk.package(quantity_limit=9)
    option = question(desk, package)
    desk.code("HALF", discount_value=50, max_uses_per_customer=1)
    answers = [{"option_id": option, "value": ANSWER}]
    order = buy(desk, package, quantity=2, by="card", promo_code="HALF", answers=answers)
    reference = desk.pay(order)
    desk.refund(order.id, Wish(amount_cents=1))
    desk.connection.execute("UPDATE refunds SET reason = %s, last_error = %s", [f"{NAME} is ill", f"no card of {NAME}"])
    desk.connection.execute(
        "UPDATE tickets SET holder_name = %s, holder_email = %s WHERE event_id = %s", [NAME, EMAIL, desk.event_id]
    )
    desk.connection.execute(
        "UPDATE outbox SET last_error = %s, done_at = now() WHERE kind = 'order_confirmation'", [f"550 <{EMAIL}>"]
    )
    desk.connection.execute(
        "INSERT INTO provider_messages (provider, id, kind, reference, payload, outcome, received_at)"
        " VALUES ('test', 'evt_1', 'charge.refunded', %s, %s, 'noted', %s)",
        [reference, Jsonb({"billing_details": {"email": EMAIL, "name": NAME}}), NOW],
    )
    return order, package


def test_after_an_erasure_nothing_of_the_customer_is_left_in_any_table(desk):
    a_full_life(desk)
    assert set(anywhere(desk, EMAIL, NAME, PHONE, ANSWER)) == {
        "orders",
        "tickets",
        "option_answers",
        "refunds",
        "outbox",
        "provider_messages",
    }
    done = erased(desk)
    assert done.model_dump() == {
        "orders": 1,
        "cancelled_orders": 0,
        "tickets": 2,
        "answers": 1,
        "provider_messages": 1,
        "account": "not_asked",
        "complete": True,
    }
    assert anywhere(desk, EMAIL, NAME, PHONE, ANSWER, "bo.secretive") == {}


def test_the_books_stay_as_they_were_to_the_cent(desk):
    order, package = a_full_life(desk)
    kept = (
        "SELECT to_jsonb(o) - '{customer_name,customer_email,customer_phone,customer_user_id,erased_at}'::text[]"
        " FROM orders o"
    )
    before = [desk.rows(kept), desk.rows("SELECT * FROM ledger ORDER BY id"), desk.stock(package)]
    erased(desk)
    assert [desk.rows(kept), desk.rows("SELECT * FROM ledger ORDER BY id"), desk.stock(package)] == before
    assert check_books(desk.connection, desk.event_id, now=NOW).findings == []
    shown = "SELECT customer_name, customer_email, customer_phone, erased_at FROM orders WHERE id = %s"
    assert desk.rows(shown, order.id) == [(ERASED, ERASED_EMAIL, None, AFTER)]
    assert desk.rows("SELECT DISTINCT value FROM option_answers") == [(ERASED,)]


def test_erasing_again_finds_nothing_and_leaves_no_second_trace(desk):
    a_full_life(desk)
    erased(desk)
    before = desk.value("SELECT count(*) FROM audit_log")
    again = erased(desk, now=AFTER + timedelta(days=1))
    assert (again.orders, again.tickets, again.answers, again.provider_messages, again.complete) == (0, 0, 0, 0, True)
    assert desk.value("SELECT count(*) FROM audit_log") == before
    assert desk.value("SELECT count(*) FROM erasures") == 1
    assert desk.value("SELECT erased_at FROM orders") == AFTER


def test_the_trail_says_that_something_was_erased_and_by_whom_but_not_whose_it_was_and_stays_whole(desk):
    a_full_life(desk)
    erased(desk)
    entry = desk.rows(
        "SELECT actor_id, entity_type, entity_id, field, old_value, new_value FROM audit_log ORDER BY seq DESC LIMIT 1"
    )
    counts = {"orders": 1, "tickets": 2, "answers": 1, "provider_messages": 1}
    said = {"cause": "request", **counts}
    assert entry == [(desk.coordinator.user_id, "privacy", "customer", "erased", None, said)]
    with desk.session() as session:
        assert verify_chain(session, desk.event_id).valid


def test_what_another_customer_has_is_left_alone(desk):
    package = desk.package()
    other = buy(desk, package, email="bo.secretive2@example.com")
    buy(desk, package)
    assert erased(desk).orders == 1
    assert desk.value("SELECT customer_email FROM orders WHERE id = %s", other.id) == "bo.secretive2@example.com"


def test_another_spelling_of_the_mailbox_is_the_same_customer(desk):
    package = desk.package()
    buy(desk, package, email="bo.secretive+gala@example.com")
    assert erased(desk).orders == 1
    assert anywhere(desk, "secretive") == {}


def test_a_guests_ticket_in_somebody_elses_order_loses_its_holder_and_no_more(desk):
    package = desk.package()
    order = buy(desk, package, quantity=2, email="host@example.com")
    (first, second) = (ticket.id for ticket in order.tickets)
    holder = "UPDATE tickets SET holder_name = 'Guest', holder_email = %s WHERE id = %s"
    desk.connection.execute(holder, ["guest@example.com", first])
    desk.connection.execute(holder, ["other@example.com", second])
    done = erased(desk, email="guest@example.com")
    assert (done.orders, done.tickets) == (0, 1)
    rows = dict(desk.rows("SELECT id, (holder_name, holder_email)::text FROM tickets"))
    assert rows == {first: f"({ERASED},{ERASED_EMAIL})", second: "(Guest,other@example.com)"}
    assert desk.value("SELECT customer_email FROM orders") == "host@example.com"


def test_whoever_is_named_on_a_ticket_of_an_erased_order_is_erased_with_its_buyer(desk):
    order = buy(desk, desk.package())
    holder = "UPDATE tickets SET holder_name = 'Guest', holder_email = 'guest@example.com' WHERE id = %s"
    desk.connection.execute(holder, [order.tickets[0].id])
    done = erased(desk)
    assert (done.orders, done.tickets) == (1, 1)
    assert desk.rows("SELECT holder_name, holder_email FROM tickets") == [(ERASED, ERASED_EMAIL)]


# --- while something is ahead ---------------------------------------------------------------------------------------


def test_before_the_event_valid_tickets_keep_their_owner_unless_it_is_forced(desk):
    order = buy(desk, desk.package())
    with pytest.raises(CustomerActive) as refused:
        erased(desk, now=NOW)
    assert refused.value.fields == {"orders_with_valid_tickets": 1, "pending_orders": 0, "tickets_held": 0}
    assert desk.value("SELECT customer_email FROM orders") == EMAIL
    assert erased(desk, now=NOW, force=True).orders == 1
    assert desk.rows("SELECT status FROM tickets") == [("valid",)]
    assert desk.status(order.id) == "paid"


def test_a_ticket_that_one_holds_of_another_is_ahead_as_well(desk):
    order = buy(desk, desk.package(), email="host@example.com")
    desk.connection.execute(
        "UPDATE tickets SET holder_name = 'Guest', holder_email = %s WHERE id = %s", [EMAIL, order.tickets[0].id]
    )
    with pytest.raises(CustomerActive):
        erased(desk, now=NOW)
    assert desk.value("SELECT holder_email FROM tickets") == EMAIL


@pytest.mark.parametrize("end", ["refund", "cancelled event"])
def test_what_was_refunded_or_will_not_take_place_stands_in_no_way(desk, end):
    order = buy(desk, desk.package())
    if end == "refund":
        desk.refund(order.id)
    else:
        desk.connection.execute("UPDATE events SET status = 'cancelled'")
    assert erased(desk, now=NOW).orders == 1


def test_an_order_under_way_is_cancelled_when_forced_and_gives_everything_back(desk):
    package = desk.package(quantity_limit=5)
    desk.code("ONCE", max_total_uses=1)
    order = buy(desk, package, quantity=2, by="card", promo_code="ONCE")
    reference = desk.begin_payment(order)
    with pytest.raises(CustomerActive) as refused:
        erased(desk, now=NOW)
    assert refused.value.fields["pending_orders"] == 1
    assert desk.stock(package) == (2, 0)
    done = erased(desk, now=NOW, force=True)
    assert (done.orders, done.cancelled_orders) == (1, 1)
    assert (desk.status(order.id), desk.stock(package)) == ("cancelled", (0, 0))
    assert desk.value("SELECT uses FROM promo_code_stock") == 0
    assert desk.rows("SELECT kind FROM outbox") == [("give_up_payment",)]
    # If it is paid all the same, the money is refunded automatically.
    desk.hear(Facts(reference, PaymentStatus.SUCCEEDED))
    assert desk.rows("SELECT reason, status FROM refunds") == [("paid_too_late", "pending")]
    assert check_books(desk.connection, desk.event_id, now=NOW).findings == []


def test_a_late_payment_of_an_expired_order_that_was_erased_goes_back(desk):
    package = desk.package(quantity_limit=5)
    order = buy(desk, package, by="card")
    reference = desk.begin_payment(order)
    desk.expire(now=NOW + timedelta(hours=1))
    assert erased(desk, now=NOW + timedelta(hours=1)).orders == 1
    desk.hear(Facts(reference, PaymentStatus.SUCCEEDED), now=NOW + timedelta(hours=2))
    assert (desk.status(order.id), desk.stock(package)) == ("expired", (0, 0))
    assert desk.rows("SELECT reason FROM refunds") == [("paid_too_late",)]


def test_mails_not_sent_yet_are_sent_to_nobody_and_refunds_are_settled_all_the_same(desk):
    order = buy(desk, desk.package(), by="card")
    desk.pay(order)
    desk.refund(order.id)
    waiting = "SELECT kind FROM outbox WHERE done_at IS NULL ORDER BY kind"
    assert desk.rows(waiting) == [("order_confirmation",), ("provider_refund",), ("refund_notice",)]
    erased(desk)
    assert desk.rows(waiting) == [("provider_refund",)]


# --- limits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", ["guest", "user"])
def test_what_a_customer_may_have_is_not_more_after_an_erasure(desk, known):
    desk.change_event(max_tickets_per_customer=3)
    package = desk.package()
    actor = GUEST if known == "guest" else a_user(desk, EMAIL)
    buy(desk, package, quantity=2, actor=actor)
    erased(desk, force=True, everywhere=True)
    buy(desk, package, actor=actor, email="bo.secretive+again@example.com")
    with pytest.raises(TooManyForCustomer) as refused:
        buy(desk, package, actor=actor)
    assert refused.value.fields["has"] == 3


@pytest.mark.parametrize("known", ["guest", "user"])
def test_a_promo_code_is_not_used_anew_after_an_erasure(desk, known):
    desk.code("ONCE", max_uses_per_customer=1)
    package = desk.package()
    actor = GUEST if known == "guest" else a_user(desk, EMAIL)
    buy(desk, package, actor=actor, promo_code="ONCE")
    erased(desk, force=True, everywhere=True)
    with pytest.raises(PromoCodeUsedByCustomer):
        buy(desk, package, actor=actor, promo_code="once")
    assert check_books(desk.connection, desk.event_id, now=NOW).findings == []


def test_a_guest_is_counted_by_a_hash_that_only_the_key_can_make(desk):
    first, again = customer_of(None, "Bo@Example.com"), customer_of(None, " bo+tag@example.com")
    assert first == again
    assert first != customer_of(None, "bo2@example.com")
    assert re.fullmatch(r"guest:[\w-]{24}", first)
    buy(desk, desk.package())
    assert desk.value("SELECT customer FROM orders") == customer_of(None, EMAIL)


def test_the_migration_names_the_guests_of_older_orders_as_the_app_does(desk, monkeypatch, app_environment):
    desk.code("ONCE", max_uses_per_customer=1)
    package = desk.package()
    buy(desk, package, promo_code="ONCE")
    for table in ("orders", "promo_code_uses", "promo_code_customers"):
        desk.connection.execute(
            sql.SQL("UPDATE {} SET customer = 'email:' || %s").format(sql.Identifier(table)), [EMAIL]
        )
    (path,) = (MIGRATIONS / "versions").glob("*_privacy.py")
    migration = import_module(f"shared.migrations.versions.{path.stem}")
    with desk.engine.begin() as connection:
        monkeypatch.setattr(migration, "op", SimpleNamespace(get_bind=lambda: connection))
        monkeypatch.delenv("ORDER_LINK_KEY", raising=False)
        with pytest.raises(SystemExit, match="ORDER_LINK_KEY"):
            migration._hash_guests()
        monkeypatch.setenv("ORDER_LINK_KEY", app_environment["ORDER_LINK_KEY"])
        migration._hash_guests()
    names = "SELECT customer FROM orders UNION SELECT customer FROM promo_code_uses"
    assert desk.rows(f"{names} UNION SELECT customer FROM promo_code_customers") == [(customer_of(None, EMAIL),)]
    assert check_books(desk.connection, desk.event_id, now=NOW).findings == []


# --- accounts -------------------------------------------------------------------------------------------------------


def test_an_account_is_erased_everywhere_or_not_at_all(desk):
    user = a_user(desk, EMAIL)
    buy(desk, desk.package(), actor=user, email="friend@example.com")
    assert erased(desk).account == "not_asked"
    assert desk.rows("SELECT email FROM users WHERE id = %s", user.user_id) == [(EMAIL,)]
    assert desk.rows("SELECT customer_email, customer_user_id FROM orders") == [(ERASED_EMAIL, None)]
    assert erased(desk, everywhere=True).account == "erased"
    assert desk.rows("SELECT email, name FROM users WHERE id = %s", user.user_id) == [(None, None)]
    assert erased(desk, everywhere=True).account == "none"
    assert anywhere(desk, EMAIL, "friend@example.com", NAME) == {}


def test_who_belongs_to_a_team_keeps_their_account(desk):
    user = a_user(desk, EMAIL)
    desk.connection.execute(
        "INSERT INTO event_members (event_id, id, email, user_id, role, created_at)"
        " VALUES (%s, %s, %s, %s, 'staff', %s)",
        [desk.event_id, uuid.uuid4(), EMAIL, user.user_id, NOW],
    )
    assert erased(desk, everywhere=True).account == "kept"
    assert desk.rows("SELECT email FROM users WHERE id = %s", user.user_id) == [(EMAIL,)]


# --- handing out ----------------------------------------------------------------------------------------------------


def test_an_export_has_all_that_an_erasure_would_erase(desk):
    order, _ = a_full_life(desk)
    document = exported(desk, everywhere=True)
    (shown,) = document["orders"]
    assert (shown["number"], shown["customer_name"], shown["customer_phone"]) == (order.number, NAME, PHONE)
    assert (shown["total_cents"], shown["refunded_cents"]) == (1_000, 1)
    assert [(item["quantity"], item["total_cents"]) for item in document["items"]] == [(2, 1_000)]
    assert [(answer["label"], answer["value"]) for answer in document["answers"]] == [("Diet", ANSWER)]
    assert [ticket["holder_email"] for ticket in document["tickets"]] == [EMAIL, EMAIL]
    assert [ticket["id"] for ticket in document["tickets_held"]] == [ticket["id"] for ticket in document["tickets"]]
    assert [use["code"] for use in document["promo_code_uses"]] == ["HALF"]
    assert [(p["status"], p["amount_cents"]) for p in document["payments"]] == [("succeeded", 1_000)]
    assert [(refund["amount_cents"], refund["reason"]) for refund in document["refunds"]] == [(1, f"{NAME} is ill")]
    assert [message["id"] for message in document["provider_messages"]] == ["evt_1"]
    kinds = {message["kind"] for message in document["messages"]}
    assert "order_confirmation" in kinds
    assert document["next"] is None
    audited = desk.rows("SELECT field, new_value FROM audit_log ORDER BY seq DESC LIMIT 1")
    assert audited == [("exported", {"orders": 1})]
    assert anywhere(desk, EMAIL).keys() == {"orders", "tickets", "outbox", "provider_messages"}


def test_an_export_of_one_event_has_nothing_of_another_and_no_account(desk, fresh_database):
    elsewhere = Desk(fresh_database)
    user = a_user(desk, EMAIL)
    there = buy(elsewhere, elsewhere.package(), actor=user)
    here = buy(desk, desk.package(), actor=user)
    document = exported(desk)
    assert [order["id"] for order in document["orders"]] == [here.id]
    assert document["accounts"] == []
    everything = exported(desk, everywhere=True)
    assert {order["id"] for order in everything["orders"]} == {here.id, there.id}
    assert [account["email"] for account in everything["accounts"]] == [EMAIL]
    assert erased(desk).orders == 1
    assert desk.value("SELECT customer_email FROM orders WHERE id = %s", there.id) == EMAIL
    elsewhere.close()


def test_an_export_shows_what_is_left_of_an_erased_guest(desk):
    order = buy(desk, desk.package())
    erased(desk)
    (shown,) = exported(desk)["orders"]
    assert (shown["id"], shown["customer_name"], shown["erased_at"]) == (order.id, ERASED, AFTER)


def test_much_is_handed_out_and_erased_bit_by_bit(desk, monkeypatch):
    monkeypatch.setattr("shared.domain.privacy.exporting.AT_ONCE", 2)
    monkeypatch.setattr("shared.domain.privacy.erasing.AT_ONCE", 2)
    package = desk.package()
    orders = [buy(desk, package).id for _ in range(5)]
    seen, after = [], None
    while True:
        with desk.session() as session:
            part = export(session, EMAIL, event_id=None, after=after, actor=desk.coordinator, now=AFTER)
        seen += [order["id"] for order in part["orders"]]
        after = part["next"]
        if after is None:
            break
    assert seen == sorted(orders)
    done = [erased(desk) for _ in range(4)]
    assert [(part.orders, part.complete) for part in done] == [(2, False), (2, False), (1, True), (0, True)]


def test_a_providers_message_is_kept_without_what_it_tells_of_a_person(desk):
    payload = {
        "data": {"object": {"id": "pi_1", "amount": 5, "billing_details": {"email": EMAIL}, "receipt_email": EMAIL}},
        "list": [{"shipping": {"name": NAME}, "client_secret": "s", "kept": 1}],
    }
    with desk.session() as session:
        assert note_message(session, "test", Message("evt_9", "odd", Facts("pi_1"), payload), now=NOW)
    kept = {"data": {"object": {"id": "pi_1", "amount": 5}}, "list": [{"kept": 1}]}
    assert desk.rows("SELECT reference, payload FROM provider_messages") == [("pi_1", kept)]


# --- what is erased automatically -----------------------------------------------------------------------------------


@pytest.fixture
def retained(fresh_database, app_environment, monkeypatch):
    """A desk, with the timer on the same database."""
    know_settings(app_environment)
    desk = Desk(fresh_database)
    engine = make_engine(load(DatabaseSettings, {**app_environment, "DATABASE_URL": fresh_database}))
    monkeypatch.setattr("shared.kit.db.unit_of_work.engine", lambda: engine)
    autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
    monkeypatch.setattr("shared.kit.db.unit_of_work.autocommit_engine", lambda: autocommit)
    monkeypatch.setattr(retention, "remove_finished_by", lambda *_: None)
    yield desk
    desk.close()
    engine.dispose()


def test_the_data_of_an_event_long_over_is_erased_automatically_once(retained, monkeypatch):
    monkeypatch.setattr(retention, "AT_ONCE", 2)
    desk, rules = retained, retention.Rules(personal_data_days=100, provider_message_days=0, outbox_days=0)
    package = desk.package()
    for number in range(3):
        buy(desk, package, email=f"guest{number}@example.com")
    end = NOW + timedelta(days=31)
    assert retention.apply(OFF, now=end + timedelta(days=1_000)).orders == 0
    assert retention.apply(rules, now=end + timedelta(days=99)).orders == 0
    late = end + timedelta(days=101)
    assert retention.apply(rules, now=late).orders == 3
    assert retention.apply(rules, now=late).orders == 0
    assert anywhere(desk, "guest0@", "guest1@", "guest2@", NAME) == {}
    rows = desk.rows(
        "SELECT actor_name, new_value->>'cause', new_value->>'orders' FROM audit_log WHERE field = 'erased'"
    )
    assert sorted(rows) == [("Retention", "retention", "1"), ("Retention", "retention", "2")]
    assert check_books(desk.connection, desk.event_id, now=late).findings == []
    with desk.session() as session:
        assert verify_chain(session, desk.event_id).valid


def test_timers_that_run_at_the_same_time_erase_each_order_once(retained):
    desk, rules = retained, retention.Rules(personal_data_days=1, provider_message_days=1, outbox_days=1)
    package = desk.package()
    for _ in range(6):
        buy(desk, package)
    late = NOW + timedelta(days=100)
    gone = at_once(4, lambda _: retention.apply(rules, now=late).orders)
    assert sum(gone) == 6
    assert desk.rows("SELECT sum((new_value->>'orders')::int) FROM audit_log WHERE field = 'erased'") == [(6,)]
    with desk.session() as session:
        assert verify_chain(session, desk.event_id).valid


def test_old_messages_go_and_young_and_waiting_ones_stay(retained):
    desk, rules = retained, retention.Rules(personal_data_days=0, provider_message_days=30, outbox_days=30)
    package = desk.package()
    for _ in range(2):
        buy(desk, package)
    done, waiting = (row[0] for row in desk.rows("SELECT id FROM outbox ORDER BY id"))
    real_now = desk.value("SELECT now()")
    desk.connection.execute("UPDATE outbox SET done_at = %s WHERE id = %s", [real_now, done])
    for name, days in (("old", 31), ("young", 29)):
        desk.connection.execute(
            "INSERT INTO provider_messages (provider, id, kind, payload, outcome, received_at)"
            " VALUES ('test', %s, 'x', '{}', 'ignored', %s)",
            [name, real_now - timedelta(days=days)],
        )
    first = retention.apply(rules, now=real_now + timedelta(seconds=1))
    assert (first.provider_messages, first.outbox) == (1, 0)
    second = retention.apply(rules, now=real_now + timedelta(days=30, minutes=1))
    assert (second.provider_messages, second.outbox) == (1, 1)
    assert desk.rows("SELECT id FROM outbox") == [(waiting,)]


# --- nothing is forgotten -------------------------------------------------------------------------------------------


def test_every_column_of_text_is_said_to_be_personal_or_not(desk):
    """Each new column of text or JSON must be in a list here: a forgotten personal column would never be erased."""
    columns = desk.rows(
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND data_type IN ('text', 'jsonb', 'json', 'character varying', 'ARRAY')"
    )
    told = (ERASED_COLUMNS, KEPT_COLUMNS, IMPERSONAL_COLUMNS)
    known = [(table, column) for places in told for table in places for column in places[table]]
    assert len(known) == len(set(known)), "a column is in two lists"
    schema = {(table, column) for table, column in columns if table != "alembic_version"}
    assert sorted(schema - set(known)) == []
    assert sorted(set(known) - schema) == []
