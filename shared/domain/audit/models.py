from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.kit.db.base import Base


class AuditEntry(Base):
    """One changed field: who changed it and when, its old value and its new value.

    Triggers refuse to change or remove an entry. Each entry's hash covers the hash before it, so an event's entries
    form a chain in which tampering shows.
    """

    __tablename__ = "audit_log"
    __table_args__ = (
        UniqueConstraint("event_id", "seq"),
        CheckConstraint("length(hash) = 32 AND length(previous_hash) = 32", name="sha256"),
        CheckConstraint("seq > 0", name="seq"),
        Index("ix_audit_log_event_id_entity_id_seq", "event_id", "entity_id", "seq"),
    )

    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    seq: Mapped[int]
    at: Mapped[datetime]
    actor_id: Mapped[UUID | None]
    actor_name: Mapped[str | None]
    actor_email: Mapped[str | None]
    entity_type: Mapped[str]
    entity_id: Mapped[str]
    field: Mapped[str]
    old_value: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    new_value: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    request_id: Mapped[str]
    previous_hash: Mapped[bytes]
    hash: Mapped[bytes]


class AuditHead(Base):
    """The two ends of an event's chain. Every transaction that adds to the chain locks this row.

    A chain that was cut short at its end or its start does not match this row. Where entries were pruned, the row says
    which entry the first remaining one must follow.
    """

    __tablename__ = "audit_heads"
    __table_args__ = (
        CheckConstraint("length(hash) = 32", name="sha256"),
        CheckConstraint(
            "pruned_seq BETWEEN 0 AND seq AND (pruned_seq = 0) = (pruned_hash IS NULL)"
            " AND coalesce(length(pruned_hash), 32) = 32",
            name="pruned",
        ),
    )

    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"), primary_key=True)
    seq: Mapped[int]
    hash: Mapped[bytes]
    pruned_seq: Mapped[int] = mapped_column(server_default=text("0"))
    pruned_hash: Mapped[bytes | None]


class AuditArchive(Base):
    """One month of an event's chain that was written to the archive, read back and proven.

    The row is written last, so it never names an archive that is not there. It says what the files must hold, and
    somebody who can change only the files can't change it.
    """

    __tablename__ = "audit_archives"
    __table_args__ = (
        UniqueConstraint("event_id", "first_seq"),
        UniqueConstraint("event_id", "last_seq"),
        CheckConstraint("month ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'", name="month"),
        CheckConstraint("first_seq > 0 AND last_seq >= first_seq", name="seq"),
        CheckConstraint("length(sha256) = 32 AND length(previous_hash) = 32 AND length(last_hash) = 32", name="sha256"),
    )

    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"), primary_key=True)
    month: Mapped[str] = mapped_column(primary_key=True)
    first_seq: Mapped[int]
    last_seq: Mapped[int]
    size_bytes: Mapped[int]
    sha256: Mapped[bytes]
    previous_hash: Mapped[bytes]
    last_hash: Mapped[bytes]
    written_at: Mapped[datetime]
    proven_at: Mapped[datetime]
    pruned_at: Mapped[datetime | None]
