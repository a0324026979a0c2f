from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.kit.db.base import Base


class AuditEntry(Base):
    """One changed field: who, when, what it was and what it became. Triggers refuse to change or remove it.

    Each entry's hash covers the hash before it, so an event's entries form a chain in which tampering shows.
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
    """The end of an event's chain; whoever adds to the chain locks it, and a chain cut short does not match it."""

    __tablename__ = "audit_heads"
    __table_args__ = (CheckConstraint("length(hash) = 32", name="sha256"),)

    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"), primary_key=True)
    seq: Mapped[int]
    hash: Mapped[bytes]
