"""When the books disagree: this is found, listed, repaired by one request, and reported (R-ORD-8, R-OPS-4)."""

import re
import uuid
from datetime import timedelta

import pytest

from shared.kit.clock import utc_now
from tests.architecture.application import load
from tests.factories import assert_problem, at_once, event_state, new_email, open_evening, query
from tests.http.test_payments import ask, hold, let_time_pass, pay, read, stock


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer)


@pytest.fixture
def reconcile(app_environment):
    """The timer's work, in this process, on the same database as the host."""
    upkeep = load("functions.upkeep", app_environment)
    yield lambda: upkeep.reconcile_all(now=utc_now())
    load("shared.kit.db.engine", app_environment).engine().dispose()


def reconciliation(evening):
    answer = evening.client.get(f"{evening.path}/reconciliation", headers=evening.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def findings(evening):
    return reconciliation(evening)["findings"]


def repair(evening, finding_id):
    return evening.client.post(f"{evening.path}/reconciliation/{finding_id}/repair", headers=evening.headers)


def harm(database_url, statement, *parameters):
    query(database_url, f"WITH harmed AS ({statement} RETURNING 1) SELECT count(*) FROM harmed", *parameters)


def lose_tickets(database_url, order):
    """Act as if the process had died between payment and tickets (in reality they are one transaction)."""
    of_order = "order_item_id IN (SELECT id FROM order_items WHERE order_id = %s)"
    harm(database_url, f"UPDATE tickets SET status = 'reserved' WHERE {of_order}", order["id"])


def test_an_evening_in_order(evening):
    evening.order((evening.package()["id"], 2))
    found = reconciliation(evening)
    assert (found["findings"], found["provider_answered"]) == ([], True)
    assert found["checked_at"].endswith("Z")


def test_paid_but_not_issued_is_repaired_by_one_click(evening, database_url, mail_box):
    email = new_email("waiting")
    order = hold(evening, (evening.package()["id"], 2), customer={"name": "W", "email": email})
    pay(evening, order)
    assert mail_box.wait_for(lambda mail: mail["To"] == email)
    lose_tickets(database_url, order)
    assert read(evening, order)["tickets"] == []
    name = f"paid_not_issued:{order['id']}"
    assert findings(evening) == [
        {
            "id": name,
            "kind": "paid_not_issued",
            "detail": f"{order['number']} is paid, but 2 of its 2 tickets are not issued.",
            "repairable": True,
            "order_id": order["id"],
            "package_id": None,
            "payment_id": None,
            "promo_code_id": None,
            "refund_id": None,
        }
    ]

    repaired = repair(evening, name)

    assert (repaired.status_code, repaired.json()) == (200, {"id": name, "repaired": True})
    assert [ticket["status"] for ticket in read(evening, order)["tickets"]] == ["valid", "valid"]
    assert findings(evening) == []
    before = event_state(database_url, evening.id)
    assert repair(evening, name).json() == {"id": name, "repaired": False}
    assert event_state(database_url, evening.id) == before
    trail = evening.client.get(f"{evening.path}/audit-trail", headers=evening.headers).json()["items"][0]
    assert (trail["entity_type"], trail["entity_id"], trail["field"]) == ("order", order["id"], "repaired")
    assert (trail["new_value"], trail["actor"]["email"]) == (name, evening.coordinator)


def test_ten_repairs_at_once_send_the_money_back_once(evening, database_url, poll):
    order = hold(evening, (evening.package()["id"], 1))
    ask(evening, order, "payment-intent")
    harm(database_url, "UPDATE payments SET amount_cents = 4999 WHERE order_id = %s", order["id"])
    assert ask(evening, order, "confirm", {"card": "succeeds"}).json()["status"] == "pending"
    (finding,) = findings(evening)
    assert finding["kind"] == "payment_mismatch"

    answers = at_once(10, lambda _: repair(evening, finding["id"]))

    assert [answer.status_code for answer in answers] == [200] * 10, [answer.text for answer in answers]
    assert sorted(answer.json()["repaired"] for answer in answers) == [False] * 9 + [True]
    rows = "SELECT amount_cents, status FROM refunds WHERE order_id = %s"
    poll(lambda: query(database_url, rows, order["id"]) == [(4_999, "succeeded")])
    assert findings(evening) == []


def test_what_only_people_can_decide_is_refused(evening, database_url):
    package = evening.package()
    evening.order((package["id"], 1))
    harm(database_url, "UPDATE stock SET sold = 2 WHERE id = %s", package["id"])
    (finding,) = findings(evening)
    assert (finding["kind"], finding["repairable"], finding["package_id"]) == ("stock_drift", False, package["id"])
    before = event_state(database_url, evening.id)
    assert_problem(repair(evening, finding["id"]), 409, "not_repairable")
    assert event_state(database_url, evening.id) == before


def test_unknown_findings_and_those_of_other_events_are_not_found(evening, client, issuer):
    other = open_evening(client, issuer)
    order = other.order((other.package()["id"], 1))
    for name in ("nonsense", f"paid_not_issued:{uuid.uuid4()}", f"paid_not_issued:{order['id']}", "stock_drift:x"):
        assert_problem(repair(evening, name), 404, "finding_not_found")


def test_an_overdue_order_is_let_go(evening, database_url):
    package = evening.package(quantity_limit=1)
    order = hold(evening, (package["id"], 1))
    let_time_pass(database_url, order)
    assert findings(evening) == []  # the timer may still run
    harm(database_url, "UPDATE orders SET expires_at = now() - interval '6 minutes' WHERE id = %s", order["id"])
    for finding in findings(evening):  # none if the timer was faster
        assert finding["id"] == f"order_overdue:{order['id']}"
        assert repair(evening, finding["id"]).status_code == 200
    assert (read(evening, order)["status"], stock(evening, package)) == ("expired", (0, 0))


def test_what_the_timer_finds_is_in_the_metrics_until_it_is_gone(evening, client, database_url, reconcile, caplog):
    def gauges() -> tuple[float, float]:
        text = client.get("/metrics").text
        drift = re.search(r"^boxoffice_stock_drift (\S+)$", text, re.MULTILINE)
        issued = re.search(r'^boxoffice_reconciliation_findings\{kind="paid_not_issued"\} (\S+)$', text, re.MULTILINE)
        assert drift
        assert issued
        return float(drift[1]), float(issued[1])

    package = evening.package()
    order = evening.order((package["id"], 1))
    reconcile()
    drift, not_issued = gauges()
    harm(database_url, "UPDATE stock SET sold = sold + 3, held = 1 WHERE id = %s", package["id"])
    lose_tickets(database_url, order)
    assert gauges() == (drift, not_issued)  # as of the last check
    caplog.clear()
    first = reconcile()
    assert reconcile() == first
    assert gauges() == (drift + 4, not_issued + 1)
    said = [record.getMessage() for record in caplog.records if evening.id in record.getMessage()]
    assert (
        said
        == [
            f"The books of event {evening.id} disagree: stock_drift × 1",
            f"The books of event {evening.id} disagree: paid_not_issued × 1",
        ]
        * 2
    )
    assert order["customer"]["email"] not in caplog.text
    harm(database_url, "UPDATE stock SET sold = 1, held = 0 WHERE id = %s", package["id"])
    repair(evening, f"paid_not_issued:{order['id']}")
    reconcile()
    assert gauges() == (drift, not_issued)


def test_an_event_in_which_nothing_happens_any_more_is_left_alone_once_it_is_clean(evening, database_url, reconcile):
    checked = "SELECT findings::text FROM reconciliations WHERE event_id = %s"
    order = evening.order((evening.package()["id"], 1))
    harm(database_url, "UPDATE orders SET created_at = created_at - interval '31 days' WHERE id = %s", order["id"])
    reconcile()
    assert query(database_url, checked, evening.id) == []
    harm(database_url, "UPDATE orders SET created_at = %s WHERE id = %s", utc_now() - timedelta(days=29), order["id"])
    reconcile()
    assert query(database_url, checked, evening.id) == [("{}",)]
