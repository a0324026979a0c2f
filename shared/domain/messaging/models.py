from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.kit.db.base import Base


class OutboxMessage(Base):
    """Something to be done outside the database, written in the transaction of its cause.

    It is put on its queue after the commit (`published_at`), and struck off once it has been done (`done_at`).
    """

    __tablename__ = "outbox"
    __table_args__ = (
        CheckConstraint("kind IN ('order_confirmation')", name="kind"),
        # Small however old the event is: only what still waits is in it.
        Index("ix_outbox_waiting", "created_at", postgresql_where=text("published_at IS NULL")),
    )

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    payload: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    published_at: Mapped[datetime | None]
    done_at: Mapped[datetime | None]
    attempts: Mapped[int]
    last_error: Mapped[str | None]
