"""Payments by Stripe, by its published behaviour: what buyers, banks, networks and delays can do (R-ORD-6, R-ORD-7)."""

import json
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest

from infra.local.home import REPOSITORY, free_port
from infra.local.services.functions_host import FunctionsHost
from tests.factories import (
    UNKNOWN_ID,
    Evening,
    assert_problem,
    at_once,
    event_state,
    new_email,
    new_key,
    open_evening,
    query,
    send_order,
)
from tests.harness import databases
from tests.harness.fixtures import SERVICES
from tests.harness.polling import PATIENCE_SECONDS, poll
from tests.harness.running_host import RunningHost
from tests.harness.stripe_stand_in import SECRET_KEY, WEBHOOK_SECRET, Fault, StripeStandIn, deliver, send, signature
from tests.http.test_payments import ask, hold, let_time_pass, read, stock
from tests.http.test_refunds import refund

type Json = dict[str, Any]


@dataclass
class Shop:
    """The application with Stripe switched on, on a database and a queue that no other host uses."""

    host: RunningHost
    client: httpx.Client
    database_url: str
    environment: dict[str, str]
    stripe: StripeStandIn

    def begin(self, evening: Evening, order: Json) -> str:
        """Begin the payment and return the PaymentIntent's id."""
        answer = ask(evening, order, "payment-intent")
        assert answer.status_code == 201, answer.text
        return str(answer.json()["reference"])

    def hear(self, intent_id: str, *kinds: str) -> None:
        """Deliver Stripe's messages about a payment, the oldest first."""
        told = self.stripe.told(intent_id, *kinds)
        assert told
        for answer in deliver(self.host.url, *told):
            assert (answer.status_code, answer.json()) == (200, {"received": True}), answer.text

    def buy(self, evening: Evening, order: Json) -> str:
        """Pay, and deliver Stripe's messages about it."""
        intent_id = self.begin(evening, order)
        self.stripe.pay(intent_id)
        self.hear(intent_id)
        assert read(evening, order)["status"] == "paid"
        return intent_id

    def payments(self, order: Json) -> list[tuple[Any, ...]]:
        return query(
            self.database_url,
            "SELECT reference, status, amount_cents::int, refunded_cents::int FROM payments WHERE order_id = %s",
            order["id"],
        )

    def refunds(self, order: Json) -> list[tuple[Any, ...]]:
        """Amount, status, reason and last error of each refund."""
        statement = "SELECT amount_cents::int, status, reason, last_error FROM refunds WHERE order_id = %s ORDER BY id"
        return query(self.database_url, statement, order["id"])

    def balance(self, order: Json) -> dict[str, int]:
        """What the order has changed in the books, by account."""
        statement = """
            SELECT account, sum(amount)::int FROM (
              SELECT debit AS account, amount_cents AS amount FROM ledger WHERE order_id = %s
              UNION ALL SELECT credit, -amount_cents FROM ledger WHERE order_id = %s) AS b GROUP BY account
        """
        return dict(query(self.database_url, statement, order["id"], order["id"]))

    def outcome(self, event: Json) -> str:
        """The outcome of a message; `absent` if it was not stored."""
        found = query(self.database_url, "SELECT outcome FROM provider_messages WHERE id = %s", event["id"])
        return found[0][0] if found else "absent"


@pytest.fixture(scope="module")
def shop(pytestconfig, shared_service, worker_name, worker_folder, app_environment, guard) -> Iterator[Shop]:
    database_url = databases.clone(shared_service("template"), f"stripe_{worker_name}_{uuid4().hex[:8]}")
    number = 40 if worker_name == "main" else 39 - int(worker_name.removeprefix("gw"))
    port = free_port()
    with StripeStandIn() as stripe:
        environment = app_environment | stripe.settings
        environment |= {
            "DATABASE_URL": database_url,
            "AzureWebJobsStorage": pytestconfig.stash[SERVICES].ask("storage", f"gw{number}"),
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
        }
        log = worker_folder / "stripe-host.log"
        keys = worker_folder / "stripe-keys.json"
        host = FunctionsHost(REPOSITORY, log=log, guard=guard, port=port, environment=environment, keys_file=keys)
        try:
            host.start()
            with httpx.Client(base_url=f"{host.url}/api/v1", timeout=30, trust_env=False) as client:
                yield Shop(RunningHost(host), client, database_url, environment, stripe)
        finally:
            host.stop()
            databases.drop(database_url)


