from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.kit.db.base import Base


class Order(Base):
    """An order: who buys what, and for how much. The amounts are fixed when the order is placed."""

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("event_id", "number"),
        CheckConstraint(
            "status IN ('pending', 'paid', 'failed', 'expired', 'cancelled', 'partially_refunded', 'refunded')",
            name="status",
        ),
        CheckConstraint("total_cents = subtotal_cents - discount_cents + fee_cents + tax_cents", name="total_adds_up"),
        CheckConstraint(
            "subtotal_cents >= 0 AND discount_cents BETWEEN 0 AND subtotal_cents AND fee_cents >= 0 AND tax_cents >= 0",
            name="amounts",
        ),
        CheckConstraint("refunded_cents BETWEEN 0 AND total_cents", name="refunded"),
        CheckConstraint("length(access_token_hash) = 32", name="access_token_sha256"),
        CheckConstraint("(status = 'pending') = (expires_at IS NOT NULL)", name="pending_expires"),
        CheckConstraint("channel IN ('online', 'box_office')", name="channel"),
        CheckConstraint("included_fee_cents >= 0 AND included_tax_cents >= 0", name="included"),
        Index("ix_orders_id", "id"),  # the buyer's link names no event
        Index("ix_orders_event_id_created_at", "event_id", "created_at"),
        Index("ix_orders_event_id_customer", "event_id", "customer"),
        # It stays small however old the event is: it holds only the orders that still wait for their payment.
        Index("ix_orders_pending", "event_id", "expires_at", postgresql_where=text("status = 'pending'")),
        # The indexes of the team's search (decision 19); ids are in the order of placing.
        Index(
            "ix_orders_search",
            text("(' ' || customer_name || ' ' || customer_email || ' ' || right(number, 6)) gin_trgm_ops"),
            postgresql_using="gin",
            postgresql_with={"fastupdate": "on", "gin_pending_list_limit": "16384"},
        ),
        Index("ix_orders_event_id_status_id", "event_id", "status", "id"),
        Index("ix_orders_event_id_total_cents_id", "event_id", "total_cents", "id"),
        Index("ix_orders_event_id_name_id", "event_id", text("lower(customer_name)"), "id"),
        Index("ix_orders_promo_code", "event_id", "promo_code", "id", postgresql_where=text("promo_code IS NOT NULL")),
        Index("ix_orders_event_id_payment_method_id", "event_id", "payment_method", "id"),
        Index("ix_orders_box_office", "event_id", "id", postgresql_where=text("channel = 'box_office'")),
    )

    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"), primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[str]
    status: Mapped[str]
    channel: Mapped[str] = mapped_column(server_default="online")
    customer: Mapped[str]  # who counts as one customer: the signed-in user, else a keyed hash of the mailbox
    customer_user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    customer_name: Mapped[str]
    customer_email: Mapped[str]
    customer_phone: Mapped[str | None]
    currency: Mapped[str]
    subtotal_cents: Mapped[int]
    discount_cents: Mapped[int]
    promo_code: Mapped[str | None]
    fee_cents: Mapped[int]
    tax_cents: Mapped[int]
    included_fee_cents: Mapped[int] = mapped_column(server_default="0")  # parts of the prices, not added to them
    included_tax_cents: Mapped[int] = mapped_column(server_default="0")
    total_cents: Mapped[int]
    refunded_cents: Mapped[int]
    payment_method: Mapped[str]
    payment_reference: Mapped[str | None]
    access_token_hash: Mapped[bytes]
    expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    paid_at: Mapped[datetime | None]
    placed_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))  # the seller at the box office
    ended_at: Mapped[datetime | None]  # when it was last cancelled, expired or failed
    erased_at: Mapped[datetime | None]  # since then, placeholders replace the buyer's personal data


class OrderNote(Base):
    """A note that a member of the team wrote about an order."""

    __tablename__ = "order_notes"
    __table_args__ = (
        ForeignKeyConstraint(["event_id", "order_id"], ["orders.event_id", "orders.id"]),
        CheckConstraint("length(text) BETWEEN 1 AND 1000", name="text"),
        Index("ix_order_notes_event_id_order_id", "event_id", "order_id"),
    )

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID]
    text: Mapped[str]
    author_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]


