from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.kit.db.base import Base


class Erasure(Base):
    """That personal data of an event was erased; not whose. Report files made before it have to go, too."""

    __tablename__ = "erasures"
    __table_args__ = (
        CheckConstraint("cause IN ('request', 'retention')", name="cause"),
        # Small however many there were: only those whose files are still to be dropped are in it.
        Index("ix_erasures_files", "erased_at", postgresql_where=text("files_dropped_at IS NULL")),
    )

    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    cause: Mapped[str]
    orders: Mapped[int]
    erased_at: Mapped[datetime]
    files_dropped_at: Mapped[datetime | None]