@pytest.fixture
def evening(shop, issuer):
    return open_evening(shop.client, issuer)


@pytest.fixture
def order(evening):
    """Two tickets at 50.00 each, held."""
    return hold(evening, (evening.package(quantity_limit=10)["id"], 2))


# --- paying ----------------------------------------------------------------------------------------------------------


def test_stripe_is_told_what_the_order_is_and_nothing_of_the_buyer(shop, evening, order):
    begun = ask(evening, order, "payment-intent").json()
    intent = shop.stripe.intents[begun["reference"]]
    assert begun["provider"] == "stripe"
    assert begun["client_secret"] == intent["client_secret"]
    assert begun["publishable_key"] == shop.environment["STRIPE_PUBLISHABLE_KEY"]
    assert (intent["amount"], intent["currency"]) == (10_000, "usd")
    assert intent["metadata"] == {"event_id": evening.id, "order_id": order["id"], "order_number": order["number"]}
    assert intent["automatic_payment_methods"] == {"enabled": "true"}
    assert "ada@example.com" not in json.dumps(intent)


def test_messages_alone_pay_the_order(shop, evening, order):
    intent_id = shop.begin(evening, order)
    shop.stripe.pay(intent_id)
    assert read(evening, order)["status"] == "pending"

    shop.hear(intent_id)

    paid = read(evening, order)
    assert (paid["status"], [ticket["status"] for ticket in paid["tickets"]]) == ("paid", ["valid", "valid"])
    assert (paid["payment"]["method"], paid["payment"]["provider_reference"]) == ("stripe", intent_id)
    assert shop.payments(order) == [(intent_id, "succeeded", 10_000, 0)]
    assert shop.balance(order) == {"money:stripe": 10_000, "receivable": 0, "sales": -10_000}


def test_confirming_alone_pays_the_order(shop, evening, order):
    intent_id = shop.begin(evening, order)
    assert ask(evening, order, "confirm").json()["status"] == "pending"
    shop.stripe.pay(intent_id)
    assert ask(evening, order, "confirm").json()["status"] == "paid"


def test_confirming_and_messages_in_any_number_pay_once(shop, evening, order, mail_box):
    intent_id = shop.begin(evening, order)
    shop.stripe.pay(intent_id)
    told = shop.stripe.told(intent_id)
    calls = [lambda: ask(evening, order, "confirm")] * 3 + [lambda: deliver(shop.host.url, *told)] * 3
    at_once(len(calls), lambda number: calls[number]())
    assert shop.balance(order) == {"money:stripe": 10_000, "receivable": 0, "sales": -10_000}
    mail_box.wait_for(lambda mail: order["number"] in mail["Subject"])
    confirmations = "SELECT count(*) FROM outbox WHERE kind = 'order_confirmation' AND payload->>'order_id' = %s"
    assert query(shop.database_url, confirmations, order["id"]) == [(1,)]


def test_a_declined_card_is_told_and_another_one_pays(shop, evening, order):
    intent_id = shop.begin(evening, order)
    shop.stripe.pay(intent_id, "pm_card_chargeDeclined")
    shop.hear(intent_id)
    declined = read(evening, order)
    assert (declined["status"], declined["payment"]["failure"]) == ("pending", "card_declined")
    assert shop.begin(evening, order) == intent_id
    shop.stripe.pay(intent_id)
    shop.hear(intent_id)
    paid = read(evening, order)
    assert (paid["status"], paid["payment"]["failure"]) == ("paid", None)


def test_the_bank_may_ask_the_buyer_first(shop, evening, order):
    intent_id = shop.begin(evening, order)
    shop.stripe.pay(intent_id, "pm_card_threeDSecure2Required")
    assert ask(evening, order, "confirm").json()["status"] == "pending"
    assert shop.payments(order)[0][1] == "requires_action"
    shop.stripe.complete(intent_id)
    shop.hear(intent_id)
    assert read(evening, order)["status"] == "paid"


