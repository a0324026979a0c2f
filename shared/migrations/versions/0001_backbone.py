"""The backbone: users, teams, events, packages and their stock, orders, tickets, outbox, idempotency keys."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Claims stock for an order, all or nothing: one guarded UPDATE a package, in id order so that two claims never wait for
# each other in a circle. A claim names the terms (price, window, …) it was computed under; where they have changed, or
# too little is left, it raises BX001 and so undoes the caller's transaction. The CHECK on the table stands behind it.
CLAIM_STOCK = """
CREATE FUNCTION claim_stock(the_event uuid, packages uuid[], quantities bigint[], known_terms bigint[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  claim record;
BEGIN
  FOR claim IN
    SELECT * FROM unnest(packages, quantities, known_terms) AS c(package_id, quantity, terms) ORDER BY c.package_id
  LOOP
    UPDATE package_stock AS stock
       SET sold = stock.sold + claim.quantity
     WHERE stock.event_id = the_event AND stock.package_id = claim.package_id AND stock.terms = claim.terms
       AND (stock.quantity_limit IS NULL OR stock.held + stock.sold + claim.quantity <= stock.quantity_limit);
    IF NOT FOUND THEN
      RAISE EXCEPTION 'package % is short, or its terms have changed', claim.package_id USING ERRCODE = 'BX001';
    END IF;
  END LOOP;
END
$$
"""


def upgrade() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("resource_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "length(key_hash) = 32 AND length(fingerprint) = 32", name=op.f("ck_idempotency_keys_sha256")
        ),
        sa.PrimaryKeyConstraint("event_id", "key_hash", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('order_confirmation')", name=op.f("ck_outbox_kind")),
        sa.PrimaryKeyConstraint("event_id", "id", name=op.f("pk_outbox")),
    )
    op.create_index(
        "ix_outbox_waiting",
        "outbox",
        [sa.text("published_at NULLS FIRST")],
        postgresql_where=sa.text("done_at IS NULL"),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("is_super_admin", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("length(subject) BETWEEN 1 AND 255", name=op.f("ck_users_subject_length")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_users_issuer_subject")),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("capacity", sa.BigInteger(), nullable=True),
        sa.Column("lock_price_after_sales", sa.Boolean(), nullable=False),
        sa.Column("max_tickets_per_customer", sa.BigInteger(), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_events_currency")),
        sa.CheckConstraint("status IN ('draft', 'published', 'cancelled')", name=op.f("ck_events_status")),
        sa.CheckConstraint("capacity > 0", name=op.f("ck_events_capacity")),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_events_ends_after_start")),
        sa.CheckConstraint("length(title) BETWEEN 1 AND 200", name=op.f("ck_events_title_length")),
        sa.CheckConstraint("max_tickets_per_customer > 0", name=op.f("ck_events_max_tickets_per_customer")),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name=op.f("fk_events_created_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sa.UniqueConstraint("slug", name=op.f("uq_events_slug")),
    )
    op.create_index("ix_events_status_starts_at", "events", ["status", "starts_at"], unique=False)
    op.create_table(
        "event_members",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("role IN ('coordinator', 'staff')", name=op.f("ck_event_members_role")),
        sa.CheckConstraint("email = lower(email)", name=op.f("ck_event_members_email_lower")),
        sa.ForeignKeyConstraint(
            ["event_id"], ["events.id"], name=op.f("fk_event_members_event_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_event_members_user_id")),
        sa.PrimaryKeyConstraint("event_id", "id", name=op.f("pk_event_members")),
        sa.UniqueConstraint("event_id", "email", name=op.f("uq_event_members_event_id_email")),
        sa.UniqueConstraint("event_id", "user_id", name=op.f("uq_event_members_event_id_user_id")),
    )
    op.create_index("ix_event_members_email", "event_members", ["email"], unique=False)
    op.create_index("ix_event_members_user_id_role", "event_members", ["user_id", "role"], unique=False)
    op.create_table(
        "orders",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("customer_user_id", sa.Uuid(), nullable=True),
        sa.Column("customer_name", sa.Text(), nullable=False),
        sa.Column("customer_email", sa.Text(), nullable=False),
        sa.Column("customer_phone", sa.Text(), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("subtotal_cents", sa.BigInteger(), nullable=False),
        sa.Column("discount_cents", sa.BigInteger(), nullable=False),
        sa.Column("fee_cents", sa.BigInteger(), nullable=False),
        sa.Column("tax_cents", sa.BigInteger(), nullable=False),
        sa.Column("total_cents", sa.BigInteger(), nullable=False),
        sa.Column("refunded_cents", sa.BigInteger(), nullable=False),
        sa.Column("payment_method", sa.Text(), nullable=False),
        sa.Column("payment_reference", sa.Text(), nullable=True),
        sa.Column("access_token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(status = 'pending') = (expires_at IS NOT NULL)", name=op.f("ck_orders_pending_expires")),
        sa.CheckConstraint(
            "status IN ('pending', 'paid', 'failed', 'expired', 'cancelled', 'partially_refunded', 'refunded')",
            name=op.f("ck_orders_status"),
        ),
        sa.CheckConstraint("length(access_token_hash) = 32", name=op.f("ck_orders_access_token_sha256")),
        sa.CheckConstraint("refunded_cents BETWEEN 0 AND total_cents", name=op.f("ck_orders_refunded")),
        sa.CheckConstraint(
            "subtotal_cents >= 0 AND discount_cents BETWEEN 0 AND subtotal_cents AND fee_cents >= 0 AND tax_cents >= 0",
            name=op.f("ck_orders_amounts"),
        ),
        sa.CheckConstraint(
            "total_cents = subtotal_cents - discount_cents + fee_cents + tax_cents",
            name=op.f("ck_orders_total_adds_up"),
        ),
        sa.ForeignKeyConstraint(["customer_user_id"], ["users.id"], name=op.f("fk_orders_customer_user_id")),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_orders_event_id")),
        sa.PrimaryKeyConstraint("event_id", "id", name=op.f("pk_orders")),
        sa.UniqueConstraint("event_id", "number", name=op.f("uq_orders_event_id_number")),
    )
    op.create_index("ix_orders_event_id_created_at", "orders", ["event_id", "created_at"], unique=False)
    op.create_index("ix_orders_id", "orders", ["id"], unique=False)
    op.create_table(
        "ticket_packages",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("price_cents", sa.BigInteger(), nullable=False),
        sa.Column("seats_per_package", sa.BigInteger(), nullable=False),
        sa.Column("display_order", sa.BigInteger(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("is_sponsorship", sa.Boolean(), nullable=False),
        sa.Column("min_per_order", sa.BigInteger(), nullable=False),
        sa.Column("max_per_order", sa.BigInteger(), nullable=True),
        sa.Column("sale_starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sale_ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_transferable", sa.Boolean(), nullable=False),
        sa.Column("fair_market_value_cents", sa.BigInteger(), nullable=True),
        sa.Column("image_upload_id", sa.Uuid(), nullable=True),
        sa.Column("display_image", sa.Text(), nullable=True),
        sa.Column("thumbnail_image", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "(display_image IS NULL) = (thumbnail_image IS NULL)", name=op.f("ck_ticket_packages_both_images")
        ),
        sa.CheckConstraint("display_order >= 0", name=op.f("ck_ticket_packages_display_order")),
        sa.CheckConstraint("fair_market_value_cents >= 0", name=op.f("ck_ticket_packages_fair_market_value")),
        sa.CheckConstraint(
            "length(description) BETWEEN 1 AND 1000", name=op.f("ck_ticket_packages_description_length")
        ),
        sa.CheckConstraint("length(name) BETWEEN 1 AND 100", name=op.f("ck_ticket_packages_name_length")),
        sa.CheckConstraint("max_per_order >= min_per_order", name=op.f("ck_ticket_packages_max_per_order")),
        sa.CheckConstraint("min_per_order >= 1", name=op.f("ck_ticket_packages_min_per_order")),
        sa.CheckConstraint("price_cents BETWEEN 0 AND 100000000", name=op.f("ck_ticket_packages_price")),
        sa.CheckConstraint("sale_ends_at > sale_starts_at", name=op.f("ck_ticket_packages_sale_window")),
        sa.CheckConstraint("seats_per_package BETWEEN 1 AND 100", name=op.f("ck_ticket_packages_seats")),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name=op.f("fk_ticket_packages_created_by")),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_ticket_packages_event_id")),
        sa.PrimaryKeyConstraint("event_id", "id", name=op.f("pk_ticket_packages")),
        sa.UniqueConstraint(
            "event_id",
            "display_order",
            deferrable=True,
            initially="IMMEDIATE",
            name=op.f("uq_ticket_packages_event_id_display_order"),
        ),
    )
    op.create_table(
        "order_items",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("package_id", sa.Uuid(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("seats_per_package", sa.BigInteger(), nullable=False),
        sa.Column("unit_price_cents", sa.BigInteger(), nullable=False),
        sa.Column("discount_cents", sa.BigInteger(), nullable=False),
        sa.Column("total_cents", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("kind = 'package'", name=op.f("ck_order_items_kind")),
        sa.CheckConstraint("quantity > 0 AND seats_per_package > 0", name=op.f("ck_order_items_quantity")),
        sa.CheckConstraint(
            "total_cents = quantity * unit_price_cents - discount_cents", name=op.f("ck_order_items_total_adds_up")
        ),
        sa.CheckConstraint(
            "unit_price_cents >= 0 AND discount_cents >= 0 AND total_cents >= 0", name=op.f("ck_order_items_amounts")
        ),
        sa.ForeignKeyConstraint(
            ["event_id", "order_id"], ["orders.event_id", "orders.id"], name=op.f("fk_order_items_event_id_order_id")
        ),
        sa.ForeignKeyConstraint(
            ["event_id", "package_id"],
            ["ticket_packages.event_id", "ticket_packages.id"],
            name=op.f("fk_order_items_event_id_package_id"),
        ),
        sa.PrimaryKeyConstraint("event_id", "id", name=op.f("pk_order_items")),
    )
    op.create_index("ix_order_items_event_id_order_id", "order_items", ["event_id", "order_id"], unique=False)
    op.create_index("ix_order_items_event_id_package_id", "order_items", ["event_id", "package_id"], unique=False)
    op.create_table(
        "package_stock",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("package_id", sa.Uuid(), nullable=False),
        sa.Column("quantity_limit", sa.BigInteger(), nullable=True),
        sa.Column("held", sa.BigInteger(), nullable=False),
        sa.Column("sold", sa.BigInteger(), nullable=False),
        sa.Column("terms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "held >= 0 AND sold >= 0 AND (quantity_limit IS NULL OR held + sold <= quantity_limit)",
            name=op.f("ck_package_stock_never_oversold"),
        ),
        sa.CheckConstraint("quantity_limit BETWEEN 1 AND 10000", name=op.f("ck_package_stock_quantity_limit")),
        sa.ForeignKeyConstraint(
            ["event_id", "package_id"],
            ["ticket_packages.event_id", "ticket_packages.id"],
            name=op.f("fk_package_stock_event_id_package_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("event_id", "package_id", name=op.f("pk_package_stock")),
        postgresql_with={"fillfactor": 40},
    )
    op.create_table(
        "tickets",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_item_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("holder_name", sa.Text(), nullable=True),
        sa.Column("holder_email", sa.Text(), nullable=True),
        sa.Column("code_revision", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("status IN ('valid', 'used', 'void', 'transferred')", name=op.f("ck_tickets_status")),
        sa.CheckConstraint("code_revision BETWEEN 1 AND 65535", name=op.f("ck_tickets_code_revision")),
        sa.ForeignKeyConstraint(
            ["event_id", "order_item_id"],
            ["order_items.event_id", "order_items.id"],
            name=op.f("fk_tickets_event_id_order_item_id"),
        ),
        sa.PrimaryKeyConstraint("event_id", "id", name=op.f("pk_tickets")),
        sa.UniqueConstraint("event_id", "number", name=op.f("uq_tickets_event_id_number")),
    )
    op.create_index("ix_tickets_event_id_order_item_id", "tickets", ["event_id", "order_item_id"], unique=False)
    op.execute(CLAIM_STOCK)


def downgrade() -> None:
    op.execute("DROP FUNCTION claim_stock")
    op.drop_index("ix_tickets_event_id_order_item_id", table_name="tickets")
    op.drop_table("tickets")
    op.drop_table("package_stock")
    op.drop_index("ix_order_items_event_id_package_id", table_name="order_items")
    op.drop_index("ix_order_items_event_id_order_id", table_name="order_items")
    op.drop_table("order_items")
    op.drop_table("ticket_packages")
    op.drop_index("ix_orders_id", table_name="orders")
    op.drop_index("ix_orders_event_id_created_at", table_name="orders")
    op.drop_table("orders")
    op.drop_index("ix_event_members_user_id_role", table_name="event_members")
    op.drop_index("ix_event_members_email", table_name="event_members")
    op.drop_table("event_members")
    op.drop_index("ix_events_status_starts_at", table_name="events")
    op.drop_table("events")
    op.drop_table("users")
    op.drop_index("ix_outbox_waiting", table_name="outbox")
    op.drop_table("outbox")
    op.drop_index(op.f("ix_idempotency_keys_created_at"), table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
