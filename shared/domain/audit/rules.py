"""How an entry is hashed (R-AUDIT-1). Pure."""

import hashlib
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import orjson

GENESIS = bytes(32)
"""The previous hash of an event's first entry."""


class Entity(StrEnum):
    """The kinds of things whose changes are audited."""

    EVENT = "event"
    MEMBER = "member"
    OPTION = "custom_option"
    ORDER = "order"
    PACKAGE = "ticket_package"
    PRIVACY = "privacy"
    PROMO_CODE = "promo_code"
    REPORT_SCHEDULE = "report_schedule"


def plain(value: object) -> Any:
    """Return a value as JSON represents it, which is how it comes back from the database."""
    return orjson.loads(orjson.dumps(value, default=str))


def entry_hash(previous: bytes, *, event_id: UUID, seq: int, at: datetime, facts: dict[str, Any]) -> bytes:
    """Return the SHA-256 of an entry; it covers the hash before it, its place, its time and everything that it says.

    The text is JSON with sorted keys, so that anybody can compute it again from an export.
    """
    text = orjson.dumps(
        {"event_id": str(event_id), "seq": seq, "at": at.astimezone(UTC).isoformat(), **facts},
        option=orjson.OPT_SORT_KEYS,
    )
    return hashlib.sha256(previous + text).digest()
