"""The catalogue: custom options with their answers, promo codes with their uses."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Claims one use of a promo code for a customer, guarded like claim_stock: under the terms that were read, only below
# the code's and the customer's limits; else it raises BX002 and so undoes the caller's transaction.
CLAIM_PROMO_CODE = """
CREATE FUNCTION claim_promo_code(
  the_event uuid, the_code uuid, known_terms bigint, the_customer text, max_per_customer bigint
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE promo_code_stock AS stock SET uses = stock.uses + 1
   WHERE stock.event_id = the_event AND stock.promo_code_id = the_code AND stock.terms = known_terms
     AND (stock.max_uses IS NULL OR stock.uses < stock.max_uses);
  IF FOUND THEN
    INSERT INTO promo_code_customers AS mine (event_id, promo_code_id, customer, uses)
    VALUES (the_event, the_code, the_customer, 1)
        ON CONFLICT (event_id, promo_code_id, customer) DO UPDATE SET uses = mine.uses + 1
     WHERE max_per_customer IS NULL OR mine.uses < max_per_customer;
  END IF;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'promo code % is used up, or its terms have changed', the_code USING ERRCODE = 'BX002';
  END IF;
END
$$
"""


def upgrade() -> None:
    op.create_table(
        "promo_codes",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("discount_type", sa.Text(), nullable=False),
        sa.Column("discount_value", sa.BigInteger(), nullable=False),
        sa.Column("max_uses_per_customer", sa.BigInteger(), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("min_order_cents", sa.BigInteger(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "CASE discount_type WHEN 'percentage' THEN discount_value BETWEEN 100 AND 10000"
            " WHEN 'fixed_amount' THEN discount_value BETWEEN 100 AND 1000000 ELSE false END",
            name=op.f("ck_promo_codes_discount"),
        ),
        sa.CheckConstraint("code ~ '^[A-Z0-9]{4,20}$'", name=op.f("ck_promo_codes_code")),
        sa.CheckConstraint("expires_at > starts_at", name=op.f("ck_promo_codes_window")),
        sa.CheckConstraint(
            "max_uses_per_customer BETWEEN 1 AND 100", name=op.f("ck_promo_codes_max_uses_per_customer")
        ),
        sa.CheckConstraint("min_order_cents >= 0", name=op.f("ck_promo_codes_min_order")),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name=op.f("fk_promo_codes_created_by")),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_promo_codes_event_id")),
        sa.PrimaryKeyConstraint("event_id", "id", name=op.f("pk_promo_codes")),
        sa.UniqueConstraint("event_id", "code", name=op.f("uq_promo_codes_event_id_code")),
    )
    op.create_table(
        "custom_options",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("package_id", sa.Uuid(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("option_type", sa.Text(), nullable=False),
        sa.Column("choices", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("max_choices", sa.BigInteger(), nullable=True),
        sa.Column("is_required", sa.Boolean(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("display_order", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "CASE option_type WHEN 'multi_select'"
            " THEN cardinality(choices) BETWEEN 2 AND 10 AND max_choices BETWEEN 1 AND cardinality(choices)"
            " ELSE cardinality(choices) = 0 AND max_choices IS NULL END",
            name=op.f("ck_custom_options_choices"),
        ),
        sa.CheckConstraint(
            "option_type IN ('boolean', 'multi_select', 'text_input')", name=op.f("ck_custom_options_option_type")
        ),
        sa.CheckConstraint("display_order >= 0", name=op.f("ck_custom_options_display_order")),
        sa.CheckConstraint("length(label) BETWEEN 1 AND 100", name=op.f("ck_custom_options_label_length")),
        sa.ForeignKeyConstraint(
            ["event_id", "package_id"],
            ["ticket_packages.event_id", "ticket_packages.id"],
            name=op.f("fk_custom_options_event_id_package_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("event_id", "id", name=op.f("pk_custom_options")),
        sa.UniqueConstraint(
            "event_id",
            "package_id",
            "display_order",
            deferrable=True,
            initially="IMMEDIATE",
            name=op.f("uq_custom_options_event_id_package_id_display_order"),
        ),
    )
    op.create_table(
        "promo_code_customers",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("promo_code_id", sa.Uuid(), nullable=False),
        sa.Column("customer", sa.Text(), nullable=False),
        sa.Column("uses", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("uses >= 0", name=op.f("ck_promo_code_customers_uses")),
        sa.ForeignKeyConstraint(
            ["event_id", "promo_code_id"],
            ["promo_codes.event_id", "promo_codes.id"],
            name=op.f("fk_promo_code_customers_event_id_promo_code_id"),
        ),
        sa.PrimaryKeyConstraint("event_id", "promo_code_id", "customer", name=op.f("pk_promo_code_customers")),
    )
    op.create_table(
        "promo_code_packages",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("promo_code_id", sa.Uuid(), nullable=False),
        sa.Column("package_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id", "package_id"],
            ["ticket_packages.event_id", "ticket_packages.id"],
            name=op.f("fk_promo_code_packages_event_id_package_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["event_id", "promo_code_id"],
            ["promo_codes.event_id", "promo_codes.id"],
            name=op.f("fk_promo_code_packages_event_id_promo_code_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("event_id", "promo_code_id", "package_id", name=op.f("pk_promo_code_packages")),
    )
    op.create_table(
        "promo_code_stock",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("promo_code_id", sa.Uuid(), nullable=False),
        sa.Column("max_uses", sa.BigInteger(), nullable=True),
        sa.Column("uses", sa.BigInteger(), nullable=False),
        sa.Column("terms", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("max_uses BETWEEN 1 AND 10000", name=op.f("ck_promo_code_stock_max_uses")),
        sa.CheckConstraint(
            "uses >= 0 AND (max_uses IS NULL OR uses <= max_uses)", name=op.f("ck_promo_code_stock_never_over_redeemed")
        ),
        sa.ForeignKeyConstraint(
            ["event_id", "promo_code_id"],
            ["promo_codes.event_id", "promo_codes.id"],
            name=op.f("fk_promo_code_stock_event_id_promo_code_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("event_id", "promo_code_id", name=op.f("pk_promo_code_stock")),
        postgresql_with={"fillfactor": 40},
    )
    op.create_table(
        "promo_code_uses",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("promo_code_id", sa.Uuid(), nullable=False),
        sa.Column("customer", sa.Text(), nullable=False),
        sa.Column("discount_cents", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("discount_cents >= 0", name=op.f("ck_promo_code_uses_discount")),
        sa.ForeignKeyConstraint(
            ["event_id", "order_id"],
            ["orders.event_id", "orders.id"],
            name=op.f("fk_promo_code_uses_event_id_order_id"),
        ),
        sa.ForeignKeyConstraint(
            ["event_id", "promo_code_id"],
            ["promo_codes.event_id", "promo_codes.id"],
            name=op.f("fk_promo_code_uses_event_id_promo_code_id"),
        ),
        sa.PrimaryKeyConstraint("event_id", "order_id", name=op.f("pk_promo_code_uses")),
    )
    op.create_index(
        "ix_promo_code_uses_event_id_promo_code_id",
        "promo_code_uses",
        ["event_id", "promo_code_id", "created_at"],
        unique=False,
    )
    op.create_table(
        "option_answers",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_item_id", sa.Uuid(), nullable=False),
        sa.Column("option_id", sa.Uuid(), nullable=False),
        sa.Column("ticket_id", sa.Uuid(), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("value", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.ForeignKeyConstraint(
            ["event_id", "option_id"],
            ["custom_options.event_id", "custom_options.id"],
            name=op.f("fk_option_answers_event_id_option_id"),
        ),
        sa.ForeignKeyConstraint(
            ["event_id", "order_item_id"],
            ["order_items.event_id", "order_items.id"],
            name=op.f("fk_option_answers_event_id_order_item_id"),
        ),
        sa.ForeignKeyConstraint(
            ["event_id", "ticket_id"],
            ["tickets.event_id", "tickets.id"],
            name=op.f("fk_option_answers_event_id_ticket_id"),
        ),
        sa.PrimaryKeyConstraint("event_id", "id", name=op.f("pk_option_answers")),
    )
    op.create_index(
        "uq_option_answers_once",
        "option_answers",
        ["event_id", "order_item_id", "option_id", "ticket_id"],
        unique=True,
        postgresql_nulls_not_distinct=True,
    )
    op.add_column("orders", sa.Column("promo_code", sa.Text(), nullable=True))
    op.add_column("ticket_packages", sa.Column("options_per", sa.Text(), server_default="item", nullable=False))
    op.create_check_constraint(
        op.f("ck_ticket_packages_options_per"), "ticket_packages", "options_per IN ('item', 'ticket')"
    )
    op.execute(CLAIM_PROMO_CODE)


def downgrade() -> None:
    op.execute("DROP FUNCTION claim_promo_code")
    op.drop_column("ticket_packages", "options_per")
    op.drop_column("orders", "promo_code")
    op.drop_index("uq_option_answers_once", table_name="option_answers", postgresql_nulls_not_distinct=True)
    op.drop_table("option_answers")
    op.drop_index("ix_promo_code_uses_event_id_promo_code_id", table_name="promo_code_uses")
    op.drop_table("promo_code_uses")
    op.drop_table("promo_code_stock")
    op.drop_table("promo_code_packages")
    op.drop_table("promo_code_customers")
    op.drop_table("custom_options")
    op.drop_table("promo_codes")
