"""The timer writes each due report once, whatever happens (R-SALES-4); each test has its own database."""

import dataclasses
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from azure.core.exceptions import HttpResponseError

from shared.domain.reports import catalogue, removal, upkeep, writing
from shared.domain.reports.kinds.all import KINDS
from shared.kit.db import unit_of_work
from shared.kit.errors import InvalidInput
from shared.kit.storage import blobs, tables
from shared.kit.tracing import working_on
from tests.factories import at_once
from tests.harness.desk import NOW
from tests.harness.polling import PATIENCE_SECONDS
from tests.harness.report_desk import EVERY, open_reports


@pytest.fixture
def reports(fresh_database, app_environment):
    with open_reports(fresh_database, app_environment) as reports:
        yield reports


# --- schedules ------------------------------------------------------------------------------------------------------


def test_a_daily_report_is_written_once_a_day(reports):
    reports.desk.place({reports.desk.package(price_cents=4_200): 2}, by="test")
    schedule_id = reports.schedule(kinds=["sales", "ledger"], with_bom=True)
    assert reports.next_run(schedule_id) == "11-21T07:00"
    assert reports.tick() == 0
    assert reports.tick(timedelta(hours=13)) == 2
    assert reports.next_run(schedule_id) == "11-22T07:00"
    for _ in range(2):  # late, and twice
        assert reports.tick(timedelta(hours=3)) == 0
    sales = next(report for report in reports.listed() if report.kind == "sales")
    assert [row["final_price"] for row in reports.rows(sales)] == ["42.00", "42.00"]
    assert (sales.schedule_id, sales.with_bom, sales.due_at) == (
        schedule_id,
        True,
        datetime(2026, 11, 21, 7, tzinfo=UTC),
    )
    assert sorted(reports.shown()) == [("ledger", "ready"), ("sales", "ready")]
    reports.assert_catalogue_and_files_agree()


def test_a_timer_that_was_away_for_days_makes_one_late_run(reports):
    schedule_id = reports.schedule("hourly")
    assert reports.tick(timedelta(days=3, minutes=5)) == 1
    assert [report.due_at for report in reports.listed()] == [NOW + timedelta(hours=1)]
    assert reports.next_run(schedule_id) == "11-23T19:00"


def test_timers_that_run_at_the_same_time_write_each_due_report_once(reports):
    reports.desk.place({reports.desk.package(): 1}, by="test")
    for frequency in ("hourly", "daily", "hourly"):
        reports.schedule(frequency, kinds=["sales", "orders", "ledger"])
    reports.now += timedelta(days=1)
    taken = at_once(4, lambda _: reports.tick())
    assert sum(taken) == 9
    assert [status for _, status in reports.shown()] == ["ready"] * 9
    assert reports.desk.value("SELECT count(*) FROM report_runs WHERE attempts = 1") == 9
    assert len({(report.schedule_id, report.kind, report.due_at) for report in reports.listed()}) == 9
    reports.assert_catalogue_and_files_agree()


def test_after_the_event_reports_are_written_once(reports):
    schedule_id = reports.schedule("after_event", kinds=["attendees"])
    assert reports.next_run(schedule_id) == "06-09T18:00"
    assert reports.tick(timedelta(days=201)) == 1
    assert reports.next_run(schedule_id) is None
    assert reports.tick(timedelta(days=30)) == 0


def test_an_event_that_is_moved_moves_its_reports_with_it(reports):
    daily, after = reports.schedule(), reports.schedule("after_event")
    reports.desk.change_event(timezone="America/New_York", ends_at=(NOW + timedelta(days=202)).isoformat())
    assert reports.tick() == 0
    assert (reports.next_run(daily), reports.next_run(after)) == ("11-21T12:00", "06-10T18:00")
    reports.now = NOW + timedelta(days=201)  # the end as it was before
    assert {kind for kind, _ in reports.shown() if reports.tick()} == set()
    assert reports.next_run(after) == "06-10T18:00"


def test_a_report_that_is_overdue_when_its_event_is_moved_is_written(reports):
    schedule_id = reports.schedule()
    reports.desk.change_event(timezone="America/New_York")
    assert reports.tick(timedelta(hours=13, minutes=5)) == 1
    assert [f"{report.due_at:%H:%M}" for report in reports.listed()] == ["07:00"]
    assert reports.next_run(schedule_id) == "11-21T12:00"


