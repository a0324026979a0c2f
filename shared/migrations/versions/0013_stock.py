"""One table for the stock of everything that an event sells, and order lines that may sell other things than packages.

Code of the previous release still works: it finds `package_stock` as a view, and its functions unchanged. The next
release drops both.
"""

import sqlalchemy as sa
from alembic import op

from shared.migrations.functions import install

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

FUNCTIONS = (
    "stock_claim",
    "stock_settle",
    "stock_retake",
    "stock_claim_for_customer",
    "claim_promo_code",
    "ledger_is_insert_only",
    "audit_log_is_insert_only",
)
# Code of the previous release reads `xmin` as the row's version.
PACKAGE_STOCK = """
CREATE VIEW package_stock AS
SELECT event_id, id AS package_id, quantity_limit, held, sold, terms, xmin FROM stock WHERE kind = 'package'
"""


# In the order in which orders and editors lock them, and all at once: else the migration and an order could wait for
# each other in a circle.
LOCK = "LOCK TABLE events, order_items, ticket_packages, {stock} IN ACCESS EXCLUSIVE MODE"
LINE_RULES = {
    "kind": "kind ~ '^[a-z][a-z_]*$'",
    "sells_a_package": "(kind = 'package') = (package_id IS NOT NULL)",
    "quantity": "quantity > 0 AND seats_per_package >= 0 AND (kind <> 'package' OR seats_per_package > 0)",
}


def upgrade() -> None:
    op.execute(LOCK.format(stock="package_stock"))
    op.rename_table("package_stock", "stock")
    op.alter_column("stock", "package_id", new_column_name="id")
    op.add_column("stock", sa.Column("kind", sa.Text(), server_default="package", nullable=False))
    op.drop_constraint(op.f("fk_package_stock_event_id_package_id"), "stock", type_="foreignkey")
    op.drop_constraint(op.f("ck_package_stock_quantity_limit"), "stock")
    op.execute("ALTER TABLE stock RENAME CONSTRAINT pk_package_stock TO pk_stock")
    op.execute("ALTER TABLE stock RENAME CONSTRAINT ck_package_stock_never_oversold TO ck_stock_never_oversold")
    op.create_check_constraint(
        op.f("ck_stock_quantity_limit"),
        "stock",
        "quantity_limit > 0 AND (kind <> 'package' OR quantity_limit <= 10000)",
    )
    op.create_check_constraint(op.f("ck_stock_kind"), "stock", "kind ~ '^[a-z][a-z_]*$'")
    op.create_foreign_key(op.f("fk_stock_event_id"), "stock", "events", ["event_id"], ["id"])
    op.create_foreign_key(
        op.f("fk_ticket_packages_event_id_id"),
        "ticket_packages",
        "stock",
        ["event_id", "id"],
        ["event_id", "id"],
        deferrable=True,
        initially="DEFERRED",
    )
    op.execute(PACKAGE_STOCK)
    _let_lines_sell_other_things()
    install(*FUNCTIONS)
    _look_at_old_lines()


def _let_lines_sell_other_things() -> None:
    """Order lines may be many: their rules hold for new rows at once, and the old ones are looked at afterwards."""
    op.alter_column("order_items", "package_id", nullable=True)
    op.drop_constraint(op.f("ck_order_items_kind"), "order_items")
    op.drop_constraint(op.f("ck_order_items_quantity"), "order_items")
    for name, rule in LINE_RULES.items():
        op.execute(f"ALTER TABLE order_items ADD CONSTRAINT ck_order_items_{name} CHECK ({rule}) NOT VALID")


def _look_at_old_lines() -> None:
    """Validate the rules under a weak lock, while tickets are sold."""
    with op.get_context().autocommit_block():
        for name in LINE_RULES:
            op.execute(f"ALTER TABLE order_items VALIDATE CONSTRAINT ck_order_items_{name}")


def downgrade() -> None:
    op.execute(LOCK.format(stock="stock"))
    op.execute("DELETE FROM order_items WHERE kind <> 'package'")
    for name in ("quantity", "sells_a_package", "kind"):
        op.drop_constraint(op.f(f"ck_order_items_{name}"), "order_items")
    op.create_check_constraint(op.f("ck_order_items_kind"), "order_items", "kind = 'package'")
    op.create_check_constraint(op.f("ck_order_items_quantity"), "order_items", "quantity > 0 AND seats_per_package > 0")
    op.alter_column("order_items", "package_id", nullable=False)
    for function in ("stock_claim_for_customer", "stock_retake", "stock_settle", "stock_claim"):
        op.execute(f"DROP FUNCTION {function}")
    op.execute("DROP VIEW package_stock")
    # Also that of packages which somebody has deleted by hand.
    op.execute(
        "DELETE FROM stock s WHERE NOT EXISTS ("
        " SELECT FROM ticket_packages p WHERE p.event_id = s.event_id AND p.id = s.id)"
    )
    op.drop_constraint(op.f("fk_ticket_packages_event_id_id"), "ticket_packages", type_="foreignkey")
    op.drop_constraint(op.f("fk_stock_event_id"), "stock", type_="foreignkey")
    op.drop_constraint(op.f("ck_stock_kind"), "stock")
    op.drop_constraint(op.f("ck_stock_quantity_limit"), "stock")
    op.create_check_constraint(op.f("ck_package_stock_quantity_limit"), "stock", "quantity_limit BETWEEN 1 AND 10000")
    op.execute("ALTER TABLE stock RENAME CONSTRAINT ck_stock_never_oversold TO ck_package_stock_never_oversold")
    op.execute("ALTER TABLE stock RENAME CONSTRAINT pk_stock TO pk_package_stock")
    op.drop_column("stock", "kind")
    op.alter_column("stock", "id", new_column_name="package_id")
    op.rename_table("stock", "package_stock")
    op.create_foreign_key(
        op.f("fk_package_stock_event_id_package_id"),
        "package_stock",
        "ticket_packages",
        ["event_id", "package_id"],
        ["event_id", "id"],
        ondelete="CASCADE",
    )
