from typing import Any
from uuid import UUID

from pydantic import Field

from shared.kit.fields import Moment, Output
from shared.kit.pages import PageQuery


class AuditActor(Output):
    """Who made a change, as they were called then."""

    id: UUID | None
    name: str | None
    email: str | None


class AuditEntryOut(Output):
    """One changed field."""

    id: UUID
    at: Moment
    actor: AuditActor
    entity_type: str
    entity_id: str
    field: str
    old_value: Any = Field(description="What it was; null where there was nothing.")
    new_value: Any = Field(description="What it became.")
    request_id: str


class AuditQuery(PageQuery):
    """Which entries to list."""

    entity_type: str | None = Field(None, max_length=40)
    entity_id: str | None = Field(None, max_length=254)
    field: str | None = Field(None, max_length=60)
    actor_id: UUID | None = None


class BrokenLink(Output):
    """The first entry that does not fit what stands before it."""

    seq: int
    id: UUID | None
    reason: str


class ChainReport(Output):
    """Whether an event's trail is whole."""

    valid: bool
    entries: int
    first_broken: BrokenLink | None
    head: str = Field(description="SHA-256 of the last entry, to be kept elsewhere by whoever wants to be sure.")
