"""How an entry is hashed (R-AUDIT-1). Pure."""

import hashlib
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import orjson

GENESIS = bytes(32)
"""What stands before an event's first entry."""


class Entity(StrEnum):
    """What is audited."""

    EVENT = "event"
    MEMBER = "member"
    OPTION = "custom_option"
    ORDER = "order"
    PACKAGE = "ticket_package"
    PRIVACY = "privacy"
    PROMO_CODE = "promo_code"
    REPORT_SCHEDULE = "report_schedule"


def plain(value: object) -> Any:
    """Return a value as JSON has it, and as it comes back from the database."""
    return orjson.loads(orjson.dumps(value, default=str))


def entry_hash(previous: bytes, *, event_id: UUID, seq: int, at: datetime, facts: dict[str, Any]) -> bytes:
    """Return the SHA-256 of an entry: the hash before it, its place, its time and all that it says.

    The text is JSON with sorted keys, so that anybody can compute it again from an export.
    """
    text = orjson.dumps(
        {"event_id": str(event_id), "seq": seq, "at": at.astimezone(UTC).isoformat(), **facts},
        option=orjson.OPT_SORT_KEYS,
    )
    return hashlib.sha256(previous + text).digest()