class OrderWord(Base):
    """A word of a buyer's name or address in the event's orders; misspelt searches are corrected to such words.

    A timer learns the words after the orders are placed. They are only hints: a word that is in no order any more finds
    no order.
    """

    __tablename__ = "order_words"

    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"), primary_key=True)
    word: Mapped[str] = mapped_column(Text(collation="C"), primary_key=True)


class OrderWordsLearnt(Base):
    """The last order of an event whose words have been learnt."""

    __tablename__ = "order_words_learnt"

    event_id: Mapped[UUID] = mapped_column(ForeignKey("events.id"), primary_key=True)
    until: Mapped[UUID]


class OptionAnswer(Base):
    """A buyer's answer to an option, for an order line or one of its tickets. A skipped option has a null answer."""

    __tablename__ = "option_answers"
    __table_args__ = (
        ForeignKeyConstraint(["event_id", "order_item_id"], ["order_items.event_id", "order_items.id"]),
        ForeignKeyConstraint(["event_id", "option_id"], ["custom_options.event_id", "custom_options.id"]),
        ForeignKeyConstraint(["event_id", "ticket_id"], ["tickets.event_id", "tickets.id"]),
        Index(
            "uq_option_answers_once",
            "event_id",
            "order_item_id",
            "option_id",
            "ticket_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
    )

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_item_id: Mapped[UUID]
    option_id: Mapped[UUID]
    ticket_id: Mapped[UUID | None]
    position: Mapped[int]
    label: Mapped[str]
    value: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))


class OrderItem(Base):
    """A line of an order: a quantity of one thing (a package, for example) at the price when it was bought.

    `kind` says what the line sells (`orders/lines/kinds.py`); each kind has a column that refers to what is sold.
    `seats_per_package` is how many tickets one unit brings; it is 0 for things that admit nobody.
    """

    __tablename__ = "order_items"
    __table_args__ = (
        ForeignKeyConstraint(["event_id", "order_id"], ["orders.event_id", "orders.id"]),
        ForeignKeyConstraint(["event_id", "package_id"], ["ticket_packages.event_id", "ticket_packages.id"]),
        CheckConstraint("kind ~ '^[a-z][a-z_]*$'", name="kind"),
        CheckConstraint("(kind = 'package') = (package_id IS NOT NULL)", name="sells_a_package"),
        CheckConstraint(
            "quantity > 0 AND seats_per_package >= 0 AND (kind <> 'package' OR seats_per_package > 0)", name="quantity"
        ),
        CheckConstraint("unit_price_cents >= 0 AND discount_cents >= 0 AND total_cents >= 0", name="amounts"),
        CheckConstraint("total_cents = quantity * unit_price_cents - discount_cents", name="total_adds_up"),
        CheckConstraint(
            "fee_cents >= 0 AND tax_cents >= 0 AND included_fee_cents >= 0 AND included_tax_cents >= 0", name="charges"
        ),
        CheckConstraint("returned BETWEEN 0 AND quantity", name="returned"),
        Index("ix_order_items_event_id_order_id", "event_id", "order_id"),
        Index("ix_order_items_event_id_package_id_order_id", "event_id", "package_id", "order_id"),
    )

    event_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    order_id: Mapped[UUID]
    position: Mapped[int]
    kind: Mapped[str]
    package_id: Mapped[UUID | None]
    description: Mapped[str]
    quantity: Mapped[int]
    seats_per_package: Mapped[int]
    unit_price_cents: Mapped[int]
    discount_cents: Mapped[int]
    total_cents: Mapped[int]
    fee_cents: Mapped[int] = mapped_column(server_default="0")
    tax_cents: Mapped[int] = mapped_column(server_default="0")
    included_fee_cents: Mapped[int] = mapped_column(server_default="0")
    included_tax_cents: Mapped[int] = mapped_column(server_default="0")
    fair_market_value_cents: Mapped[int | None]  # of one package, at the time of purchase
    returned: Mapped[int] = mapped_column(server_default="0")  # units whose stock was given back by refunds
