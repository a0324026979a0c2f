"""Orders that wait for their payment, payments, refunds, charges, and the books."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


OLD_KINDS = ("order_confirmation",)
OLD_TICKET_STATUSES = ("valid", "used", "void", "transferred")

# As promotions/rules.py names them: the signed-in user, else the mailbox without its +tag.
NAME_CUSTOMERS = """
UPDATE orders SET customer = CASE
  WHEN customer_user_id IS NOT NULL THEN 'user:' || customer_user_id
  ELSE 'email:' || regexp_replace(lower(customer_email), '^([^@+]+)\\+[^@]*@', '\\1@')
  END
"""

# One guarded UPDATE a package, in id order, so that two orders never wait for each other in a circle. A claim names the
# terms (price, window, …) it was computed under; where they have changed, or too little is left, it raises BX001 and so
# undoes the caller's transaction. An order that still has to be paid holds; one that is paid at once sells.
CLAIM_STOCK = """
CREATE FUNCTION claim_stock(
  the_event uuid, packages uuid[], quantities bigint[], known_terms bigint[], only_hold boolean
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  claim record;
BEGIN
  FOR claim IN
    SELECT * FROM unnest(packages, quantities, known_terms) AS c(package_id, quantity, terms) ORDER BY c.package_id
  LOOP
    UPDATE package_stock AS stock
       SET held = stock.held + CASE WHEN only_hold THEN claim.quantity ELSE 0 END,
           sold = stock.sold + CASE WHEN only_hold THEN 0 ELSE claim.quantity END
     WHERE stock.event_id = the_event AND stock.package_id = claim.package_id AND stock.terms = claim.terms
       AND (stock.quantity_limit IS NULL OR stock.held + stock.sold + claim.quantity <= stock.quantity_limit);
    IF NOT FOUND THEN
      RAISE EXCEPTION 'package % is short, or its terms have changed', claim.package_id USING ERRCODE = 'BX001';
    END IF;
  END LOOP;
END
$$
"""

# What is held becomes sold, or free again; what was sold comes back. In id order, as claims lock. The CHECKs on the
# table see to it that nothing is given back twice.
SETTLE_STOCK = """
CREATE FUNCTION settle_stock(the_event uuid, packages uuid[], held_more bigint[], sold_more bigint[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  change record;
BEGIN
  FOR change IN
    SELECT * FROM unnest(packages, held_more, sold_more) AS c(package_id, held, sold) ORDER BY c.package_id
  LOOP
    UPDATE package_stock AS stock SET held = stock.held + change.held, sold = stock.sold + change.sold
     WHERE stock.event_id = the_event AND stock.package_id = change.package_id;
  END LOOP;
END
$$
"""

# For a payment that arrives after its order has expired: what was agreed is sold if it is still there.
RETAKE_STOCK = """
CREATE FUNCTION retake_stock(the_event uuid, packages uuid[], quantities bigint[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  claim record;
BEGIN
  FOR claim IN
    SELECT * FROM unnest(packages, quantities) AS c(package_id, quantity) ORDER BY c.package_id
  LOOP
    UPDATE package_stock AS stock SET sold = stock.sold + claim.quantity
     WHERE stock.event_id = the_event AND stock.package_id = claim.package_id
       AND (stock.quantity_limit IS NULL OR stock.held + stock.sold + claim.quantity <= stock.quantity_limit);
    IF NOT FOUND THEN
      RAISE EXCEPTION 'package % is short', claim.package_id USING ERRCODE = 'BX001';
    END IF;
  END LOOP;
END
$$
"""

# At most so many tickets of an event for one customer: they are counted, one order of a customer after the other. The
# lock is the customer's own; it ends with the transaction. Each statement sees what was committed before it began, so
# the count sees the order of whoever held the lock before.
CLAIM_FOR_CUSTOMER = """
CREATE FUNCTION claim_for_customer(
  the_event uuid, the_order uuid, the_customer text, wanted bigint, at_most bigint
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  has bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended(the_event || ' ' || the_customer, 0));
  SELECT count(*) INTO has
    FROM orders o
    JOIN order_items i ON i.event_id = o.event_id AND i.order_id = o.id
    JOIN tickets t ON t.event_id = i.event_id AND t.order_item_id = i.id AND t.status <> 'void'
   WHERE o.event_id = the_event AND o.customer = the_customer AND o.id <> the_order
     AND o.status IN ('pending', 'paid', 'partially_refunded');
  IF has + wanted > at_most THEN
    RAISE EXCEPTION 'customer has too many tickets' USING ERRCODE = 'BX004', DETAIL = has::text;
  END IF;
END
$$
"""

LEDGER_IS_INSERT_ONLY = """
CREATE FUNCTION ledger_is_insert_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the ledger is insert-only: % refused', TG_OP USING ERRCODE = 'BX005';
END
$$
"""

OLD_CLAIM_STOCK = """
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
        "provider_messages",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("provider", "id", name=op.f("pk_provider_messages")),
    )
    op.create_index(op.f("ix_provider_messages_received_at"), "provider_messages", ["received_at"], unique=False)
    op.create_table(
        "ledger",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("debit", sa.Text(), nullable=False),
        sa.Column("credit", sa.Text(), nullable=False),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("cause", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('sale', 'discount', 'fee', 'tax', 'charge', 'refund')", name=op.f("ck_ledger_kind")
        ),
        sa.CheckConstraint("amount_cents > 0", name=op.f("ck_ledger_amount")),
        sa.CheckConstraint("debit <> credit", name=op.f("ck_ledger_two_accounts")),
        sa.ForeignKeyConstraint(
            ["event_id", "order_id"], ["orders.event_id", "orders.id"], name=op.f("fk_ledger_event_id_order_id")
        ),
        sa.PrimaryKeyConstraint("event_id", "id", name=op.f("pk_ledger")),
    )
    op.create_index("ix_ledger_event_id_order_id", "ledger", ["event_id", "order_id"], unique=False)
    op.create_table(
        "payments",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("refunded_cents", sa.BigInteger(), nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("is_mismatch", sa.Boolean(), nullable=False),
        sa.Column("disputed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('created', 'requires_action', 'processing', 'failed', 'cancelled', 'succeeded')",
            name=op.f("ck_payments_status"),
        ),
        sa.CheckConstraint("amount_cents > 0 AND refunded_cents >= 0", name=op.f("ck_payments_amounts")),
        sa.ForeignKeyConstraint(
            ["event_id", "order_id"], ["orders.event_id", "orders.id"], name=op.f("fk_payments_event_id_order_id")
        ),
        sa.PrimaryKeyConstraint("event_id", "id", name=op.f("pk_payments")),
        sa.UniqueConstraint("event_id", "provider", "reference", name=op.f("uq_payments_event_id_provider_reference")),
    )
    op.create_index("ix_payments_event_id_order_id", "payments", ["event_id", "order_id"], unique=False)
    op.create_index("ix_payments_reference", "payments", ["reference"], unique=False)
    op.create_table(
        "refunds",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=True),
        sa.Column("amount_cents", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("provider_reference", sa.Text(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("status IN ('pending', 'succeeded', 'failed')", name=op.f("ck_refunds_status")),
        sa.CheckConstraint("amount_cents > 0", name=op.f("ck_refunds_amount")),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name=op.f("fk_refunds_created_by")),
        sa.ForeignKeyConstraint(
            ["event_id", "order_id"], ["orders.event_id", "orders.id"], name=op.f("fk_refunds_event_id_order_id")
        ),
        sa.ForeignKeyConstraint(
            ["event_id", "payment_id"],
            ["payments.event_id", "payments.id"],
            name=op.f("fk_refunds_event_id_payment_id"),
        ),
        sa.PrimaryKeyConstraint("event_id", "id", name=op.f("pk_refunds")),
        sa.UniqueConstraint(
            "event_id",
            "payment_id",
            "provider_reference",
            name=op.f("uq_refunds_event_id_payment_id_provider_reference"),
        ),
    )
    op.create_index("ix_refunds_event_id_order_id", "refunds", ["event_id", "order_id"], unique=False)
    op.create_index(
        "ix_refunds_pending", "refunds", ["created_at"], unique=False, postgresql_where=sa.text("status <> 'succeeded'")
    )
    _add_columns()
    _add_checks_and_functions()


def _add_columns() -> None:
    op.add_column(
        "events", sa.Column("tax_percent", sa.Numeric(precision=6, scale=3), server_default="0", nullable=False)
    )
    op.add_column("events", sa.Column("tax_included", sa.Boolean(), server_default="false", nullable=False))
    op.add_column(
        "events", sa.Column("fee_percent", sa.Numeric(precision=6, scale=3), server_default="0", nullable=False)
    )
    op.add_column("events", sa.Column("fee_cents", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("events", sa.Column("fee_included", sa.Boolean(), server_default="false", nullable=False))
    op.add_column("events", sa.Column("order_expiry_minutes", sa.BigInteger(), server_default="15", nullable=False))
    op.add_column("events", sa.Column("return_promo_uses", sa.Boolean(), server_default="true", nullable=False))
    op.add_column("order_items", sa.Column("fee_cents", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("order_items", sa.Column("tax_cents", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("order_items", sa.Column("included_fee_cents", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("order_items", sa.Column("included_tax_cents", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("order_items", sa.Column("fair_market_value_cents", sa.BigInteger(), nullable=True))
    op.add_column("order_items", sa.Column("returned", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("orders", sa.Column("channel", sa.Text(), server_default="online", nullable=False))
    op.add_column("orders", sa.Column("customer", sa.Text(), nullable=True))
    op.execute(NAME_CUSTOMERS)
    op.alter_column("orders", "customer", nullable=False)
    op.add_column("orders", sa.Column("included_fee_cents", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("orders", sa.Column("included_tax_cents", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("orders", sa.Column("placed_by", sa.Uuid(), nullable=True))
    op.create_index("ix_orders_event_id_customer", "orders", ["event_id", "customer"], unique=False)
    op.create_index(
        "ix_orders_pending",
        "orders",
        ["event_id", "expires_at"],
        unique=False,
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_foreign_key(op.f("fk_orders_placed_by"), "orders", "users", ["placed_by"], ["id"])
    op.add_column("promo_code_uses", sa.Column("returned_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("ticket_packages", sa.Column("tax_percent", sa.Numeric(precision=6, scale=3), nullable=True))
    op.add_column("ticket_packages", sa.Column("fee_percent", sa.Numeric(precision=6, scale=3), nullable=True))
    op.add_column("ticket_packages", sa.Column("fee_cents", sa.BigInteger(), nullable=True))


def _add_checks_and_functions() -> None:
    op.create_check_constraint(
        op.f("ck_events_charges"),
        "events",
        "tax_percent BETWEEN 0 AND 100 AND fee_percent BETWEEN 0 AND 100 AND fee_cents BETWEEN 0 AND 100000000",
    )
    op.create_check_constraint(op.f("ck_events_order_expiry"), "events", "order_expiry_minutes BETWEEN 1 AND 1440")
    op.create_check_constraint(
        op.f("ck_ticket_packages_charges"),
        "ticket_packages",
        "tax_percent BETWEEN 0 AND 100 AND fee_percent BETWEEN 0 AND 100 AND fee_cents BETWEEN 0 AND 100000000",
    )
    op.create_check_constraint(op.f("ck_orders_channel"), "orders", "channel IN ('online', 'box_office')")
    op.create_check_constraint(
        op.f("ck_orders_included"), "orders", "included_fee_cents >= 0 AND included_tax_cents >= 0"
    )
    op.create_check_constraint(
        op.f("ck_order_items_charges"),
        "order_items",
        "fee_cents >= 0 AND tax_cents >= 0 AND included_fee_cents >= 0 AND included_tax_cents >= 0",
    )
    op.create_check_constraint(op.f("ck_order_items_returned"), "order_items", "returned BETWEEN 0 AND quantity")
    _replace_ticket_statuses("reserved", *OLD_TICKET_STATUSES)
    _replace_outbox_kinds(*OLD_KINDS, "refund_notice", "payment_returned", "provider_refund", "give_up_payment")
    op.execute("DROP FUNCTION claim_stock")
    for function in (CLAIM_STOCK, SETTLE_STOCK, RETAKE_STOCK, CLAIM_FOR_CUSTOMER, LEDGER_IS_INSERT_ONLY):
        op.execute(function)
    op.execute(
        "CREATE TRIGGER ledger_rows BEFORE UPDATE OR DELETE ON ledger"
        " FOR EACH ROW EXECUTE FUNCTION ledger_is_insert_only()"
    )
    op.execute(
        "CREATE TRIGGER ledger_truncate BEFORE TRUNCATE ON ledger"
        " FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_insert_only()"
    )


def downgrade() -> None:
    for function in ("claim_for_customer", "retake_stock", "settle_stock", "claim_stock"):
        op.execute(f"DROP FUNCTION {function}")
    op.execute(OLD_CLAIM_STOCK)
    op.execute("DELETE FROM outbox WHERE kind <> 'order_confirmation'")
    _replace_outbox_kinds(*OLD_KINDS)
    op.execute("UPDATE tickets SET status = 'void' WHERE status = 'reserved'")
    _replace_ticket_statuses(*OLD_TICKET_STATUSES)
    op.drop_constraint(op.f("ck_order_items_returned"), "order_items")
    op.drop_constraint(op.f("ck_order_items_charges"), "order_items")
    op.drop_constraint(op.f("ck_orders_included"), "orders")
    op.drop_constraint(op.f("ck_orders_channel"), "orders")
    op.drop_constraint(op.f("ck_ticket_packages_charges"), "ticket_packages")
    op.drop_constraint(op.f("ck_events_order_expiry"), "events")
    op.drop_constraint(op.f("ck_events_charges"), "events")
    op.drop_column("ticket_packages", "fee_cents")
    op.drop_column("ticket_packages", "fee_percent")
    op.drop_column("ticket_packages", "tax_percent")
    op.drop_column("promo_code_uses", "returned_at")
    op.drop_constraint(op.f("fk_orders_placed_by"), "orders", type_="foreignkey")
    op.drop_index("ix_orders_pending", table_name="orders", postgresql_where=sa.text("status = 'pending'"))
    op.drop_index("ix_orders_event_id_customer", table_name="orders")
    op.drop_column("orders", "placed_by")
    op.drop_column("orders", "included_tax_cents")
    op.drop_column("orders", "included_fee_cents")
    op.drop_column("orders", "customer")
    op.drop_column("orders", "channel")
    op.drop_column("order_items", "returned")
    op.drop_column("order_items", "fair_market_value_cents")
    op.drop_column("order_items", "included_tax_cents")
    op.drop_column("order_items", "included_fee_cents")
    op.drop_column("order_items", "tax_cents")
    op.drop_column("order_items", "fee_cents")
    op.drop_column("events", "return_promo_uses")
    op.drop_column("events", "order_expiry_minutes")
    op.drop_column("events", "fee_included")
    op.drop_column("events", "fee_cents")
    op.drop_column("events", "fee_percent")
    op.drop_column("events", "tax_included")
    op.drop_column("events", "tax_percent")
    op.drop_index("ix_refunds_pending", table_name="refunds", postgresql_where=sa.text("status <> 'succeeded'"))
    op.drop_index("ix_refunds_event_id_order_id", table_name="refunds")
    op.drop_table("refunds")
    op.drop_index("ix_payments_reference", table_name="payments")
    op.drop_index("ix_payments_event_id_order_id", table_name="payments")
    op.drop_table("payments")
    op.drop_index("ix_ledger_event_id_order_id", table_name="ledger")
    op.drop_table("ledger")
    op.drop_index(op.f("ix_provider_messages_received_at"), table_name="provider_messages")
    op.drop_table("provider_messages")
    op.execute("DROP FUNCTION ledger_is_insert_only")


def _replace_outbox_kinds(*kinds: str) -> None:
    _replace_words("outbox", "kind", kinds)


def _replace_ticket_statuses(*statuses: str) -> None:
    _replace_words("tickets", "status", statuses)


def _replace_words(table: str, column: str, words: tuple[str, ...]) -> None:
    name = op.f(f"ck_{table}_{column}")
    op.drop_constraint(name, table)
    listed = ", ".join(f"'{word}'" for word in words)
    op.create_check_constraint(name, table, f"{column} IN ({listed})")
