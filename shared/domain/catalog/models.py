from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY, ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from shared.kit.db.base import Base


def _one_a_place(*columns: str) -> ExcludeConstraint:
    """Refuse two rows in one place. It is checked at the end of a statement, so that one statement can swap places.

    It is not a unique constraint, because its columns would count as a key: moving a row would then wait for all
    orders that refer to the row, and would block further orders.
    """
    equal = [(column, "=") for column in columns]
    return ExcludeConstraint(*equal, using="btree", deferrable=True, initially="IMMEDIATE")


class Event(Base):
    """An event that tickets are sold for."""

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("slug"),
        CheckConstraint("status IN ('draft', 'published', 'cancelled')", name="status"),
        CheckConstraint("ends_at > starts_at", name="ends_after_start"),
        CheckConstraint("length(title) BETWEEN 1 AND 200", name="title_length"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
        CheckConstraint("capacity > 0", name="capacity"),
        CheckConstraint("max_tickets_per_customer > 0", name="max_tickets_per_customer"),
        CheckConstraint(
            "tax_percent BETWEEN 0 AND 100 AND fee_percent BETWEEN 0 AND 100 AND fee_cents BETWEEN 0 AND 100000000",
            name="charges",
        ),
        CheckConstraint("order_expiry_minutes BETWEEN 1 AND 1440", name="order_expiry"),
        Index("ix_events_status_starts_at", "status", "starts_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    title: Mapped[str]
    slug: Mapped[str]
    description: Mapped[str | None]
    status: Mapped[str]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    timezone: Mapped[str]
    currency: Mapped[str]
    capacity: Mapped[int | None]
    lock_price_after_sales: Mapped[bool] = mapped_column(default=False)
    max_tickets_per_customer: Mapped[int | None]
    tax_percent: Mapped[Decimal] = mapped_column(server_default="0")
    tax_included: Mapped[bool] = mapped_column(server_default="false")
    fee_percent: Mapped[Decimal] = mapped_column(server_default="0")
    fee_cents: Mapped[int] = mapped_column(server_default="0")  # for each package sold
    fee_included: Mapped[bool] = mapped_column(server_default="false")
    order_expiry_minutes: Mapped[int] = mapped_column(server_default="15")
    return_promo_uses: Mapped[bool] = mapped_column(server_default="true")
    created_by: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int]


class TicketPackage(Base):
    """What coordinators edit of a package. Its stock, in a table of its own, says how many are sold."""

    __tablename__ = "ticket_packages"
    __table_args__ = (
        # From package to stock, so that no package is without its stock; checked at the commit, when both are written.
        ForeignKeyConstraint(["event_id", "id"], ["stock.event_id", "stock.id"], deferrable=True, initially="DEFERRED"),
        _one_a_place("event_id", "display_order"),
        CheckConstraint("length(name) BETWEEN 1 AND 100", name="name_length"),
        CheckConstraint("length(description) BETWEEN 1 AND 1000", name="description_length"),
        CheckConstraint("price_cents BETWEEN 0 AND 100000000", name="price"),
        CheckConstraint("seats_per_package BETWEEN 1 AND 100", name="seats"),
        CheckConstraint("display_order >= 0", name="display_order"),
        CheckConstraint("min_per_order >= 1", name="min_per_order"),
        CheckConstraint("max_per_order >= min_per_order", name="max_per_order"),
        CheckConstraint("sale_ends_at > sale_starts_at", name="sale_window"),
        CheckConstraint("fair_market_value_cents >= 0", name="fair_market_value"),
        CheckConstraint(
            "tax_percent BETWEEN 0 AND 100 AND fee_percent BETWEEN 0 AND 100 AND fee_cents BETWEEN 0 AND 100000000",
            name="charges",
        ),
        CheckConstraint("options_per IN ('item', 'ticket')", name="options_per"),
        CheckConstraint("(display_image IS NULL) = (thumbnail_image IS NULL)", name="both_images"),
    )

    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    description: Mapped[str]
    price_cents: Mapped[int]
    seats_per_package: Mapped[int]
    display_order: Mapped[int]
    is_enabled: Mapped[bool]
    is_sponsorship: Mapped[bool]
    min_per_order: Mapped[int]
    max_per_order: Mapped[int | None]
    sale_starts_at: Mapped[datetime | None]
    sale_ends_at: Mapped[datetime | None]
    is_transferable: Mapped[bool]
    options_per: Mapped[str] = mapped_column(server_default="item")
    fair_market_value_cents: Mapped[int | None]
    tax_percent: Mapped[Decimal | None]  # None: the event's value applies
    fee_percent: Mapped[Decimal | None]
    fee_cents: Mapped[int | None]
    image_upload_id: Mapped[UUID | None]  # the upload to show; older uploads no longer count
    display_image: Mapped[str | None]  # blob names in the public container
    thumbnail_image: Mapped[str | None]
    created_by: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    version: Mapped[int]


class CustomOption(Base):
    """A question that buyers of a package answer (R-OPT). An option with answers is retired, never deleted."""

    __tablename__ = "custom_options"
    __table_args__ = (
        ForeignKeyConstraint(
            ["event_id", "package_id"], ["ticket_packages.event_id", "ticket_packages.id"], ondelete="CASCADE"
        ),
        _one_a_place("event_id", "package_id", "display_order"),
        CheckConstraint("length(label) BETWEEN 1 AND 100", name="label_length"),
        CheckConstraint("option_type IN ('boolean', 'multi_select', 'text_input')", name="option_type"),
        CheckConstraint(
            "CASE option_type WHEN 'multi_select'"
            " THEN cardinality(choices) BETWEEN 2 AND 10 AND max_choices BETWEEN 1 AND cardinality(choices)"
            " ELSE cardinality(choices) = 0 AND max_choices IS NULL END",
            name="choices",
        ),
        CheckConstraint("display_order >= 0", name="display_order"),
    )

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    package_id: Mapped[UUID]
    label: Mapped[str]
    option_type: Mapped[str]
    choices: Mapped[list[str]] = mapped_column(ARRAY(Text))
    max_choices: Mapped[int | None]
    is_required: Mapped[bool]
    is_active: Mapped[bool]
    display_order: Mapped[int]
    created_at: Mapped[datetime]
