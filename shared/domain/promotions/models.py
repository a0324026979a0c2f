from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shared.kit.db.base import Base


class PromoCode(Base):
    """A code that takes something off an order; `PromoCodeStock` counts separately how often it was used."""

    __tablename__ = "promo_codes"
    __table_args__ = (
        UniqueConstraint("event_id", "code"),
        CheckConstraint("code ~ '^[A-Z0-9]{4,20}$'", name="code"),
        CheckConstraint(
            "CASE discount_type WHEN 'percentage' THEN discount_value BETWEEN 100 AND 10000"
            " WHEN 'fixed_amount' THEN discount_value BETWEEN 100 AND 1000000 ELSE false END",
            name="discount",
        ),
        CheckConstraint("max_uses_per_customer BETWEEN 1 AND 100", name="max_uses_per_customer"),
        CheckConstraint("min_order_cents >= 0", name="min_order"),
        CheckConstraint("expires_at > starts_at", name="window"),
    )

    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    code: Mapped[str]
    discount_type: Mapped[str]
    discount_value: Mapped[int]  # hundredths of a percent, or minor units
    max_uses_per_customer: Mapped[int | None]
    starts_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    min_order_cents: Mapped[int | None]
    is_active: Mapped[bool]
    created_by: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int]


class PromoCodePackage(Base):
    """A package that a code is limited to; a code without any is valid for all packages."""

    __tablename__ = "promo_code_packages"
    __table_args__ = (
        ForeignKeyConstraint(
            ["event_id", "promo_code_id"], ["promo_codes.event_id", "promo_codes.id"], ondelete="CASCADE"
        ),
        # No cascade: a code that lost the last package that it is limited to would be valid for all packages.
        ForeignKeyConstraint(["event_id", "package_id"], ["ticket_packages.event_id", "ticket_packages.id"]),
    )

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    promo_code_id: Mapped[UUID] = mapped_column(primary_key=True)
    package_id: Mapped[UUID] = mapped_column(primary_key=True)


class PromoCodeStock(Base):
    """How often a code was used: a small, busy row that only guarded updates change. `terms` is as in `Stock`."""

    __tablename__ = "promo_code_stock"
    __table_args__ = (
        ForeignKeyConstraint(
            ["event_id", "promo_code_id"], ["promo_codes.event_id", "promo_codes.id"], ondelete="CASCADE"
        ),
        CheckConstraint("uses >= 0 AND (max_uses IS NULL OR uses <= max_uses)", name="never_over_redeemed"),
        CheckConstraint("max_uses BETWEEN 1 AND 10000", name="max_uses"),
        {"postgresql_with": {"fillfactor": 40}},
    )

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    promo_code_id: Mapped[UUID] = mapped_column(primary_key=True)
    max_uses: Mapped[int | None]
    uses: Mapped[int]
    terms: Mapped[int]


class PromoCodeCustomer(Base):
    """How often one customer used a code; `customer` is what `redeeming.customer_of` returns."""

    __tablename__ = "promo_code_customers"
    __table_args__ = (
        ForeignKeyConstraint(["event_id", "promo_code_id"], ["promo_codes.event_id", "promo_codes.id"]),
        CheckConstraint("uses >= 0", name="uses"),
    )

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    promo_code_id: Mapped[UUID] = mapped_column(primary_key=True)
    customer: Mapped[str] = mapped_column(primary_key=True)
    uses: Mapped[int]


class PromoCodeUse(Base):
    """The use of a code by an order, and what it took off."""

    __tablename__ = "promo_code_uses"
    __table_args__ = (
        ForeignKeyConstraint(["event_id", "promo_code_id"], ["promo_codes.event_id", "promo_codes.id"]),
        ForeignKeyConstraint(["event_id", "order_id"], ["orders.event_id", "orders.id"]),
        CheckConstraint("discount_cents >= 0", name="discount"),
        Index("ix_promo_code_uses_event_id_promo_code_id", "event_id", "promo_code_id", "created_at"),
    )

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID] = mapped_column(primary_key=True)
    promo_code_id: Mapped[UUID]
    customer: Mapped[str]
    discount_cents: Mapped[int]
    created_at: Mapped[datetime]
    returned_at: Mapped[datetime | None]  # when the use was given back, so it no longer counts
