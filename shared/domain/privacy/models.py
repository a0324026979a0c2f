from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.kit.db.base import Base


class Erasure(Base):
    """A note that personal data of an event was erased, but not whose. Older report files must then be removed, too."""

    __tablename__ = "erasures"
    __table_args__ = (
        CheckConstraint("cause IN ('request', 'retention')", name="cause"),
        # Always small: it holds only the erasures whose older report files must still be removed.
        Index("ix_erasures_files", "erased_at", postgresql_where=text("files_dropped_at IS NULL")),
    )

    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    cause: Mapped[str]
    orders: Mapped[int]
    erased_at: Mapped[datetime]
    files_dropped_at: Mapped[datetime | None]
