"""Personal data through the API: handed out as a file, erased, and gone from the files that were made before."""

import json
from datetime import timedelta

import httpx
import pytest

from infra.local.tokens import ADMIN
from shared.kit.clock import utc_now
from tests.architecture.application import load
from tests.factories import assert_problem, bearer, event_state, in_days, new_email, new_key, open_evening, query


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer)


def customer(email):
    return {"name": "Bo Secretive", "email": email, "phone": "+44 20 7946 0123"}


def ask(evening, what, token=None, **body):
    headers = evening.headers if token is None else bearer(token)
    return evening.client.post(f"{evening.path}/privacy/{what}", json=body, headers=headers)


def test_an_export_is_a_file_that_nobody_caches_and_that_is_not_named_after_its_subject(evening):
    email = new_email("bo")
    order = evening.order((evening.package()["id"], 1), customer=customer(email))
    answer = ask(evening, "export", email=email.upper())
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Disposition"] == 'attachment; filename="personal-data.json"'
    assert (answer.headers["Content-Type"], answer.headers["Cache-Control"]) == ("application/json", "no-store")
    document = answer.json()
    assert (document["email"], document["next"]) == (email, None)
    assert [(found["number"], found["customer_phone"]) for found in document["orders"]] == [
        (order["number"], "+44 20 7946 0123")
    ]
    assert order["access_token"] not in answer.text


def test_of_a_stranger_there_is_nothing_and_erasing_them_is_no_fault(evening, database_url):
    before = event_state(database_url, evening.id)
    assert ask(evening, "export", email=new_email()).json()["orders"] == []
    done = ask(evening, "erase", email=new_email()).json()
    assert (done["orders"], done["complete"], done["account"]) == (0, True, "not_asked")
    assert event_state(database_url, evening.id) == before


@pytest.mark.parametrize("body", [{}, {"email": "bo"}, {"email": 7}, {"email": "a@b.test", "force": "yes"}])
def test_what_is_no_address_is_refused(evening, body):
    assert_problem(ask(evening, "erase", **body), 422, "invalid_input")


def test_before_the_event_a_coordinator_has_to_insist(evening, database_url):
    email = new_email("bo")
    order = evening.order((evening.package()["id"], 1), customer=customer(email))
    before = event_state(database_url, evening.id)
    problem = assert_problem(ask(evening, "erase", email=email), 409, "customer_active")
    assert (problem["orders_with_valid_tickets"], problem["pending_orders"]) == (1, 0)
    assert event_state(database_url, evening.id) == before
    done = ask(evening, "erase", email=email, force=True).json()
    assert (done["orders"], done["cancelled_orders"]) == (1, 0)
    shown = evening.client.get(f"/public/orders/{order['id']}", headers={"X-Order-Token": order["access_token"]}).json()
    assert shown["customer"] == {"name": "[erased]", "email": "erased@erased.invalid", "phone": None}
    assert (shown["number"], shown["total_cents"]) == (order["number"], order["total_cents"])
    assert [ticket["status"] for ticket in shown["tickets"]] == ["valid"]
    assert evening.client.get(f"{evening.path}/audit-trail/verify", headers=evening.headers).json()["valid"]


def test_a_coordinator_erases_in_their_own_event_alone(evening, client, issuer):
    email, other = new_email("bo"), open_evening(client, issuer)
    mine, theirs = (e.order((e.package()["id"], 1), customer=customer(email)) for e in (evening, other))
    assert ask(evening, "erase", email=email, force=True).json()["orders"] == 1
    assert [order["id"] for order in ask(other, "export", email=email).json()["orders"]] == [theirs["id"]]
    admin = bearer(issuer.token(ADMIN))
    everything = client.post("/admin/privacy/exports", json={"email": email}, headers=admin).json()
    assert {order["id"] for order in everything["orders"]} == {mine["id"], theirs["id"]}
    body = {"email": email, "force": True}
    assert client.post("/admin/privacy/erasures", json=body, headers=admin).json()["orders"] == 1
    assert ask(other, "export", email=email).json()["orders"][0]["customer_email"] == "erased@erased.invalid"