def test_a_paused_schedule_writes_nothing_until_it_goes_on(reports):
    schedule_id = reports.schedule()
    reports.change(schedule_id, is_active=False)
    assert reports.next_run(schedule_id) is None
    assert reports.tick(timedelta(days=2)) == 0
    reports.change(schedule_id, is_active=True)
    assert reports.next_run(schedule_id) == "11-23T07:00"
    assert reports.tick(timedelta(days=1)) == 1


# --- without a schedule -----------------------------------------------------------------------------------------------


def test_an_event_without_a_schedule_gets_a_report_after_new_sales_but_not_too_often(reports):
    package = reports.desk.package(price_cents=100)
    reports.now = real = datetime.now(UTC)  # the ids of the sold tickets hold the real time
    assert reports.tick() == 0
    reports.desk.place({package: 1}, by="test")
    assert reports.tick(timedelta(seconds=10)) == 1
    assert reports.tick(timedelta(hours=1)) == 0, "nothing was sold"
    reports.now = real + timedelta(seconds=20)
    reports.desk.place({package: 1}, by="test")
    assert reports.tick() == 0, "too soon"
    assert reports.tick(EVERY) == 1
    assert [len(reports.rows(report)) for report in reports.listed()] == [1, 2]
    waiting = reports.desk.place({package: 1})
    assert reports.tick(EVERY) == 0, "not paid for"
    reports.desk.pay(waiting)
    assert reports.tick(EVERY) == 1
    reports.schedule()
    reports.desk.place({package: 1}, by="test")
    assert reports.tick(EVERY) == 0, "the team has said what it wants"


def test_only_the_newest_of_the_reports_that_nobody_asked_for_are_kept(reports, monkeypatch):
    monkeypatch.setattr(upkeep, "_SALES_FILES_KEPT", 2)
    package = reports.desk.package(price_cents=100)
    reports.now = datetime.now(UTC) + timedelta(seconds=10)
    for _ in range(4):
        reports.desk.place({package: 1}, by="test")
        assert reports.tick(EVERY) == 1
    assert [report.rows for report in reports.listed()] == [3, 4]
    reports.assert_catalogue_and_files_agree()


# --- failures -------------------------------------------------------------------------------------------------------


def breaking(error: Callable[[], Exception]) -> Callable[..., None]:
    def put_stream(*_: object, **__: object) -> None:
        raise error()

    return put_stream


def test_a_failure_shows_its_cause_and_is_retried_ever_more_slowly(reports, monkeypatch):
    reports.schedule(kinds=["orders"])
    reports.now += timedelta(hours=13)
    with monkeypatch.context() as broken:
        broken.setattr(blobs, "put_stream", breaking(lambda: HttpResponseError("disk of secrets")))
        assert reports.tick() == 1
        [report] = reports.listed()
        assert (report.status, report.error) == ("failed", "The storage was out of reach or refused the file.")
        assert report.retry_at == reports.now + timedelta(minutes=1)
        assert [entry["status"] for entry in catalogue.entries(reports.desk.event_id)] == ["failed"]
        assert reports.tick(timedelta(seconds=59)) == 0
        assert reports.tick(timedelta(seconds=1)) == 1
        assert reports.listed()[0].retry_at == reports.now + timedelta(minutes=2)
    assert reports.tick(timedelta(seconds=119)) == 0
    assert reports.tick(timedelta(seconds=1)) == 1
    [report] = reports.listed()
    assert (report.status, report.error, report.retry_at) == ("ready", None, None)
    reports.assert_catalogue_and_files_agree()


def test_what_fails_for_a_day_is_given_up_and_still_shown(reports, monkeypatch):
    reports.schedule("after_event", notify=[reports.desk.coordinator.email])
    monkeypatch.setattr(blobs, "put_stream", breaking(lambda: ValueError("of secrets")))
    reports.tick(timedelta(days=201))
    tries = 1
    while reports.tick(timedelta(hours=1)):
        tries += 1
    assert tries == 24
    [report] = reports.listed()
    assert (report.status, report.error, report.retry_at) == ("failed", "The export broke off (ValueError).", None)
    assert [notice["reports"][0]["outcome"] for notice in reports.notices()] == ["failed"]


