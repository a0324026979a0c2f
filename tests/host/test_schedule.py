import random
from datetime import UTC, datetime, timedelta

import pytest

from infra.local.host.schedule import Ncrontab, parse_schedule
from infra.local.host.settings import BadConfiguration


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "after", "due"),
    [
        ("0 */5 * * * *", "2026-11-20 14:03:10", "2026-11-20 14:05:00"),
        ("0 */5 * * * *", "2026-11-20 14:05:00", "2026-11-20 14:10:00"),
        ("*/5 * * * *", "2026-11-20 14:59:59", "2026-11-20 15:00:00"),
        ("* * * * * *", "2026-12-31 23:59:59.5", "2027-01-01 00:00:00"),
        ("0 30 9 * * 1-5", "2026-11-20 09:30:00", "2026-11-23 09:30:00"),
        ("0 0 0 * * SUN", "2026-11-20 00:00:00", "2026-11-22 00:00:00"),
        ("0 0 0 * * 7", "2026-11-20 00:00:00", "2026-11-22 00:00:00"),
        ("0 0 12 1 Jan,Jul *", "2026-11-20 00:00:00", "2027-01-01 12:00:00"),
        ("0 0 0 29 2 *", "2026-11-20 00:00:00", "2028-02-29 00:00:00"),
        ("0 0 0 29 2 *", "2096-03-01 00:00:00", "2104-02-29 00:00:00"),
        ("0 0 0 13 * 5", "2026-11-20 00:00:00", "2027-08-13 00:00:00"),
        ("30 10/20 * * * *", "2026-11-20 14:00:00", "2026-11-20 14:10:30"),
        ("00:15:00", "2026-11-20 14:03:10", "2026-11-20 14:18:10"),
        ("1.00:00:00", "2026-11-20 14:03:10", "2026-11-21 14:03:10"),
    ],
)
def test_a_schedule_comes_due(schedule: str, after: str, due: str):
    assert parse_schedule(schedule).next(at(after)) == at(due)


@pytest.mark.parametrize(
    "schedule",
    ["", "* * *", "60 * * * * *", "* * 24 * * *", "0 0 0 0 * *", "a * * * * *", "5-1 * * * * *", "*/0 * * * * *",
     "* * * * 13 *", "00:00:00", "1:2", "-1 * * * * *", "1,,2 * * * * *"],
)  # fmt: skip
def test_a_schedule_that_cannot_be_read_is_refused(schedule: str):
    with pytest.raises(BadConfiguration):
        parse_schedule(schedule)


def test_a_schedule_that_never_comes_due_says_so():
    with pytest.raises(BadConfiguration, match="never"):
        parse_schedule("0 0 0 30 2 *").next(at("2026-11-20 00:00:00"))


def field(chance: random.Random, low: int, high: int) -> str:
    first = chance.randint(low, high)
    last = chance.randint(first, high)
    step = chance.randint(1, 7)
    return chance.choice(
        ["*", "*", f"*/{step}", str(first), f"{first}-{last}", f"{first}-{last}/{step}", f"{first},{last}"]
    )


def brute_force(schedule: Ncrontab, after: datetime, limit: timedelta) -> datetime | None:
    """Return what `next` should, by trying every second."""
    moment = after.replace(microsecond=0) + timedelta(seconds=1)
    while moment <= after + limit:
        if (
            moment.second in schedule.seconds
            and moment.minute in schedule.minutes
            and moment.hour in schedule.hours
            and moment.day in schedule.days
            and moment.month in schedule.months
            and moment.isoweekday() % 7 in schedule.weekdays
        ):
            return moment
        moment += timedelta(seconds=1)
    return None


@pytest.mark.parametrize("seed", range(60))
def test_the_next_occurrence_is_the_one_that_trying_every_second_finds(seed: int):
    chance = random.Random(seed)
    days = chance.choice(["* * *", f"{field(chance, 1, 28)} * *", f"* * {field(chance, 0, 6)}"])
    text = f"{field(chance, 0, 59)} {field(chance, 0, 59)} {chance.choice(['*', '*', field(chance, 0, 23)])} {days}"
    after = at("2026-02-27 00:00:00") + timedelta(milliseconds=chance.randint(0, 3 * 86_400_000))
    schedule = parse_schedule(text)
    assert isinstance(schedule, Ncrontab)

    due = schedule.next(after)

    horizon = timedelta(hours=4)
    expected = brute_force(schedule, after, horizon)
    if expected is None:
        assert due > after + horizon, text
    else:
        assert due == expected, text


def test_occurrences_follow_each_other_without_drift():
    schedule = parse_schedule("0 * * * * *")
    moment = at("2026-11-20 14:00:00")

    for minute in range(1, 200):
        moment = schedule.next(moment)
        assert moment == at("2026-11-20 14:00:00") + timedelta(minutes=minute)
