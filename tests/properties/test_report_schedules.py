"""Daily reports: every local day has exactly one, however its clocks change (R-SALES-4)."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.reports.rules import Rhythm, Setting, next_run, run_of_day

FAR = datetime(2100, 1, 1, tzinfo=UTC)
# Clocks that jump at midnight, by half an hour, twice a year around Ramadan, over the date line, and not at all.
ZONES = st.sampled_from(
    [
        *("Europe/London", "America/New_York", "America/Santiago", "America/Havana", "America/Sao_Paulo"),
        *("Asia/Beirut", "Asia/Tehran", "Asia/Kathmandu", "Africa/Cairo", "Africa/Casablanca"),
        *("Australia/Lord_Howe", "Pacific/Chatham", "Pacific/Apia", "UTC"),
    ]
).map(ZoneInfo)
DAYS = st.dates(date(2005, 1, 1), date(2035, 1, 1))
TIMES = st.times().map(lambda at: at.replace(second=0, microsecond=0))


@given(zone=ZONES, day=DAYS, at=TIMES)
def test_each_local_day_has_exactly_one_daily_run(zone, day, at):
    """From one run to the next, the runs are exactly those of each existing day, in order."""
    days = [day + timedelta(days=number) for number in range(120)]
    planned = [run for each in days if (run := run_of_day(each, at, zone)) is not None]
    exists = [each for each in days if any(wall(zone, each, hour).date() == each for hour in range(24))]
    assert len(planned) == len(exists)
    moment = planned[0] - timedelta(microseconds=1)
    met: list[datetime] = []
    while len(met) < len(planned):
        following = next_run(Rhythm("daily", at), Setting(zone, FAR), after=moment)
        assert following is not None
        assert following > moment
        met.append(following)
        moment = following
    assert met == planned


@given(zone=ZONES, day=DAYS, at=TIMES)
def test_a_run_is_at_its_time_or_at_the_first_moment_after_it_that_exists(zone, day, at):
    due = run_of_day(day, at, zone)
    if due is None:
        return
    wanted, shown = datetime.combine(day, at), due.astimezone(zone).replace(tzinfo=None)
    just_before = (due - timedelta(seconds=1)).astimezone(zone).replace(tzinfo=None)
    assert shown >= wanted
    assert just_before < wanted, "an earlier moment would have been right"


def wall(zone: ZoneInfo, day: date, hour: int) -> datetime:
    """The time converted to UTC and back: it differs from the given time if that time does not exist."""
    return datetime.combine(day, time(hour), zone).astimezone(UTC).astimezone(zone)