def test_to_an_erased_customer_nothing_is_sent_though_their_money_goes_back(evening, database_url, mail_box, poll):
    def mails(address):
        return sum(address in message["X-Envelope-To"] for message in mail_box.messages())

    email = new_email("bo")
    order = evening.order((evening.package()["id"], 1), customer=customer(email))
    poll(lambda: mails(email))
    assert ask(evening, "erase", email=email, force=True).status_code == 200
    headers = evening.headers | {"Idempotency-Key": new_key()}
    refund = f"{evening.path}/orders/{order['id']}/refund"
    assert evening.client.post(refund, json={"reason": "Ill"}, headers=headers).status_code == 201
    notice = "SELECT last_error FROM outbox WHERE event_id = %s AND kind = 'refund_notice' AND done_at IS NOT NULL"
    assert poll(lambda: query(database_url, notice, evening.id)) == [(None,)]
    assert (mails("erased@erased.invalid"), mails(email)) == (0, 1)


@pytest.mark.parametrize("address", ["erased@erased.invalid", "[erased]"])
def test_the_placeholder_is_nobodys_address(address, evening):
    """Otherwise a caller could ask for everything that was ever erased."""
    assert_problem(ask(evening, "export", email=address), 422, "invalid_input")


def test_report_files_made_before_an_erasure_go_and_the_next_one_has_nothing_of_it(evening, app_environment):
    email = new_email("bo")
    evening.order((evening.package()["id"], 1), customer=customer(email))
    reports = f"{evening.path}/reports"
    old = evening.client.post(reports, json={}, headers=evening.headers).json()
    assert ask(evening, "erase", email=email, force=True).status_code == 200
    retention = load("shared.domain.privacy.retention", app_environment)

    def listed():
        return [report["id"] for report in evening.client.get(reports, headers=evening.headers).json()["items"]]

    retention.drop_old_files(now=utc_now())  # too early: somebody may still be reading the old file
    assert old["id"] in listed()
    retention.drop_old_files(now=utc_now() + timedelta(minutes=6))
    assert old["id"] not in listed()
    gone = evening.client.get(f"{reports}/{old['id']}/download", headers=evening.headers)
    assert_problem(gone, 404, "report_not_found")
    new = evening.client.post(reports, json={}, headers=evening.headers).json()
    assert (new["status"], new["rows"]) == ("ready", 1)
    link = evening.client.get(f"{reports}/{new['id']}/download", headers=evening.headers).headers["Location"]
    text = httpx.get(link, trust_env=False).text
    assert "[erased],erased@erased.invalid" in text
    assert email not in text
    retention.drop_old_files(now=utc_now() + timedelta(minutes=6))  # a second run finds nothing to do
    assert new["id"] in listed()


def test_the_timer_is_run_by_hand_with_the_master_key_and_by_nobody_else(
    start_host, worker_folder, database_url, poll, client, issuer
):
    """`POST /admin/functions/{name}` is the platform's own way to run a timer now, here as on Azure."""
    past = open_evening(client, issuer, starts_at=in_days(-40), ends_at=in_days(-39))
    young = open_evening(client, issuer)
    for evening in (past, young):
        evening.order((evening.package()["id"], 1), customer=customer(new_email("bo")))
    host = start_host(http_only=True, PERSONAL_DATA_DAYS="30", RETENTION_SCHEDULE="0 0 0 1 1 *")
    keys = json.loads((worker_folder / "functions-keys.json").read_text())
    run_now = f"{host.url}/admin/functions/apply_retention"

    def status(headers, **content):
        return httpx.post(run_now, headers=headers, trust_env=False, **content).status_code

    def erased(evening):
        return query(database_url, "SELECT erased_at IS NOT NULL FROM orders WHERE event_id = %s", evening.id)

    assert [status(headers, json={}) for headers in ({}, {"x-functions-key": "wrong"})] == [401, 401]
    assert status({"x-functions-key": keys["default"]}, json={}) == 401
    assert erased(past) == [(False,)]
    assert status({"x-functions-key": keys["master"]}, json={}) == 202
    poll(lambda: erased(past) == [(True,)])
    assert erased(young) == [(False,)]