@pytest.mark.parametrize("attempts", [24, 1])
def test_a_failure_that_can_not_be_written_to_the_catalogue_is_listed_all_the_same(attempts, reports, monkeypatch):
    def change_entity(*_: object, **__: object) -> None:
        raise HttpResponseError("away")

    reports.schedule()
    monkeypatch.setattr(writing, "ATTEMPTS_AT_MOST", attempts)
    with monkeypatch.context() as broken:
        broken.setattr(tables, "change_entity", change_entity)
        reports.tick(timedelta(hours=13))
    assert catalogue.entries(reports.desk.event_id) == []
    assert reports.shown() == [("sales", "failed")]
    reports.tick(timedelta(minutes=1))
    assert reports.shown() == [("sales", "ready" if attempts > 1 else "failed")]


def test_a_report_that_the_server_works_on_for_long_is_no_outage(reports, monkeypatch):
    """The first row comes later than the time-out of any other statement."""
    slow = dataclasses.replace(
        KINDS["orders"], condition="o.event_id = %(event_id)s AND (SELECT true FROM pg_sleep(1))"
    )
    monkeypatch.setitem(KINDS, "orders", slow)
    reports.desk.place({reports.desk.package(): 1}, by="test")
    reports.schedule(kinds=["orders"])
    with unit_of_work.raw_connection() as connection:
        pass
    connection.patience = 0.3  # type: ignore[attr-defined]  # the pool lends the same connection again
    reports.tick(timedelta(hours=13))
    assert [(report.status, report.rows) for report in reports.listed()] == [("ready", 1)]
    with unit_of_work.raw_connection() as connection:
        assert connection.patience == 0.3, "and no longer"  # type: ignore[attr-defined]


def test_one_report_that_fails_does_not_hold_up_the_others(reports, monkeypatch):
    reports.schedule(kinds=["sales", "orders", "ledger"])
    monkeypatch.delitem(KINDS, "orders")
    assert reports.tick(timedelta(hours=13)) == 3
    monkeypatch.undo()
    stati = dict(reports.desk.rows("SELECT kind, coalesce(outcome, last_error) FROM report_runs"))
    assert stati == {"sales": "ready", "ledger": "ready", "orders": "The export broke off (KeyError)."}


