import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from infra.local.host.settings import BadConfiguration, seconds

_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAY_NAMES = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_MONTHS = {name: n for n, name in enumerate(_MONTH_NAMES, 1)}
_DAYS = {name: n for n, name in enumerate(_DAY_NAMES)}
_HORIZON_DAYS = 366 * 8 + 2  # two 29ths of February can be eight years apart: 1896 to 1904, and around 2100


class Schedule(Protocol):
    """When a timer is due."""

    def next(self, after: datetime) -> datetime:
        """Return the first occurrence later than `after`."""


@dataclass(frozen=True)
class Interval:
    """A schedule that is due again a fixed time after the last occurrence."""

    every: timedelta

    def next(self, after: datetime) -> datetime:
        """Return `after` plus the interval."""
        return after + self.every


@dataclass(frozen=True)
class Ncrontab:
    """An NCRONTAB expression; as in Azure, the day of the month and the day of the week must both match."""

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    def next(self, after: datetime) -> datetime:
        """Return the first occurrence later than `after`, in whole seconds and in its time zone."""
        start = after.replace(microsecond=0) + timedelta(seconds=1)
        day = start
        for _ in range(_HORIZON_DAYS):
            if self._falls_on(day):
                time = self._first_time(day if day is start else day.replace(hour=0, minute=0, second=0))
                if time is not None:
                    return time
            day = day.replace(hour=0, minute=0, second=0) + timedelta(days=1)
        raise BadConfiguration("the schedule is never due")

    def _falls_on(self, day: datetime) -> bool:
        return day.month in self.months and day.day in self.days and day.isoweekday() % 7 in self.weekdays

    def _first_time(self, start: datetime) -> datetime | None:
        """Return the first occurrence of that day at or after `start`."""
        for hour in (h for h in self.hours if h >= start.hour):
            same_hour = hour == start.hour
            for minute in (m for m in self.minutes if not same_hour or m >= start.minute):
                same_minute = same_hour and minute == start.minute
                for second in (s for s in self.seconds if not same_minute or s >= start.second):
                    return start.replace(hour=hour, minute=minute, second=second)
        return None


def parse_schedule(text: str) -> Schedule:
    """Read six fields (seconds first), five fields (second 0), or an interval `hh:mm:ss`.

    Raises BadConfiguration if the text is none of these, or if the schedule is never due.
    """
    fields = text.split()
    if len(fields) == 1 and ":" in text:
        every = timedelta(seconds=seconds(text))
        if every <= timedelta(0):
            raise BadConfiguration(f"the interval {text!r} is not positive")
        return Interval(every)
    if len(fields) == 5:
        fields = ["0", *fields]
    if len(fields) != 6:
        raise BadConfiguration(f"a schedule has six fields, five fields or is an interval hh:mm:ss: {text!r}")
    try:
        second, minute, hour, day, month, weekday = fields
        return Ncrontab(
            tuple(sorted(_field(second, 0, 59))),
            tuple(sorted(_field(minute, 0, 59))),
            tuple(sorted(_field(hour, 0, 23))),
            frozenset(_field(day, 1, 31)),
            frozenset(_field(month, 1, 12, _named(_MONTHS))),
            frozenset(value % 7 for value in _field(weekday, 0, 7, _named(_DAYS))),
        )
    except ValueError as error:
        raise BadConfiguration(f"the schedule {text!r} cannot be read: {error}") from error


def _named(names: dict[str, int]) -> Callable[[str], int]:
    return lambda text: names[text[:3].lower()] if text[:3].lower() in names else int(text)


def _field(text: str, low: int, high: int, number: Callable[[str], int] = int) -> set[int]:
    """Return the values of one field: `*`, `5`, `1-5`, `*/10`, `1-30/5`, `5/10`, and lists of these."""
    values: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"(?:(\*|\?)|(\w+)(?:-(\w+))?)(?:/(\d+))?", part)
        if match is None:
            raise ValueError(f"{part!r} is not a value, a range or a step")
        everything, first, last, step = match.groups()
        if everything:
            start, end = low, high if high != 7 else 6
        else:
            start = number(first)
            end = number(last) if last else (high if step and high != 7 else 6 if step else start)
        if not low <= start <= high or not low <= end <= high or start > end or step == "0":
            raise ValueError(f"{part!r} is outside {low}-{high}")
        values.update(range(start, end + 1, int(step or 1)))
    return values
