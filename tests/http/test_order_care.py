"""What the team sees about an order and does for its buyer: timeline, notes, a second confirmation (R-SALES-6)."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import psycopg
import pytest

from shared.domain.orders.queries import get_order_for_team
from shared.domain.orders.team.timeline import with_history
from tests.factories import (
    UNKNOWN_ID,
    Evening,
    assert_problem,
    at_once,
    bearer,
    event_state,
    new_email,
    new_key,
    open_evening,
    pointers,
    put_member,
    query,
)
from tests.harness.desk import NOW, Desk, know_settings
from tests.http.test_payments import hold, pay


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer)


def read(evening: Evening, order: Any) -> Any:
    answer = evening.client.get(f"{evening.path}/orders/{order['id']}", headers=evening.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def post(evening: Evening, order: Any, what: str, body: Any = None, headers: Any = None, key: str | None = None) -> Any:
    content = {} if body is None else {"json": body}
    sent = (headers or evening.headers) | {"Idempotency-Key": key or new_key()}
    return evening.client.post(f"{evening.path}/orders/{order['id']}/{what}", headers=sent, **content)


def kinds(order: Any) -> list[str]:
    return [entry["kind"] for entry in order["timeline"]]


def only(order: Any, kind: str) -> Any:
    [entry] = [entry for entry in order["timeline"] if entry["kind"] == kind]
    return entry


def test_the_timeline_of_an_order_that_was_paid_refunded_and_sent_again(evening, poll, database_url):
    order = hold(evening, (evening.package()["id"], 2))
    pay(evening, order)
    assert post(evening, order, "resend").status_code == 202
    ticket = evening.client.get(f"{evening.path}/orders/{order['id']}", headers=evening.headers).json()["tickets"][0]
    refund = post(evening, order, "refund", {"ticket_ids": [ticket["id"]], "reason": "Ill"}).json()
    note = post(evening, order, "notes", {"text": "Rang on Monday.\nComes alone."}).json()

    def settled() -> Any:
        found = read(evening, order)
        emails = [entry for entry in found["timeline"] if entry["kind"] == "email"]
        assert {entry["detail"]["state"] for entry in emails} == {"sent"}
        assert "refund_succeeded" in kinds(found)
        return found

    found = poll(settled)
    assert sorted(kinds(found)) == sorted(
        ["placed", "payment_begun", "paid", "payment_succeeded", "refund_decided", "refund_succeeded", "note"]
        + ["email"] * 3
    )
    times = [entry["at"] for entry in found["timeline"]]
    assert times == sorted(times)
    assert kinds(found)[:2] == ["placed", "payment_begun"]
    assert only(found, "placed")["detail"] == {"channel": "online", "total_cents": 10_000}
    assert (only(found, "placed")["at"], only(found, "placed")["actor"]) == (order["created_at"], None)
    assert only(found, "paid")["at"] == found["paid_at"] == only(found, "payment_succeeded")["at"]
    decided = only(found, "refund_decided")
    assert decided["actor"]["email"] == evening.coordinator
    assert decided["detail"] == {
        "refund_id": refund["id"],
        "amount_cents": 5_000,
        "reason": "Ill",
        "tickets_voided": 1,
    }
    emails = [entry for entry in found["timeline"] if entry["kind"] == "email"]
    assert [(entry["detail"]["message"], bool(entry["actor"])) for entry in emails] == [
        ("order_confirmation", False),
        ("order_confirmation", True),
        ("refund_notice", False),
    ]
    assert only(found, "note")["detail"] == {"note_id": note["id"], "text": "Rang on Monday.\nComes alone."}
    assert found["notes"] == [note]
    # Later facts of a payment do not change when it succeeded.
    later = "UPDATE payments SET updated_at = updated_at + interval '1 hour' WHERE order_id = %s RETURNING 1"
    assert query(database_url, later, order["id"])
    assert only(read(evening, order), "payment_succeeded")["at"] == found["paid_at"]


def test_the_timeline_tells_who_sold_and_who_cancelled(evening):
    body: dict[str, Any] = {"customer": {"name": "Bo", "email": "bo@example.com"}, "payment_method": "comp"}
    body |= {"items": [{"package_id": evening.package()["id"], "quantity": 1}]}
    headers = evening.headers | {"Idempotency-Key": new_key()}
    order = evening.client.post(f"{evening.path}/orders", json=body, headers=headers).json()
    assert post(evening, order, "cancel").status_code == 200
    found = read(evening, order)
    assert only(found, "placed")["actor"]["email"] == evening.coordinator
    assert only(found, "placed")["detail"]["channel"] == found["channel"] == "box_office"
    cancelled = only(found, "changed")
    assert cancelled["actor"]["email"] == evening.coordinator
    assert cancelled["detail"] == {"field": "status", "new": "cancelled"}
    assert "ended" not in kinds(found)


def test_an_order_that_its_buyer_gave_up_says_when(evening):
    order = hold(evening, (evening.package()["id"], 1))
    headers = {"X-Order-Token": order["access_token"]}
    assert evening.client.post(f"/public/orders/{order['id']}/cancel", headers=headers).status_code == 200
    ended = only(read(evening, order), "ended")
    assert (ended["detail"], ended["actor"]) == ({"status": "cancelled"}, None)
    assert ended["at"] > order["created_at"]


def test_an_order_whose_time_was_up_says_when_even_if_it_was_paid_after_all(database_url, app_environment):
    know_settings(app_environment)
    desk = Desk(database_url)
    try:
        order = desk.place({desk.package(): 1})
        desk.expire(now=NOW + timedelta(minutes=16))
        with desk.session() as session:
            found = with_history(session, get_order_for_team(session, desk.event_id, order.id))
        assert [(entry.kind, entry.at) for entry in found.timeline] == [
            ("placed", NOW),
            ("ended", NOW + timedelta(minutes=16)),
        ]
        desk.pay(order, now=NOW + timedelta(minutes=20))
        with desk.session() as session:
            found = with_history(session, get_order_for_team(session, desk.event_id, order.id))
        told = [entry for entry in found.timeline if entry.kind in {"ended", "paid"}]
        assert [(entry.kind, entry.detail.get("status")) for entry in told] == [("ended", "expired"), ("paid", None)]
    finally:
        desk.close()


def test_notes_stay_as_they_were_written_and_buyers_never_see_them(evening, issuer):
    order = evening.order((evening.package()["id"], 1))
    put_member(evening.client, evening.token, evening.id, "till@example.com", "staff")
    staff = bearer(issuer.token("till@example.com"))
    first = post(evening, order, "notes", {"text": "Wheelchair"}, headers=staff)
    assert (first.status_code, first.json()["author"]["email"]) == (201, "till@example.com")
    post(evening, order, "notes", {"text": "<script>alert(1)</script>"})
    found = read(evening, order)
    assert [note["text"] for note in found["notes"]] == ["Wheelchair", "<script>alert(1)</script>"]
    listed = evening.client.get(f"{evening.path}/orders", headers=staff).json()["items"]
    assert [item["notes"] for item in listed] == [2]
    public = evening.client.get(f"/public/orders/{order['id']}", headers={"X-Order-Token": order["access_token"]})
    assert {"notes", "timeline", "channel"} & public.json().keys() == set()


def test_a_note_that_says_nothing_or_too_much_is_refused(evening, database_url):
    order = evening.order((evening.package()["id"], 1))
    for text in ("", "  ", "x" * 1_001, "a\0b"):
        refused = post(evening, order, "notes", {"text": text})
        assert pointers(assert_problem(refused, 422, "invalid_input")) == ["/text"]
    assert query(database_url, "SELECT count(*) FROM order_notes WHERE order_id = %s", order["id"]) == [(0,)]


def test_the_confirmation_is_sent_again_with_the_tickets_once_a_key(evening, mail_box, database_url):
    email = new_email("again")
    order = evening.order((evening.package()["id"], 1), customer={"name": "Ada", "email": email})
    key = new_key()
    first, again = (post(evening, order, "resend", key=key) for _ in range(2))
    answered_at = datetime.now(UTC)
    assert (first.status_code, first.json()["to"]) == (202, email)
    assert first.json() == again.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    of_ours = f"<{first.json()['message_id']}@"
    mail = mail_box.wait_for(lambda m: m["To"] == email and m["Message-ID"].startswith(of_ours))
    queued_at = datetime.fromisoformat(first.json()["queued_at"])
    assert queued_at.replace(microsecond=0) <= parsedate_to_datetime(mail["Date"]) <= answered_at
    assert order["tickets"][0]["code"] in mail.get_body(("plain",)).get_content()
    sent = "SELECT count(*) FROM outbox WHERE payload ->> 'order_id' = %s"
    assert query(database_url, sent, order["id"]) == [(2,)]
    trail = evening.client.get(f"{evening.path}/audit-trail?entity_id={order['id']}", headers=evening.headers)
    assert [(entry["field"], entry["actor"]["email"]) for entry in trail.json()["items"]] == [
        ("resent", evening.coordinator)
    ]


def test_nobodys_mailbox_can_be_flooded(evening, database_url):
    """Three an hour for all orders of a customer, even at the same moment; another customer's are not counted."""
    package = evening.package()
    ada = {"name": "Ada", "email": new_email("ada")}
    orders = [evening.order((package["id"], 1), customer=ada) for _ in range(2)]
    other = evening.order((package["id"], 1), customer={"name": "Bo", "email": new_email("bo")})
    answers = at_once(8, lambda number: post(evening, orders[number % 2], "resend"))
    assert sorted(answer.status_code for answer in answers) == [202] * 3 + [409] * 5
    before = event_state(database_url, evening.id)
    refused = assert_problem(post(evening, orders[0], "resend"), 409, "resent_too_often")
    assert 3_500 < refused["retry_after_seconds"] <= 3_600
    assert event_state(database_url, evening.id) == before
    assert post(evening, other, "resend").status_code == 202
    earlier = "UPDATE outbox SET created_at = created_at - interval '61 minutes' WHERE payload ->> 'order_id' = %s"
    with psycopg.connect(database_url, autocommit=True) as connection:
        for order in orders:
            connection.execute(earlier, [order["id"]])
    assert post(evening, orders[0], "resend").status_code == 202


def test_what_has_no_tickets_is_not_sent(evening, database_url):
    package = evening.package()
    pending = hold(evening, (package["id"], 1))
    refunded = evening.order((package["id"], 1))
    assert post(evening, refunded, "refund", {"reason": "Ill"}).status_code == 201
    before = event_state(database_url, evening.id)
    for order in (pending, refunded):
        assert_problem(post(evening, order, "resend"), 409, "nothing_to_send")
    assert event_state(database_url, evening.id) == before


def test_another_events_order_gets_no_note_and_is_not_sent(evening, client, issuer, database_url):
    theirs = open_evening(client, issuer)
    order = theirs.order((theirs.package()["id"], 1))
    before = event_state(database_url, theirs.id)
    for each in (order, {"id": UNKNOWN_ID}):
        assert_problem(post(evening, each, "resend"), 404, "order_not_found")
        assert_problem(post(evening, each, "notes", {"text": "Mine now"}), 404, "order_not_found")
        answer = client.get(f"{evening.path}/orders/{each['id']}", headers=evening.headers)
        assert_problem(answer, 404, "order_not_found")
    assert event_state(database_url, theirs.id) == before
