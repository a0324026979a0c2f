"""Idempotency keys, stored in the transaction of their effect.

The key is inserted without being looked up first. A second request with the same key violates the primary key, whether
the first has committed or is still running; only then is the earlier answer looked up. So the common case costs no
extra statement.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from shared.kit.db.base import Base
from shared.kit.errors import InvalidInput


class IdempotencyKeyReused(InvalidInput):
    """This idempotency key was used with another request."""

    code = "idempotency_key_reused"


class IdempotencyKey(Base):
    """The fact that a request with this key has had its effect, and what it made or changed."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (CheckConstraint("length(key_hash) = 32 AND length(fingerprint) = 32", name="sha256"),)

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    key_hash: Mapped[bytes] = mapped_column(primary_key=True)
    fingerprint: Mapped[bytes]
    resource_id: Mapped[UUID]
    created_at: Mapped[datetime] = mapped_column(index=True)


INSERT_KEY = """
  INSERT INTO idempotency_keys (event_id, key_hash, fingerprint, resource_id, created_at)
  VALUES (%(key_event_id)s, %(key_hash)s, %(fingerprint)s, %(id)s, %(now)s)"""
"""A part of a statement that also writes the effect; `id` is the id of what the statement makes."""


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A request's key: its hash (scoped to the operation and the caller), and a hash of the request."""

    event_id: UUID
    key_hash: bytes
    fingerprint: bytes

    @classmethod
    def of(cls, *, event_id: UUID, operation: str, caller: str, key: str, request: bytes) -> "Idempotency":
        """Return the key of one request; the same text from another caller or for another operation is another key."""
        return cls(
            event_id=event_id,
            key_hash=hashlib.sha256(f"{operation}\0{caller}\0{key}".encode()).digest(),
            fingerprint=hashlib.sha256(request).digest(),
        )

    def find(self, session: Session) -> UUID | None:
        """Return what an earlier request with this key made; `IdempotencyKeyReused` if that request was different."""
        row = session.execute(
            select(IdempotencyKey.fingerprint, IdempotencyKey.resource_id).where(
                IdempotencyKey.event_id == self.event_id, IdempotencyKey.key_hash == self.key_hash
            )
        ).one_or_none()
        if row is None:
            return None
        if row.fingerprint != self.fingerprint:
            raise IdempotencyKeyReused(
                "This Idempotency-Key was used earlier with another body; use a new key for a new request."
            )
        made: UUID = row.resource_id
        return made

    def remember(self, session: Session, resource_id: UUID, *, now: datetime) -> None:
        """Store the key in the transaction of its effect; a second request fails here, or waits and then fails."""
        session.add(
            IdempotencyKey(
                event_id=self.event_id,
                key_hash=self.key_hash,
                fingerprint=self.fingerprint,
                resource_id=resource_id,
                created_at=now,
            )
        )
        session.flush()
