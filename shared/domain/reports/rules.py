"""When a schedule is due, and when what failed is tried again (R-SALES-4). Pure.

A day's time is that of the event's zone. Where the clocks go forward over it, the day's run is at the first moment that
exists after it; where they go back over it, at the first of the two. So each day that the zone has, has one run.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from typing import Literal
from zoneinfo import ZoneInfo

type Frequency = Literal["hourly", "daily", "weekly", "after_event"]
type Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]

WEEKDAYS: tuple[Weekday, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
NEEDS: dict[Frequency, frozenset[str]] = {
    "hourly": frozenset(),
    "daily": frozenset({"local_time"}),
    "weekly": frozenset({"local_time", "weekday"}),
    "after_event": frozenset(),
}
"""What has to be said beside each frequency; the rest must not be."""

GOES_ON_FOR = timedelta(days=30)
"""After the event's end; by then refunds are through."""

ATTEMPTS_AT_MOST = 24
"""About a day."""
_FIRST_PAUSE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often, and when; `NEEDS` says what goes with which frequency."""

    frequency: Frequency
    local_time: time | None = None
    weekday: Weekday | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """What of its event a schedule depends on."""

    zone: ZoneInfo
    ends_at: datetime


def next_run(rhythm: Rhythm, setting: Setting, *, after: datetime, last_due: datetime | None = None) -> datetime | None:
    """Return the next moment at which the schedule is due, in UTC; None when it never is again.

    After the event it is due once: at its end, or at `after` where that is over, unless it was due since (`last_due`).
    All others are due later than `after`, and no more from thirty days after the event's end.
    """
    if rhythm.frequency == "after_event":
        done = last_due is not None and last_due >= setting.ends_at
        return None if done else max(setting.ends_at, after).astimezone(UTC)
    due = _next_regular(rhythm, after=after, zone=setting.zone)
    return due if due < setting.ends_at + GOES_ON_FOR else None


def _next_regular(rhythm: Rhythm, *, after: datetime, zone: ZoneInfo) -> datetime:
    if rhythm.frequency == "hourly":
        return after.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    assert rhythm.local_time is not None
    # A day's run may come after its midnight (the clocks have gone forward over that), so begin a day early.
    first = after.astimezone(zone).date() - timedelta(days=1)
    for day in (first + timedelta(days=number) for number in count()):
        if rhythm.frequency == "weekly" and day.weekday() != WEEKDAYS.index(rhythm.weekday or "monday"):
            continue
        due = run_of_day(day, rhythm.local_time, zone)
        if due is not None and due > after:
            return due
    raise AssertionError("days never end")


def run_of_day(day: date, at: time, zone: ZoneInfo) -> datetime | None:
    """Return when the zone's clocks first show `at`, or later, on that day, in UTC; None for a day that was left out.

    (Samoa went from 29 to 31 December 2011.)
    """
    midnight = _first_moment(datetime.combine(day, time()), zone)
    if midnight.astimezone(zone).date() != day:
        return None
    return _first_moment(datetime.combine(day, at), zone)


def _first_moment(local: datetime, zone: ZoneInfo) -> datetime:
    """The first moment at which a clock on the wall shows `local`, or has jumped over it."""
    by_offset_before = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if by_offset_before.astimezone(zone).replace(tzinfo=None) == local:
        return by_offset_before
    # In a gap: with the offset before it the moment lies after the jump, with the offset after it before (PEP 495).
    early, late = local.replace(tzinfo=zone, fold=1).astimezone(UTC), by_offset_before
    offset_before = early.astimezone(zone).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = (early + (late - early) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == offset_before:
            early = middle
        else:
            late = middle
    return late


def pause_after(attempts: int) -> timedelta:
    """Return how long to wait after so many attempts: a minute at first, twice as long each time, an hour at most."""
    doublings = min(attempts - 1, 10)
    return min(_FIRST_PAUSE * (1 << doublings), _LONGEST_PAUSE)