def test_a_buyer_who_fails_the_banks_question_may_try_again(shop, evening, order):
    intent_id = shop.begin(evening, order)
    shop.stripe.pay(intent_id, "pm_card_threeDSecure2Required")
    shop.stripe.complete(intent_id, succeeds=False)
    failed = ask(evening, order, "confirm").json()
    assert (failed["status"], failed["payment"]["failure"]) == ("pending", "payment_intent_authentication_failure")
    shop.stripe.pay(intent_id, "pm_card_threeDSecure2Required")
    ask(evening, order, "confirm")
    assert shop.payments(order)[0][1] == "requires_action"


def test_slow_money_is_waited_for(shop, evening, order):
    intent_id = shop.begin(evening, order)
    shop.stripe.pay(intent_id, "pm_usBankAccount")
    shop.hear(intent_id)
    assert shop.payments(order)[0][1] == "processing"
    begun = ask(evening, order, "payment-intent").json()
    assert (begun["reference"], begun["status"]) == (intent_id, "processing")
    assert shop.payments(order)[0][1] == "processing"
    shop.stripe.complete(intent_id)
    shop.hear(intent_id)
    assert read(evening, order)["status"] == "paid"


def test_a_payment_that_is_cancelled_at_stripe_ends_the_order(shop, evening, order):
    intent_id = shop.begin(evening, order)
    shop.stripe.cancel(intent_id)
    shop.hear(intent_id)
    assert read(evening, order)["status"] == "failed"
    package = {"id": order["items"][0]["package_id"]}
    assert stock(evening, package) == (0, 0)


def test_the_test_provider_and_cards_without_stripe_play_no_part(shop, evening, order):
    intent_id = shop.begin(evening, order)
    assert ask(evening, order, "confirm", {"card": "succeeds"}).json()["status"] == "pending"
    assert shop.stripe.intents[intent_id]["status"] == "requires_payment_method"


# --- a network, and Stripe, with bad days ---------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Fault.TOO_MANY, Fault.BROKEN, Fault.DOWN, Fault.SILENT, Fault.LOST])
def test_where_stripe_gives_no_answer_nothing_is_half_done_and_trying_again_makes_one_payment(
    shop, evening, order, fault
):
    shop.stripe.fail_next("POST", "/payment_intents", fault)
    before, known = event_state(shop.database_url, evening.id), set(shop.stripe.intents)
    key = new_key()
    problem = assert_problem(ask(evening, order, "payment-intent", key=key), 503, "dependency_down")
    assert problem["dependency"] == "payments"
    assert event_state(shop.database_url, evening.id) == before

    intent_id = ask(evening, order, "payment-intent", key=key).json()["reference"]

    assert set(shop.stripe.intents) - known == {intent_id}
    shop.stripe.pay(intent_id)
    shop.hear(intent_id)
    assert read(evening, order)["status"] == "paid"


def test_where_stripe_does_not_answer_a_confirmation_it_can_be_repeated(shop, evening, order):
    intent_id = shop.begin(evening, order)
    shop.stripe.pay(intent_id)
    shop.stripe.fail_next("GET", intent_id, Fault.SILENT, Fault.BROKEN)
    before = event_state(shop.database_url, evening.id)
    key = new_key()
    for _ in range(2):
        assert_problem(ask(evening, order, "confirm", key=key), 503, "dependency_down")
    assert event_state(shop.database_url, evening.id) == before
    assert ask(evening, order, "confirm", key=key).json()["status"] == "paid"


def test_what_stripe_refuses_is_said_as_such(shop, evening):
    order = hold(evening, (evening.package(price_cents=20)["id"], 1))
    before = event_state(shop.database_url, evening.id)
    problem = assert_problem(ask(evening, order, "payment-intent"), 409, "payment_refused")
    assert problem["reason"] == "amount_too_small"
    assert event_state(shop.database_url, evening.id) == before


@pytest.mark.parametrize(
    ("currency", "price_cents", "sent"),
    [("JPY", 500, 500), ("ISK", 500, 50_000), ("KWD", 5_120, 5_120), ("MGA", 50_000, 500), ("HUF", 1_234, 1_234)],
)
def test_each_currency_is_sent_in_stripes_units_and_comes_back_in_ours(shop, issuer, currency, price_cents, sent):
    evening = open_evening(shop.client, issuer, currency=currency)
    order = hold(evening, (evening.package(price_cents=price_cents)["id"], 1))
    intent_id = shop.buy(evening, order)
    assert (shop.stripe.intents[intent_id]["amount"], shop.stripe.intents[intent_id]["currency"]) == (
        sent,
        currency.lower(),
    )
    assert shop.payments(order) == [(intent_id, "succeeded", price_cents, 0)]