@pytest.mark.parametrize(("where", "step"), [(upkeep, "take_next"), (catalogue, "begin")])
def test_a_timer_that_ends_before_it_has_begun_leaves_the_report_to_the_next(where, step, reports, monkeypatch):
    reports.schedule()
    reports.now += timedelta(hours=13)

    def break_off(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(where, step, break_off)
        with pytest.raises(KeyboardInterrupt):
            reports.tick()
    assert reports.shown() == [("sales", "running")], "due, and not forgotten"
    reports.tick(writing.LEASE)
    assert reports.shown() == [("sales", "ready")]
    assert reports.desk.value("SELECT count(*) FROM report_runs") == 1


# --- attempts that meet ---------------------------------------------------------------------------------------------


def test_an_attempt_that_was_thought_dead_undoes_nothing_when_it_wakes_up(reports, monkeypatch):
    """The first attempt stops after its file; another one writes the report; then the first goes on."""
    reports.desk.place({reports.desk.package(): 1}, by="test")
    reports.schedule()
    reports.now += timedelta(hours=13)
    asleep, wake_up = threading.Event(), threading.Event()
    finish = catalogue.finish

    def finish_late(run: Any, *begun: Any, **facts: Any) -> bool:
        if run.attempts == 1:
            asleep.set()
            assert wake_up.wait(PATIENCE_SECONDS)
        return bool(finish(run, *begun, **facts))

    monkeypatch.setattr(catalogue, "finish", finish_late)
    first = threading.Thread(target=reports.tick)
    first.start()
    assert asleep.wait(PATIENCE_SECONDS)
    assert reports.tick() == 0, "it is the first one's alone"
    assert reports.shown() == [("sales", "running")]
    assert reports.tick(writing.LEASE) == 1
    [ready] = reports.listed()
    wake_up.set()
    first.join(20)
    assert reports.listed() == [ready]
    assert ready.status == "ready"
    reports.assert_catalogue_and_files_agree()


def test_an_attempt_that_wakes_up_after_its_report_was_removed_leaves_nothing(reports, monkeypatch):
    reports.schedule(keep_days=1)
    reports.now += timedelta(hours=13)
    finish = catalogue.finish

    def finish_late(run: Any, *begun: Any, **facts: Any) -> bool:
        removal.remove(run.event_id, run.id)
        return bool(finish(run, *begun, **facts))

    monkeypatch.setattr(catalogue, "finish", finish_late)
    reports.tick()
    assert catalogue.entries(reports.desk.event_id) == []
    assert reports.files() == set()


# --- removal --------------------------------------------------------------------------------------------------------


def test_files_are_kept_for_as_many_days_as_their_schedule_says(reports):
    reports.schedule(keep_days=2)
    for _ in range(5):
        reports.tick(timedelta(days=1))
    days = [f"{report.due_at:%d}" for report in reports.listed()]
    assert days == ["24", "25"]  # the report of the 23rd was written two days ago
    reports.assert_catalogue_and_files_agree()
    assert reports.desk.value("SELECT count(*) FROM report_runs") == len(days)


def test_as_many_files_of_each_kind_are_kept_as_their_schedule_says(reports):
    schedule_id = reports.schedule(kinds=["sales", "ledger"], keep_files=3, keep_days=None)
    for _ in range(5):
        reports.tick(timedelta(days=1))
    assert sorted(f"{report.kind} {report.due_at:%d}" for report in reports.listed()) == [
        f"{kind} {day}" for kind in ("ledger", "sales") for day in (23, 24, 25)
    ]
    reports.change(schedule_id, keep_files=1)
    reports.tick()
    assert sorted(f"{report.kind} {report.due_at:%d}" for report in reports.listed()) == ["ledger 25", "sales 25"]
    reports.delete(schedule_id)
    assert reports.tick(timedelta(days=89)) == 0
    assert len(reports.listed()) == 2
    reports.tick(timedelta(days=2))
    assert reports.listed() == []
    reports.assert_catalogue_and_files_agree()


@pytest.mark.parametrize("step", ["list_page", "delete_blob"])
def test_a_removal_that_breaks_off_shows_no_file_that_is_gone_and_is_finished_later(step, reports, monkeypatch):
    reports.schedule("after_event", keep_days=1)
    reports.tick(timedelta(days=201))
    assert len(reports.files()) == 1

    def break_off(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(blobs, step, break_off)
        with pytest.raises(KeyboardInterrupt):
            reports.tick(timedelta(days=2))
    assert reports.listed() == []
    reports.tick()
    assert reports.files() == set()
    assert reports.desk.value("SELECT count(*) FROM report_runs") == 0


# --- notices --------------------------------------------------------------------------------------------------------


def test_the_addresses_to_notify_are_told_once_when_all_files_of_a_run_are_there(reports, monkeypatch):
    email = reports.desk.coordinator.email
    reports.schedule(kinds=["sales", "orders", "ledger"], notify=[email])
    reports.now += timedelta(hours=13)
    with monkeypatch.context() as broken:
        broken.delitem(KINDS, "orders")
        reports.tick()
    assert reports.notices() == [], "one is missing"
    reports.tick(timedelta(minutes=1))
    reports.tick(timedelta(minutes=1))
    [notice] = reports.notices()
    assert (notice["to"], notice["due_at"]) == (email, "2026-11-21T07:00:00+00:00")
    assert [(report["kind"], report["outcome"]) for report in notice["reports"]] == [
        ("ledger", "ready"),
        ("orders", "ready"),
        ("sales", "ready"),
    ]
    reports.tick(timedelta(days=1))
    assert [notice["due_at"][:10] for notice in reports.notices()] == ["2026-11-21", "2026-11-22"]


def test_files_that_are_done_at_the_same_moment_make_one_notice(reports):
    for _ in range(3):
        reports.schedule("hourly", kinds=["sales", "orders", "ledger"], notify=[reports.desk.coordinator.email])
    reports.now += timedelta(hours=1)
    at_once(4, lambda _: reports.tick())
    assert len(reports.notices()) == 3
    assert all(len(notice["reports"]) == 3 for notice in reports.notices())


def test_only_coordinators_of_the_event_can_be_told(reports):
    with pytest.raises(InvalidInput) as refused:
        reports.schedule(notify=[reports.desk.coordinator.email, f"{uuid4().hex}@example.com"])
    assert [fault.pointer for fault in refused.value.faults] == ["/notify/1"]
    assert reports.desk.value("SELECT count(*) FROM report_schedules") == 0


def test_a_notice_belongs_to_the_trace_of_the_run_that_wrote_it(reports):
    reports.schedule("hourly", kinds=["sales"], notify=[reports.desk.coordinator.email])
    with working_on("refresh_sales") as work:
        reports.tick(timedelta(hours=1))
    [notice] = reports.notices()
    assert notice["traceparent"] == work.span.traceparent
