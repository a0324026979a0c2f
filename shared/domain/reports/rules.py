"""When a schedule is due, and when a failed report is tried again (R-SALES-4). Pure.

The time of day is in the event's time zone. If the clocks go forward and skip that time, the run is at the first moment
after the gap. If they go back and show it twice, the run is at the first of the two. So every day of the zone has
exactly one run.
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
"""The fields that each frequency needs; it must not have the others."""

GOES_ON_FOR = timedelta(days=30)
"""How long after the event's end reports are still written; by then refunds are over."""

ATTEMPTS_AT_MOST = 24
"""With the pauses between them, these attempts take about a day."""
_FIRST_PAUSE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often and when a schedule is due; `NEEDS` says which fields each frequency needs."""

    frequency: Frequency
    local_time: time | None = None
    weekday: Weekday | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """The facts of an event that its schedules depend on."""

    zone: ZoneInfo
    ends_at: datetime


def next_run(rhythm: Rhythm, setting: Setting, *, after: datetime, last_due: datetime | None = None) -> datetime | None:
    """Return the next moment at which the schedule is due, in UTC; None if it is never due again.

    An `after_event` schedule is due once: at the event's end, or at `after` if the end has passed, unless it was due
    since the end (`last_due`). The other schedules are due later than `after`, and are never due again from thirty days
    after the event's end.
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
    # If the clocks skip the time, a day's run may be after the next midnight; so begin a day early.
    first = after.astimezone(zone).date() - timedelta(days=1)
    for day in (first + timedelta(days=number) for number in count()):
        if rhythm.frequency == "weekly" and day.weekday() != WEEKDAYS.index(rhythm.weekday or "monday"):
            continue
        due = run_of_day(day, rhythm.local_time, zone)
        if due is not None and due > after:
            return due
    raise AssertionError("days never end")


def run_of_day(day: date, at: time, zone: ZoneInfo) -> datetime | None:
    """Return, in UTC, when the zone's clocks first show `at` or later on that day; None for a skipped day.

    (In Samoa, 29 December 2011 was followed by 31 December.)
    """
    midnight = _first_moment(datetime.combine(day, time()), zone)
    if midnight.astimezone(zone).date() != day:
        return None
    return _first_moment(datetime.combine(day, at), zone)


def _first_moment(local: datetime, zone: ZoneInfo) -> datetime:
    """Return the first moment, in UTC, at which the zone's clocks show `local` or have jumped over it."""
    by_offset_before = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if by_offset_before.astimezone(zone).replace(tzinfo=None) == local:
        return by_offset_before
    # `local` is in a gap. Read with the offset from before the gap, it is after the jump; read with the offset from
    # after the gap, it is before the jump (PEP 495).
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
    """Return how long to wait after so many attempts: first a minute, then twice as long each time, at most an hour."""
    doublings = min(attempts - 1, 10)
    return min(_FIRST_PAUSE * (1 << doublings), _LONGEST_PAUSE)
