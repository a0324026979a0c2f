from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.kit.db.base import Base
from shared.kit.outbox.kinds import NAME


class OutboxMessage(Base):
    """Work to do outside the database, written in the transaction of its cause.

    `published_at`: when it was put on its queue. `leased_until`: until when a worker has it to itself. `done_at`: when
    it was done.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        # The table does not list the kinds, because a newer version of the app may write a new kind.
        CheckConstraint(f"kind ~ '{NAME}'", name="kind"),
        # This index stays small for any event, because it holds only waiting messages.
        Index("ix_outbox_waiting", text("published_at NULLS FIRST"), postgresql_where=text("done_at IS NULL")),
    )

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    payload: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    published_at: Mapped[datetime | None]
    done_at: Mapped[datetime | None]
    leased_until: Mapped[datetime | None]
    attempts: Mapped[int]
    last_error: Mapped[str | None]
