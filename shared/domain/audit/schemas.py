from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from shared.kit.fields import Moment, Output
from shared.kit.pages import PageQuery


class AuditActor(Output):
    """Who made a change, with the name and address that they had then."""

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
    old_value: Any = Field(description="The old value; null where there was none.")
    new_value: Any = Field(description="The new value.")
    request_id: str


class AuditQuery(PageQuery):
    """Which entries to list."""

    entity_type: str | None = Field(None, max_length=40)
    entity_id: str | None = Field(None, max_length=254)
    field: str | None = Field(None, max_length=60)
    actor_id: UUID | None = None


class BrokenLink(Output):
    """The first entry that does not fit the entries before it."""

    seq: int
    id: UUID | None
    reason: str


class ChainReport(Output):
    """Whether an event's trail is whole."""

    valid: bool
    entries: int = Field(description="How many entries were verified.")
    archived: int = Field(description="How many entries are in the archive of closed months, including pruned ones.")
    pruned: int = Field(description="How many entries, all older than seven years, are in the archive alone.")
    first_broken: BrokenLink | None
    head: str = Field(description="SHA-256 of the last entry. Keep a copy elsewhere if you want your own proof.")


class ArchiveManifest(Output):
    """The content of an archive's manifest; hashes are SHA-256 in hexadecimal."""

    format: Literal["boxoffice-audit/1"] = "boxoffice-audit/1"
    event_id: UUID
    month: str
    first_seq: int
    last_seq: int
    rows: int
    bytes: int
    sha256: str
    previous_hash: str
    last_hash: str
    written_at: Moment


class AuditArchiveOut(Output):
    """One month of the trail in the archive; hashes are SHA-256 in hexadecimal."""

    month: str = Field(examples=["2027-04"], description="The calendar month, in UTC.")
    first_seq: int
    last_seq: int
    rows: int
    bytes: int
    sha256: str = Field(description="The hash of the file.")
    previous_hash: str = Field(description="The hash before the first entry: `last_hash` of the archive before.")
    last_hash: str = Field(description="The hash of the last entry.")
    written_at: Moment
    proven_at: Moment = Field(description="When the file was last read back, and every hash in it computed again.")
    pruned_at: Moment | None = Field(description="When the entries of this month were removed from the database.")


class ArchiveReport(Output):
    """Whether an archive still holds what was written; `fault` says what is wrong."""

    month: str
    rows: int
    fault: str | None