@pytest.mark.parametrize(
    ("currency", "price_cents", "reason"),
    [
        ("KWD", 5_124, "amount_not_chargeable"),
        ("MGA", 50_050, "amount_not_chargeable"),
        ("UGX", 5_000, "currency_not_supported"),
    ],
)
def test_what_stripe_can_not_charge_exactly_is_refused(shop, issuer, currency, price_cents, reason):
    evening = open_evening(shop.client, issuer, currency=currency)
    order = hold(evening, (evening.package(price_cents=price_cents)["id"], 1))
    asked = len(shop.stripe.requests)
    assert assert_problem(ask(evening, order, "payment-intent"), 409, "payment_refused")["reason"] == reason
    assert len(shop.stripe.requests) == asked


# --- killed ----------------------------------------------------------------------------------------------------------


def killed_while_asking(shop: Shop, start_host: Any, evening: Evening, order: Json, what: str, path: str) -> None:
    """Make another host call Stripe, and kill it before it gets the answer."""
    shop.stripe.fail_next("GET" if what == "confirm" else "POST", path, Fault.HANGING)
    host = start_host(http_only=True, **shop.environment | {"STRIPE_TIMEOUT_SECONDS": "60"})
    asked = len(shop.stripe.requests)

    def call() -> None:
        with (
            httpx.Client(base_url=f"{host.url}/api/v1", timeout=30, trust_env=False) as client,
            pytest.raises(httpx.TransportError),
        ):
            ask(Evening(client, evening.issuer, evening.event, evening.coordinator), order, what)

    thread = threading.Thread(target=call)
    thread.start()
    poll(lambda: len(shop.stripe.requests) > asked)
    host.process.send_signal(signal.SIGKILL)
    host.process.wait(PATIENCE_SECONDS)
    thread.join(PATIENCE_SECONDS)


def test_a_host_killed_between_stripes_success_and_our_note_of_it_loses_nothing(shop, start_host, evening, order):
    intent_id = shop.begin(evening, order)
    shop.stripe.pay(intent_id)
    killed_while_asking(shop, start_host, evening, order, "confirm", intent_id)
    assert read(evening, order)["status"] == "pending"
    shop.hear(intent_id)
    assert read(evening, order)["status"] == "paid"
    assert shop.balance(order)["money:stripe"] == 10_000


def test_a_payment_begun_by_a_host_that_was_killed_is_known_by_its_messages(shop, start_host, evening, order):
    killed_while_asking(shop, start_host, evening, order, "payment-intent", "/payment_intents")
    [intent_id] = [i for i, intent in shop.stripe.intents.items() if intent["metadata"]["order_id"] == order["id"]]
    assert shop.payments(order) == []
    shop.stripe.pay(intent_id)
    shop.hear(intent_id, "payment_intent.succeeded")
    assert read(evening, order)["status"] == "paid"
    assert shop.payments(order) == [(intent_id, "succeeded", 10_000, 0)]


# --- too late --------------------------------------------------------------------------------------------------------


def test_a_payment_after_expiry_takes_the_stock_again_if_it_is_there(shop, evening):
    package = evening.package(quantity_limit=2)
    order = hold(evening, (package["id"], 2))
    intent_id = shop.begin(evening, order)
    let_time_pass(shop.database_url, order)
    assert send_order(evening.client, evening.id, [(package["id"], 3)]).status_code == 409
    assert read(evening, order)["status"] == "expired"
    shop.stripe.pay(intent_id)
    shop.hear(intent_id)
    assert (read(evening, order)["status"], stock(evening, package)) == ("paid", (0, 2))


