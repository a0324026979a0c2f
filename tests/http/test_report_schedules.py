"""Report schedules through the API (R-SALES-4): who may set them, and that the reports are then written."""

import json
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import httpx
import pytest
import redis

from shared.kit.clock import utc_now
from tests.factories import (
    UNKNOWN_ID,
    Evening,
    assert_problem,
    at_once,
    bearer,
    event_state,
    new_email,
    open_evening,
    pointers,
    put_member,
    query,
)

DAILY = {"frequency": "daily", "local_time": "07:30"}


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer, timezone="Europe/London")


def send(evening: Evening, method: str, schedule_id: str = "", body: Any = None, **headers: str) -> httpx.Response:
    path = f"{evening.path}/report-schedules" + (f"/{schedule_id}" if schedule_id else "")
    content: dict[str, Any] = {} if body is None else {"json": body}
    return evening.client.request(method, path, headers=evening.headers | headers, **content)


def schedule(evening: Evening, **fields: Any) -> dict[str, Any]:
    answer = send(evening, "POST", body=DAILY | fields)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_a_schedule_is_made_read_changed_and_deleted(evening):
    answer = send(
        evening, "POST", body=DAILY | {"kinds": ["sales", "ledger", "sales"], "notify": [evening.coordinator]}
    )
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["Location"].endswith(f"/report-schedules/{made['id']}")
    due = made.pop("next_run_at")
    assert utc_now().isoformat() < due < (utc_now() + timedelta(days=1, hours=1)).isoformat()
    assert due[11:] in {"06:30:00Z", "07:30:00Z"}
    times = {name: made.pop(name) for name in ("created_at", "updated_at")}
    assert made == {
        "id": made["id"],
        "event_id": evening.id,
        "kinds": ["sales", "ledger"],
        "frequency": "daily",
        "local_time": "07:30",
        "weekday": None,
        "with_bom": False,
        "keep_days": 90,
        "keep_files": None,
        "notify": [evening.coordinator],
        "is_active": True,
        "version": 1,
    }
    read = send(evening, "GET", made["id"])
    assert read.json() == made | times | {"next_run_at": due}
    assert send(evening, "GET").json() == {"items": [read.json()]}

    change = {"frequency": "weekly", "weekday": "friday", "keep_files": 5, "keep_days": None, "notify": []}
    changed = send(evening, "PATCH", made["id"], change, **{"If-Match": read.headers["ETag"]}).json()
    assert {name: changed[name] for name in change} == change
    assert (changed["local_time"], changed["version"]) == ("07:30", 2)
    stale = send(evening, "PATCH", made["id"], {"is_active": False}, **{"If-Match": read.headers["ETag"]})
    assert_problem(stale, 412, "stale_version")
    paused = send(evening, "PATCH", made["id"], {"is_active": False}).json()
    assert (paused["is_active"], paused["next_run_at"]) == (False, None)

    assert send(evening, "DELETE", made["id"]).status_code == 204
    assert_problem(send(evening, "GET", made["id"]), 404, "report_schedule_not_found")
    trail = evening.client.get(f"{evening.path}/audit-trail?entity_type=report_schedule", headers=evening.headers)
    fields = [entry["field"] for entry in reversed(trail.json()["items"])]
    changes = ["frequency", "keep_days", "keep_files", "notify", "weekday"]
    assert fields[0] == "created"
    assert sorted(fields[1:6]) == changes
    assert fields[6:] == ["is_active", "deleted"]


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"local_time": None}, ["/local_time"]),
        ({"frequency": "weekly", "local_time": None}, ["/local_time", "/weekday"]),
        ({"weekday": "monday"}, ["/weekday"]),
        ({"frequency": "hourly"}, ["/local_time"]),
        ({"frequency": "after_event", "weekday": "monday"}, ["/local_time", "/weekday"]),
        ({"frequency": "yearly"}, ["/frequency"]),
        ({"local_time": "24:00"}, ["/local_time"]),
        ({"local_time": "7:30"}, ["/local_time"]),
        ({"local_time": "07:30:15"}, ["/local_time"]),
        ({"kinds": []}, ["/kinds"]),
        ({"kinds": ["gossip"]}, ["/kinds/0"]),
        ({"keep_days": 0, "keep_files": 1_001}, ["/keep_days", "/keep_files"]),
        ({"notify": ["nobody@example.com"]}, ["/notify/0"]),
        ({"with_bom": 1}, ["/with_bom"]),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused_with_every_fault(fields, where, evening, database_url):
    before = event_state(database_url, evening.id)
    answer = send(evening, "POST", body=DAILY | fields)
    assert answer.status_code == 422, answer.text
    assert pointers(answer.json()) == where
    assert event_state(database_url, evening.id) == before


def test_a_change_that_leaves_a_schedule_incomplete_is_refused_and_changes_nothing(evening, database_url):
    made = schedule(evening)
    before = event_state(database_url, evening.id)
    answer = send(evening, "PATCH", made["id"], {"frequency": "hourly", "is_active": False})
    assert assert_problem(answer, 422, "report_schedule_incomplete")
    assert event_state(database_url, evening.id) == before
    cleared = send(evening, "PATCH", made["id"], {"frequency": "hourly", "local_time": None})
    assert (cleared.status_code, cleared.json()["frequency"]) == (200, "hourly")


