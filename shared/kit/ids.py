"""Identifiers and random words."""

import secrets
import time
from datetime import UTC, datetime
from uuid import UUID

# Digits and capitals that nobody confuses on paper or on the telephone: no 0 or O, no 1, I or L, no U (because of V).
UNAMBIGUOUS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_id() -> UUID:
    """Return a UUIDv7 (RFC 9562 §5.7): ids made later sort later, so inserts stay at one end of an index."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76
    random = secrets.randbits(74)
    value |= random >> 62 << 64 | 0b10 << 62 | random & 0x3FFF_FFFF_FFFF_FFFF
    return UUID(int=value)


def made_at(id_: UUID) -> datetime:
    """Return the time at which one of our ids was made, to the millisecond."""
    return datetime.fromtimestamp((id_.int >> 80) / 1000, UTC)


def least_id_at(moment: datetime) -> UUID:
    """Return the smallest UUIDv7 of a moment: ids made earlier sort before it."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def random_word(length: int) -> str:
    """Return `length` random unambiguous letters and digits, from the operating system's secure source."""
    number, base = secrets.randbelow(len(UNAMBIGUOUS) ** length), len(UNAMBIGUOUS)
    return "".join(UNAMBIGUOUS[number // base**place % base] for place in range(length))