def test_a_payment_after_expiry_goes_back_where_the_stock_is_gone_and_the_buyer_is_told(shop, evening, mail_box):
    package, email = evening.package(quantity_limit=1), new_email("late")
    order = hold(evening, (package["id"], 1), customer={"name": "Late", "email": email})
    intent_id = shop.begin(evening, order)
    let_time_pass(shop.database_url, order)
    other = hold(evening, (package["id"], 1))
    shop.stripe.pay(intent_id)
    shop.hear(intent_id)
    poll(lambda: shop.refunds(order) == [(5_000, "succeeded", "paid_too_late", None)])
    ask(evening, other, "cancel")  # the stock is free again, but the money has been refunded
    shop.hear(intent_id)
    assert (read(evening, order)["status"], stock(evening, package)) == ("expired", (0, 0))
    assert [made["amount"] for made in shop.stripe.refunds.values() if made["payment_intent"] == intent_id] == [5_000]
    assert shop.balance(order) == {"money:stripe": 0, "receivable": 0}
    assert "refund" in mail_box.wait_for(lambda mail: mail["To"] == email)["Subject"].lower()


def test_cancelling_an_order_gives_its_payment_up_at_stripe(shop, evening, order):
    intent_id = shop.begin(evening, order)
    assert ask(evening, order, "cancel").json()["status"] == "cancelled"
    poll(lambda: shop.stripe.intents[intent_id]["status"] == "canceled")
    poll(lambda: shop.payments(order) == [(intent_id, "cancelled", 10_000, 0)])
    shop.hear(intent_id)
    assert read(evening, order)["status"] == "cancelled"


def test_a_payment_that_has_come_before_its_order_was_cancelled_goes_back(shop, evening, order):
    intent_id = shop.begin(evening, order)
    shop.stripe.pay(intent_id)
    assert ask(evening, order, "cancel").json()["status"] == "cancelled"
    poll(lambda: shop.refunds(order) == [(10_000, "succeeded", "paid_too_late", None)])
    assert shop.balance(order) == {"money:stripe": 0, "receivable": 0}
    assert read(evening, order)["status"] == "cancelled"


def test_of_two_payments_for_one_order_the_second_goes_back(shop, evening, order, mail_box):
    intent_id = shop.buy(evening, order)
    second = shop.stripe._create({"amount": 10_000, "currency": "usd", "metadata": metadata_of(shop, intent_id)})
    shop.stripe.pay(second["id"])
    shop.hear(second["id"])
    poll(lambda: shop.refunds(order) == [(10_000, "succeeded", "paid_twice", None)])
    assert [made["payment_intent"] for made in shop.stripe.refunds.values() if made["payment_intent"] == second["id"]]
    after = read(evening, order)
    assert (after["status"], after["refunded_cents"], len(after["tickets"])) == ("paid", 0, 2)
    assert shop.balance(order) == {"money:stripe": 10_000, "receivable": 0, "sales": -10_000}


def metadata_of(shop: Shop, intent_id: str) -> dict[str, str]:
    return dict(shop.stripe.intents[intent_id]["metadata"])


@pytest.mark.parametrize("other", [{"amount": 9_999}, {"currency": "eur"}])
def test_another_amount_or_currency_than_the_orders_pays_nothing_and_shows(shop, evening, order, other):
    intent_id = shop.begin(evening, order)
    shop.stripe.intents[intent_id] |= other
    shop.stripe.pay(intent_id)
    shop.hear(intent_id)
    assert read(evening, order)["status"] == "pending"
    found = "SELECT is_mismatch, amount_cents::int, currency FROM payments WHERE reference = %s"
    paid = (other.get("amount", 10_000), other.get("currency", "usd").upper())
    assert query(shop.database_url, found, intent_id) == [(True, *paid)]
    assert shop.balance(order) == {}


# --- refunds ---------------------------------------------------------------------------------------------------------


def refund_of(evening: Evening, order: Json) -> Json:
    path = f"{evening.path}/orders/{order['id']}/refunds"
    [found] = evening.client.get(path, headers=evening.headers).json()["items"]
    return dict(found)


