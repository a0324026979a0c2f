from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.kit.db.base import Base


class Payment(Base):
    """An attempt to pay an order at a provider. Facts about it only add up: a payment that has succeeded stays so."""

    __tablename__ = "payments"
    __table_args__ = (
        ForeignKeyConstraint(["event_id", "order_id"], ["orders.event_id", "orders.id"]),
        UniqueConstraint("event_id", "provider", "reference"),
        CheckConstraint(
            "status IN ('created', 'requires_action', 'processing', 'failed', 'cancelled', 'succeeded')", name="status"
        ),
        CheckConstraint("amount_cents > 0 AND refunded_cents >= 0", name="amounts"),
        Index("ix_payments_event_id_order_id", "event_id", "order_id"),
        Index("ix_payments_reference", "reference"),  # a provider's message names no event
        Index("ix_payments_disputed", "event_id", postgresql_where=text("disputed_at IS NOT NULL")),
    )

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID]
    provider: Mapped[str]
    reference: Mapped[str]
    status: Mapped[str]
    amount_cents: Mapped[int]
    currency: Mapped[str]
    refunded_cents: Mapped[int]  # all refunds together, as the provider says
    failure: Mapped[str | None]  # the provider's stable code for why it failed
    is_mismatch: Mapped[bool]  # not the order's amount and currency: it pays nothing, and people have to look at it
    disputed_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class ProviderMessage(Base):
    """A provider's message (webhook), stored once by the provider's own id, in the transaction of its effect."""

    __tablename__ = "provider_messages"

    provider: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    reference: Mapped[str | None] = mapped_column(index=True)  # the payment that it is about, if we understand it
    payload: Mapped[dict[str, Any]]
    outcome: Mapped[str]
    received_at: Mapped[datetime] = mapped_column(index=True)


class Refund(Base):
    """Money that goes back: decided and booked in one transaction; then the provider is asked until it agrees."""

    __tablename__ = "refunds"
    __table_args__ = (
        ForeignKeyConstraint(["event_id", "order_id"], ["orders.event_id", "orders.id"]),
        ForeignKeyConstraint(["event_id", "payment_id"], ["payments.event_id", "payments.id"]),
        UniqueConstraint("event_id", "payment_id", "provider_reference"),
        CheckConstraint("status IN ('pending', 'succeeded', 'failed')", name="status"),
        CheckConstraint("amount_cents > 0", name="amount"),
        Index("ix_refunds_event_id_order_id", "event_id", "order_id"),
        Index("ix_refunds_pending", "created_at", postgresql_where=text("status <> 'succeeded'")),
    )

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID]
    payment_id: Mapped[UUID | None]  # None if the money was returned by hand: cash, cheque
    amount_cents: Mapped[int]
    reason: Mapped[str]
    status: Mapped[str]
    provider_reference: Mapped[str | None]
    last_error: Mapped[str | None]
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
