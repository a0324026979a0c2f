from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shared.kit.db.base import Base


class User(Base):
    """Somebody who has signed in at least once, with the address and name that the issuer's last token gave."""

    __tablename__ = "users"
    __table_args__ = (
        UniqueConstraint("issuer", "subject"),
        CheckConstraint("length(subject) BETWEEN 1 AND 255", name="subject_length"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    issuer: Mapped[str]
    subject: Mapped[str]
    email: Mapped[str | None]
    name: Mapped[str | None]
    is_super_admin: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]


class Member(Base):
    """A role in one event. It is given to an address, and bound to the first user who opens the event with it."""

    __tablename__ = "event_members"
    __table_args__ = (
        UniqueConstraint("event_id", "email"),
        UniqueConstraint("event_id", "user_id"),
        CheckConstraint("role IN ('coordinator', 'staff')", name="role"),
        CheckConstraint("email = lower(email)", name="email_lower"),
        Index("ix_event_members_user_id_role", "user_id", "role"),
        Index("ix_event_members_email", "email"),
    )

    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id", ondelete="CASCADE"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str]
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    role: Mapped[str]
    created_at: Mapped[datetime]