@pytest.mark.parametrize("fault", [Fault.BROKEN, Fault.DOWN, Fault.LOST, Fault.BROKEN_AFTERWARDS])
def test_a_refund_is_told_to_stripe_until_it_answers_and_made_once(shop, evening, order, fault):
    intent_id = shop.buy(evening, order)
    shop.stripe.fail_next("POST", "/refunds", fault)
    assert refund(evening, order, amount_cents=4_000).status_code == 201
    poll(lambda: refund_of(evening, order)["last_error"])
    waiting = refund_of(evening, order)
    assert waiting["status"] == "pending"
    assert waiting["last_error"].startswith("the provider does not answer")

    poll(lambda: refund_of(evening, order)["status"] == "succeeded")

    assert refund_of(evening, order)["last_error"] is None
    made = [made["amount"] for made in shop.stripe.refunds.values() if made["payment_intent"] == intent_id]
    assert made == [4_000]
    shop.hear(intent_id)
    assert [row[:2] for row in shop.refunds(order)] == [(4_000, "succeeded")]
    assert shop.payments(order) == [(intent_id, "succeeded", 10_000, 4_000)]
    assert "could not be told" not in shop.host.log()  # an outage sends no message to the poison queue


def test_a_refund_outlives_an_outage_of_any_length(shop, evening, order):
    shop.buy(evening, order)
    shop.stripe.fail_next("POST", "/refunds", Fault.DOWN)
    refund(evening, order)
    poll(lambda: refund_of(evening, order)["last_error"])
    long_ago = (
        "UPDATE outbox SET attempts = 400, published_at = now() - interval '10 minutes' WHERE kind = %s RETURNING 1"
    )
    query(shop.database_url, long_ago, "provider_refund")
    poll(lambda: refund_of(evening, order)["status"] == "succeeded")


def test_a_refund_that_stripe_refuses_shows_as_failed(shop, evening, order):
    intent_id = shop.buy(evening, order)
    shop.stripe.dispute(intent_id)
    assert refund(evening, order).status_code == 201
    poll(lambda: refund_of(evening, order)["status"] == "failed")
    assert refund_of(evening, order)["last_error"] == "charge_disputed"


def repair(evening: Evening, kind: str) -> None:
    """Repair the only finding of a kind, as the team does."""
    path = f"{evening.path}/reconciliation"
    findings = evening.client.get(path, headers=evening.headers).json()["findings"]
    [finding] = [finding["id"] for finding in findings if finding["kind"] == kind]
    headers = evening.headers | {"Idempotency-Key": new_key()}
    answer = evening.client.post(f"{path}/{finding}/repair", headers=headers)
    assert answer.is_success, answer.text


def test_a_refused_refund_can_be_tried_again_though_stripe_repeats_its_refusals(shop, evening, order):
    intent_id = shop.buy(evening, order)
    dispute = shop.stripe.dispute(intent_id)
    refund(evening, order)
    poll(lambda: refund_of(evening, order)["status"] == "failed")
    shop.stripe.win_dispute(dispute)
    repair(evening, "refund_failed")
    poll(lambda: refund_of(evening, order)["status"] == "succeeded")
    assert shop.balance(order)["money:stripe"] == 0


def test_a_refund_that_the_bank_sent_back_can_be_sent_anew_and_is_booked_once(shop, evening, order):
    intent_id = shop.buy(evening, order)
    refund(evening, order, amount_cents=4_000)
    poll(lambda: refund_of(evening, order)["status"] == "succeeded")
    [first] = [made["id"] for made in shop.stripe.refunds.values() if made["payment_intent"] == intent_id]
    shop.stripe.fail_refund(first)
    shop.hear(intent_id)
    repair(evening, "refund_failed")
    poll(lambda: refund_of(evening, order)["status"] == "succeeded")
    statuses = [made["status"] for made in shop.stripe.refunds.values() if made["payment_intent"] == intent_id]
    assert statuses == ["failed", "succeeded"]
    # Old facts in new messages, and the provider's full record.
    late = [event | {"id": f"evt_{new_key()}"} for event in shop.stripe.told(intent_id)]
    deliver(shop.host.url, *late)
    ask(evening, order, "confirm")
    assert refund_of(evening, order)["status"] == "succeeded"
    assert read(evening, order)["refunded_cents"] == 4_000
    assert shop.balance(order)["money:stripe"] == 6_000


