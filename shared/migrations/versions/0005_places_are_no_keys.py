"""Two things never share a place, without the place being a key: else reordering locks out whoever buys.

PostgreSQL takes the columns of any unique index for possible targets of foreign keys, so an update of them waits for
every order that refers to the row, and those wait for it. An exclusion constraint refuses the same rows and locks
nobody out.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

PLACES = {
    "ticket_packages": ["event_id", "display_order"],
    "custom_options": ["event_id", "package_id", "display_order"],
}


def upgrade() -> None:
    for table, columns in PLACES.items():
        op.drop_constraint(op.f(f"uq_{table}_{'_'.join(columns)}"), table, type_="unique")
        op.create_exclude_constraint(
            op.f(f"ex_{table}_{'_'.join(columns)}"),
            table,
            *((column, "=") for column in columns),
            using="btree",
            deferrable=True,
            initially="IMMEDIATE",
        )


def downgrade() -> None:
    for table, columns in PLACES.items():
        op.drop_constraint(op.f(f"ex_{table}_{'_'.join(columns)}"), table, type_="check")
        op.create_unique_constraint(
            op.f(f"uq_{table}_{'_'.join(columns)}"), table, columns, deferrable=True, initially="IMMEDIATE"
        )
