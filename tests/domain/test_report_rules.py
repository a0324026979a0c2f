"""When schedules are due (R-SALES-4), for every unusual change of clocks."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from shared.domain.reports.rules import GOES_ON_FOR, Rhythm, Setting, next_run, pause_after, run_of_day

FAR = datetime(2040, 1, 1, tzinfo=UTC)
LONDON, NEW_YORK, LORD_HOWE = ZoneInfo("Europe/London"), ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe")


def daily(at: str) -> Rhythm:
    return Rhythm("daily", time.fromisoformat(at))


def runs(rhythm: Rhythm, zone: ZoneInfo, after: str, count: int) -> list[str]:
    """The next moments at which a schedule is due, in UTC."""
    moment: datetime | None = datetime.fromisoformat(after)
    found = []
    for _ in range(count):
        assert moment is not None
        moment = next_run(rhythm, Setting(zone, FAR), after=moment)
        assert moment is not None
        assert moment.tzinfo is UTC
        found.append(f"{moment:%m-%dT%H:%M}")
    return found


def test_a_day_without_the_time_runs_at_the_first_moment_after_it():
    # On 28 March 2027 London's clocks go from 01:00 to 02:00, at 01:00 UTC.
    assert runs(daily("01:30"), LONDON, "2027-03-26T12:00Z", 4) == [
        "03-27T01:30",
        "03-28T01:00",
        "03-29T00:30",
        "03-30T00:30",
    ]
    assert runs(daily("01:00"), LONDON, "2027-03-27T12:00Z", 2) == ["03-28T01:00", "03-29T00:00"]
    assert runs(daily("00:59"), LONDON, "2027-03-27T12:00Z", 2) == ["03-28T00:59", "03-28T23:59"]
    # On 14 March 2027 New York's go from 02:00 to 03:00, at 07:00 UTC.
    assert runs(daily("02:30"), NEW_YORK, "2027-03-13T12:00Z", 2) == ["03-14T07:00", "03-15T06:30"]


def test_a_day_that_has_the_time_twice_runs_once_at_the_first():
    # On 31 October 2027 London's clocks go from 02:00 back to 01:00, at 01:00 UTC.
    assert runs(daily("01:30"), LONDON, "2027-10-29T12:00Z", 4) == [
        "10-30T00:30",
        "10-31T00:30",
        "11-01T01:30",
        "11-02T01:30",
    ]
    # A timer that looks between the two does not see another run.
    assert runs(daily("01:30"), LONDON, "2027-10-31T00:45Z", 1) == ["11-01T01:30"]
    # On 7 November 2027 New York's go from 02:00 back to 01:00, at 06:00 UTC.
    assert runs(daily("01:00"), NEW_YORK, "2027-11-06T12:00Z", 2) == ["11-07T05:00", "11-08T06:00"]


def test_clocks_that_jump_by_half_an_hour_are_followed_too():
    # On 3 October 2027 Lord Howe's clocks go from 02:00 to 02:30, at 15:30 UTC on the day before.
    assert runs(daily("02:15"), LORD_HOWE, "2027-10-01T12:00Z", 3) == ["10-01T15:45", "10-02T15:30", "10-03T15:15"]


def test_a_day_that_a_zone_left_out_has_no_run():
    apia = ZoneInfo("Pacific/Apia")
    days = (date(2011, 12, 29), date(2011, 12, 30), date(2011, 12, 31))
    found = [run_of_day(day, time(7), apia) for day in days]
    assert found == [datetime(2011, 12, 29, 17, tzinfo=UTC), None, datetime(2011, 12, 30, 17, tzinfo=UTC)]


def test_a_week_has_one_run_at_local_time():
    rhythm = Rhythm("weekly", time(7, 30), "monday")
    # 29 March 2027 is the Monday after London's clocks have gone forward.
    assert runs(rhythm, LONDON, "2027-03-16T00:00Z", 3) == ["03-22T07:30", "03-29T06:30", "04-05T06:30"]
    sunday = Rhythm("weekly", time(1, 30), "sunday")
    assert runs(sunday, LONDON, "2027-03-15T00:00Z", 3) == ["03-21T01:30", "03-28T01:00", "04-04T00:30"]


def test_every_hour_has_one_run_on_the_hour_whatever_the_clocks_do():
    assert runs(Rhythm("hourly"), LONDON, "2027-10-31T00:00Z", 3) == ["10-31T01:00", "10-31T02:00", "10-31T03:00"]
    assert runs(Rhythm("hourly"), LONDON, "2027-10-31T00:59:59.999999Z", 1) == ["10-31T01:00"]


def test_after_the_event_it_is_due_once_at_its_end():
    ends = datetime(2027, 4, 18, 3, tzinfo=UTC)
    setting, rhythm = Setting(LONDON, ends), Rhythm("after_event")
    before, after = ends - timedelta(days=3), ends + timedelta(days=3)
    assert next_run(rhythm, setting, after=before) == ends
    assert next_run(rhythm, setting, after=after) == after, "made too late, it is due at once"
    assert next_run(rhythm, setting, after=after, last_due=ends) is None
    later = Setting(LONDON, after)
    assert next_run(rhythm, later, after=ends, last_due=ends) == after, "the event was put off"


@pytest.mark.parametrize("rhythm", [Rhythm("hourly"), daily("07:00"), Rhythm("weekly", time(7), "monday")])
def test_regular_runs_end_thirty_days_after_the_event(rhythm):
    ends = datetime(2027, 4, 18, 3, tzinfo=UTC)
    last = ends
    while moment := next_run(rhythm, Setting(LONDON, ends), after=last):
        last = moment
    assert timedelta(days=22) < last - ends < GOES_ON_FOR


def test_what_fails_is_tried_again_ever_more_slowly():
    minutes = [pause_after(attempts).total_seconds() / 60 for attempts in (1, 2, 3, 6, 7, 8, 24, 1_000)]
    assert minutes == [1, 2, 4, 32, 60, 60, 60, 60]