def test_an_event_has_at_most_twenty_schedules_however_many_are_made_at_once(evening):
    for _ in range(17):
        schedule(evening)
    stati = at_once(6, lambda _: send(evening, "POST", body=DAILY).status_code)
    assert sorted(stati) == [201, 201, 201, 409, 409, 409]
    assert_problem(send(evening, "POST", body=DAILY), 409, "too_many_report_schedules")
    assert len(send(evening, "GET").json()["items"]) == 20


def test_another_events_schedule_is_not_found(client, issuer, evening):
    theirs = schedule(open_evening(client, issuer))
    for method, body in (("GET", None), ("PATCH", {"is_active": False}), ("DELETE", None)):
        for schedule_id in (theirs["id"], UNKNOWN_ID):
            assert_problem(send(evening, method, schedule_id, body), 404, "report_schedule_not_found")


# --- the timer, in the host -----------------------------------------------------------------------------------------


def make_due(database_url: str, schedule_id: str) -> None:
    assert query(
        database_url,
        "UPDATE report_schedules SET next_run_at = now() - interval '1 minute' WHERE id = %s RETURNING 1",
        schedule_id,
    )


def run_timer(host: Any, folder: Any) -> None:
    master = json.loads((folder / "functions-keys.json").read_text())["master"]
    run_now = f"{host.url}/admin/functions/refresh_sales"
    assert httpx.post(run_now, json={}, trust_env=False).status_code == 401
    started = httpx.post(run_now, json={}, headers={"x-functions-key": master}, trust_env=False)
    assert started.status_code == 202


def about(evening: Evening, email: str) -> Any:
    def wanted(message: EmailMessage) -> bool:
        return email in message["X-Envelope-To"] and "reports" in message["Subject"]

    return wanted


@pytest.fixture(scope="module")
def timer_host(start_module_host, module_database, second_storage):
    """This module's own host, so that its timer has no other sales to report on."""
    return start_module_host(DATABASE_URL=module_database, AzureWebJobsStorage=second_storage)


@pytest.fixture
def reported(timer_host, issuer):
    """An event at that host."""
    with httpx.Client(base_url=f"{timer_host.url}/api/v1", timeout=30, trust_env=False) as client:
        yield open_evening(client, issuer)


def test_the_timer_writes_what_is_due_and_tells_those_who_asked(
    reported, timer_host, worker_folder, poll, module_database, mail_box, redis_url
):
    evening, client, database_url = reported, reported.client, module_database
    gone = new_email("gone")
    put_member(client, evening.token, evening.id, gone, "coordinator")
    evening.order((evening.package(price_cents=4_200)["id"], 1))
    made = schedule(evening, kinds=["sales", "attendees"], notify=[gone, evening.coordinator], with_bom=True)
    assert client.delete(f"{evening.path}/members/{gone}", headers=evening.headers).status_code == 204
    make_due(database_url, made["id"])
    run_timer(timer_host, worker_folder)

    def ready() -> Any:
        reports = evening.client.get(f"{evening.path}/reports", headers=evening.headers).json()["items"]
        return reports if [report["status"] for report in reports] == ["ready"] * 2 else None

    reports = poll(ready)
    assert sorted((report["kind"], report["rows"]) for report in reports) == [("attendees", 1), ("sales", 1)]
    assert {report["schedule_id"] for report in reports} == {made["id"]}
    mail = mail_box.wait_for(about(evening, evening.coordinator))
    text = mail.get_body(("plain",)).get_content()
    assert mail["Subject"] == f"Your reports are ready: {evening.event['title']}"
    for report in reports:
        link = f"/api/v1/admin/events/{evening.id}/reports/{report['id']}/download"
        assert f"{report['kind']}: {timer_host.url}{link}" in text
        assert client.get(f"{evening.path}/reports/{report['id']}/download").status_code == 401
    done = "SELECT count(*) FROM outbox WHERE event_id = %s AND kind = 'report_notice' AND done_at IS NOT NULL"
    poll(lambda: query(database_url, done, evening.id) == [(2,)])
    told = [message["X-Envelope-To"] for message in mail_box.messages() if about(evening, "@")(message)]
    assert [address for address in told if gone in address] == [], "no coordinator any more"
    assert len([address for address in told if evening.coordinator in address]) == 1
    with redis.Redis.from_url(redis_url) as cache:
        for which in ("all", "sponsorships"):
            assert cache.exists(f"sales-summary:{evening.id}:{which}")


def test_the_timer_writes_a_sales_report_for_an_event_without_schedules(reported, timer_host, worker_folder, poll):
    evening = reported
    evening.order((evening.package(price_cents=4_200)["id"], 1))

    def ready() -> Any:
        run_timer(timer_host, worker_folder)
        reports = evening.client.get(f"{evening.path}/reports", headers=evening.headers).json()["items"]
        return [report for report in reports if report["status"] == "ready"]

    [report] = poll(ready)
    assert (report["kind"], report["rows"], report["schedule_id"]) == ("sales", 1, None)


def test_staff_may_neither_see_nor_make_reports(evening, client, issuer):
    staff = new_email("staff")
    put_member(client, evening.token, evening.id, staff, "staff")
    headers = bearer(issuer.token(staff))
    for path in ("reports", "report-schedules", "ticket-packages/export-csv"):
        assert_problem(client.get(f"{evening.path}/{path}", headers=headers), 403, "permission_missing")
