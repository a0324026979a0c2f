"""Orders for the team: indexes to find them by, the words of their names, notes, and when an order came to nothing."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# Built while tickets are sold, so none of them may stop the sale: CONCURRENTLY. One that was interrupted is left
# invalid, and is dropped by the next run before it is built again. `fastupdate` and the limit: decision 19.
INDEXES = {
    "ix_orders_search": (
        "ON orders USING gin ((' ' || customer_name || ' ' || customer_email || ' ' || right(number, 6)) gin_trgm_ops)"
        " WITH (fastupdate = on, gin_pending_list_limit = 16384)"
    ),
    "ix_orders_event_id_status_id": "ON orders (event_id, status, id)",
    "ix_orders_event_id_total_cents_id": "ON orders (event_id, total_cents, id)",
    "ix_orders_event_id_name_id": "ON orders (event_id, lower(customer_name), id)",
    "ix_orders_promo_code": "ON orders (event_id, promo_code, id) WHERE promo_code IS NOT NULL",
    "ix_orders_event_id_payment_method_id": "ON orders (event_id, payment_method, id)",
    "ix_orders_box_office": "ON orders (event_id, id) WHERE channel = 'box_office'",
    "ix_order_items_event_id_package_id_order_id": "ON order_items (event_id, package_id, order_id)",
    "ix_outbox_order_id": "ON outbox (event_id, (payload ->> 'order_id'))",
    "ix_payments_disputed": "ON payments (event_id) WHERE disputed_at IS NOT NULL",
}


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    with op.get_context().autocommit_block():
        for name, definition in INDEXES.items():
            op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            op.execute(f"CREATE INDEX CONCURRENTLY {name} {definition}")
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_order_items_event_id_package_id")
    op.add_column("orders", sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "order_notes",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("length(text) BETWEEN 1 AND 1000", name=op.f("ck_order_notes_text")),
        sa.ForeignKeyConstraint(["author_id"], ["users.id"], name=op.f("fk_order_notes_author_id")),
        sa.ForeignKeyConstraint(
            ["event_id", "order_id"], ["orders.event_id", "orders.id"], name=op.f("fk_order_notes_event_id_order_id")
        ),
        sa.PrimaryKeyConstraint("event_id", "id", name=op.f("pk_order_notes")),
    )
    op.create_index("ix_order_notes_event_id_order_id", "order_notes", ["event_id", "order_id"], unique=False)
    op.create_table(
        "order_words_learnt",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("until", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_order_words_learnt_event_id")),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_order_words_learnt")),
    )
    op.create_table(
        "order_words",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("word", sa.Text(collation="C"), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_order_words_event_id")),
        sa.PrimaryKeyConstraint("event_id", "word", name=op.f("pk_order_words")),
    )


def downgrade() -> None:
    op.drop_table("order_words")
    op.drop_table("order_words_learnt")
    op.drop_index("ix_order_notes_event_id_order_id", table_name="order_notes")
    op.drop_table("order_notes")
    op.drop_column("orders", "ended_at")
    op.create_index("ix_order_items_event_id_package_id", "order_items", ["event_id", "package_id"], unique=False)
    for name in INDEXES:
        op.execute(f"DROP INDEX {name}")
    # pg_trgm stays: something else in the database may use it by now.