def test_a_refund_that_the_bank_sends_back_shows_as_failed_and_is_booked_once(shop, evening, order):
    intent_id = shop.buy(evening, order)
    refund(evening, order, amount_cents=4_000)
    poll(lambda: refund_of(evening, order)["status"] == "succeeded")
    [refund_id] = [made["id"] for made in shop.stripe.refunds.values() if made["payment_intent"] == intent_id]
    shop.stripe.fail_refund(refund_id)
    for _ in range(2):
        shop.hear(intent_id)
    found = refund_of(evening, order)
    assert (found["status"], found["last_error"]) == ("failed", "expired_or_canceled_card")
    assert read(evening, order)["refunded_cents"] == 4_000
    assert shop.balance(order)["refunds"] == 4_000


@pytest.mark.parametrize("kinds", [["charge.refunded"], ["refund.created"], ["charge.refunded", "refund.created"]])
def test_refunds_made_in_stripes_dashboard_are_booked(shop, evening, kinds):
    package = evening.package(quantity_limit=2)
    order = hold(evening, (package["id"], 2))
    intent_id = shop.buy(evening, order)
    shop.stripe.refund(intent_id, 4_000)
    for _ in range(2):
        for kind in kinds:
            shop.hear(intent_id, kind)
    after = read(evening, order)
    assert (after["status"], after["refunded_cents"]) == ("partially_refunded", 4_000)
    assert shop.balance(order) == {"money:stripe": 6_000, "receivable": 0, "refunds": 4_000, "sales": -10_000}

    shop.stripe.refund(intent_id)
    for kind in kinds:
        shop.hear(intent_id, kind)

    after = read(evening, order)
    assert (after["status"], after["refunded_cents"]) == ("refunded", 10_000)
    assert {ticket["status"] for ticket in after["tickets"]} == {"void"}
    assert stock(evening, package) == (0, 0)
    assert sum(row[0] for row in shop.refunds(order)) == 10_000


def test_a_dispute_is_flagged(shop, evening, order):
    intent_id = shop.buy(evening, order)
    shop.stripe.dispute(intent_id)
    shop.hear(intent_id, "charge.dispute.created")
    disputed = "SELECT disputed_at IS NOT NULL FROM payments WHERE reference = %s"
    assert query(shop.database_url, disputed, intent_id) == [(True,)]
    assert read(evening, order)["status"] == "paid"


# --- messages --------------------------------------------------------------------------------------------------------


def count_messages(shop: Shop) -> int:
    return int(query(shop.database_url, "SELECT count(*) FROM provider_messages")[0][0])


def test_a_message_must_be_signed_by_stripe_and_fresh(shop, evening, order):
    intent_id = shop.begin(evening, order)
    shop.stripe.pay(intent_id)
    [event] = shop.stripe.told(intent_id, "payment_intent.succeeded")
    body = json.dumps(event).encode()
    good = signature(body)
    moment, v1, v0 = good.split(",")
    wrong = {
        "missing": "",
        "another secret": signature(body, secret="whsec_other"),
        "another body": signature(body + b" "),
        "too old": signature(body, at=time.time() - 301),
        "another time": f"t={int(time.time()) - 5},{v1}",
        "no time": v1,
        "two times": f"{moment},{moment},{v1}",
        "no signature": moment,
        "another scheme": f"{moment},{v0}",
        "the right one by another scheme": f"{moment},{v1.replace('v1', 'v0')}",
        "nonsense": "t=x,v1=y",
        "a huge time": f"t={'9' * 5_000},{v1}",
    }
    before, messages = event_state(shop.database_url, evening.id), count_messages(shop)
    for what, header in wrong.items():
        answer = send(shop.host.url, body, header)
        assert (what, answer.status_code) == (what, 400)
        assert_problem(answer, 400, "bad_signature")
    assert (event_state(shop.database_url, evening.id), count_messages(shop)) == (before, messages)

    while_secrets_change = f"{moment},v1={'0' * 64},{v1}"
    assert send(shop.host.url, body, while_secrets_change).status_code == 200
    assert read(evening, order)["status"] == "paid"


def test_a_message_is_taken_as_fresh_for_five_minutes(shop):
    event = shop.stripe.event("customer.created", {"id": "cus_1", "object": "customer"})
    body = json.dumps(event).encode()
    assert send(shop.host.url, body, signature(body, at=time.time() - 290)).status_code == 200


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"x"', b"{}", b'{"id": "evt_1", "type": "payment_intent.succeeded"}', b"\xff"]
)
def test_a_signed_message_that_can_not_be_read_is_refused_and_not_stored(shop, body):
    messages = count_messages(shop)
    assert_problem(send(shop.host.url, body), 400, "malformed_json")
    assert count_messages(shop) == messages


