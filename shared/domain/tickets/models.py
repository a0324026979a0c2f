from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shared.kit.db.base import Base

FIRST_REVISION = 1


class Ticket(Base):
    """One admission that was bought; it is `reserved`, and shown to nobody, until its order is paid.

    The QR code is not stored: it is signed again, from the id and the revision, whenever it is shown.
    """

    __tablename__ = "tickets"
    __table_args__ = (
        ForeignKeyConstraint(["event_id", "order_item_id"], ["order_items.event_id", "order_items.id"]),
        UniqueConstraint("event_id", "number"),
        CheckConstraint("status IN ('reserved', 'valid', 'used', 'void', 'transferred')", name="status"),
        CheckConstraint("code_revision BETWEEN 1 AND 65535", name="code_revision"),
        Index("ix_tickets_event_id_order_item_id", "event_id", "order_item_id"),
    )

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_item_id: Mapped[UUID]
    number: Mapped[str]
    status: Mapped[str]
    holder_name: Mapped[str | None]
    holder_email: Mapped[str | None]
    code_revision: Mapped[int]
    created_at: Mapped[datetime]
