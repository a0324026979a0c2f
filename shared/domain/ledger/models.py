from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from shared.kit.db.base import Base


class LedgerEntry(Base):
    """A movement of money between two accounts: a debit and a credit of the same amount in one row.

    So the books always balance. Triggers refuse to change or remove an entry; a mistake is corrected by an entry in the
    opposite direction.
    """

    __tablename__ = "ledger"
    __table_args__ = (
        ForeignKeyConstraint(["event_id", "order_id"], ["orders.event_id", "orders.id"]),
        CheckConstraint("amount_cents > 0", name="amount"),
        CheckConstraint("debit <> credit", name="two_accounts"),
        CheckConstraint("kind IN ('sale', 'discount', 'fee', 'tax', 'charge', 'refund')", name="kind"),
        Index("ix_ledger_event_id_order_id", "event_id", "order_id"),
    )

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID]
    kind: Mapped[str]
    debit: Mapped[str]
    credit: Mapped[str]
    amount_cents: Mapped[int]
    currency: Mapped[str]
    cause: Mapped[UUID]  # the payment or the refund that it records; the order, if that was paid at once
    created_at: Mapped[datetime]


class Reconciliation(Base):
    """What the last check of an event's books has found, by kind; stored so that the metrics need no new check."""

    __tablename__ = "reconciliations"

    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"), primary_key=True)
    checked_at: Mapped[datetime]
    findings: Mapped[dict[str, Any]]
    stock_drift: Mapped[int]  # by how many units the stock is wrong, all packages together