def test_a_message_may_not_be_of_any_size(shop):
    assert_problem(send(shop.host.url, b" " * 1_000_001), 413, "body_too_large")


def test_a_message_is_stored_once_and_without_secrets(shop, evening, order):
    intent_id = shop.begin(evening, order)
    shop.stripe.pay(intent_id)
    [event] = shop.stripe.told(intent_id, "payment_intent.succeeded")
    secret = shop.stripe.intents[intent_id]["client_secret"]
    answers = at_once(6, lambda _: deliver(shop.host.url, event)[0].status_code)
    assert answers == [200] * 6
    stored = query(shop.database_url, "SELECT payload::text FROM provider_messages WHERE id = %s", event["id"])
    assert len(stored) == 1
    assert intent_id in stored[0][0]
    assert secret not in stored[0][0]
    assert shop.balance(order)["money:stripe"] == 10_000


def test_a_message_about_nothing_of_ours_is_stored_and_has_no_effect(shop, evening):
    stripe = shop.stripe
    foreign = stripe._create({"amount": 700, "currency": "usd", "metadata": {"order_id": "4711"}})
    stripe.pay(foreign["id"])
    lost = stripe._create(
        {"amount": 700, "currency": "usd", "metadata": {"event_id": evening.id, "order_id": UNKNOWN_ID}}
    )
    stripe.pay(lost["id"])
    elsewhere = stripe.event("charge.refunded", stripe.charges[foreign["latest_charge"]] | {"payment_intent": None})
    unknown = stripe.event("issuing_card.shipped", {"id": "ic_1", "object": "issuing.card", "note": "a\0b"})
    events = [*stripe.told(foreign["id"]), *stripe.told(lost["id"]), elsewhere, unknown]
    before = event_state(shop.database_url, evening.id)
    assert {answer.status_code for answer in deliver(shop.host.url, *events)} == {200}
    assert {shop.outcome(event) for event in events} == {"ignored"}
    assert event_state(shop.database_url, evening.id) == before


def test_messages_in_the_wrong_order_end_in_the_same(shop, evening, order):
    intent_id = shop.begin(evening, order)
    shop.stripe.pay(intent_id, "pm_card_chargeDeclined")
    shop.stripe.pay(intent_id)
    shop.stripe.refund(intent_id, 4_000)
    for event in [*reversed(shop.stripe.told(intent_id)), *shop.stripe.told(intent_id)]:
        deliver(shop.host.url, event)
    after = read(evening, order)
    assert (after["status"], after["refunded_cents"]) == ("partially_refunded", 4_000)
    assert shop.payments(order) == [(intent_id, "succeeded", 10_000, 4_000)]


def test_in_production_nothing_but_stripe_takes_payments(shop, start_host, evening):
    package = evening.package()["id"]

    def order_at(host: RunningHost, method: str) -> httpx.Response:
        with httpx.Client(base_url=f"{host.url}/api/v1", timeout=30, trust_env=False) as client:
            return send_order(client, evening.id, [(package, 1)], payment_method=method)

    production = shop.environment | {"ENVIRONMENT": "production", "METRICS_KEY": "k" * 16}
    with_stripe = start_host(http_only=True, **production)
    assert_problem(order_at(with_stripe, "test"), 422, "payment_method_unavailable")
    held = order_at(with_stripe, "card").json()
    assert shop.begin(evening, held).startswith("pi_")
    with_stripe.stop()

    without = start_host(http_only=True, **production | dict.fromkeys(shop.stripe.settings))
    before = event_state(shop.database_url, evening.id)
    for method in ("test", "card"):
        assert_problem(order_at(without, method), 422, "payment_method_unavailable")
    assert_problem(send(without.url, b"{}"), 422, "payments_unavailable")
    assert event_state(shop.database_url, evening.id) == before


def test_no_secret_is_ever_logged(shop):
    log = shop.host.log()
    assert SECRET_KEY not in log
    assert WEBHOOK_SECRET not in log
    for intent in shop.stripe.intents.values():
        assert intent["client_secret"] not in log
