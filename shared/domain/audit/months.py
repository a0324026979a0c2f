"""Calendar months in UTC, written `2027-04`, so that their texts sort in the order of time. Pure."""

import re
from datetime import UTC, datetime, timedelta

CLOSES_AFTER = timedelta(days=1)
"""How long after its end a month stays open, so that every request that began in it has ended for sure."""

KEPT_YEARS = 7
"""How long entries stay in the database; a trigger enforces the same."""

_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")


def is_month(text: str) -> bool:
    """Whether a text is a month."""
    return _MONTH.fullmatch(text) is not None


def month_of(at: datetime) -> str:
    """Return the month in which a moment lies."""
    return f"{at.astimezone(UTC):%Y-%m}"


def start_of(month: str) -> datetime:
    """Return the first moment of a month."""
    return datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)


def month_after(month: str) -> str:
    """Return the month that follows."""
    return month_of(start_of(month) + timedelta(days=31))


def open_since(now: datetime) -> datetime:
    """Return the start of the first open month; every month that ends then or earlier is closed."""
    return start_of(month_of(now - CLOSES_AFTER))


def kept_from(now: datetime) -> str:
    """Return the first month that may hold entries younger than seven years; earlier months may be pruned."""
    return month_of(now.replace(year=now.year - KEPT_YEARS, day=1))
