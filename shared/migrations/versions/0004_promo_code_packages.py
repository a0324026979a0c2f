"""A package that a promo code is limited to can't vanish from under it."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NAME = "fk_promo_code_packages_event_id_package_id"


def upgrade() -> None:
    _replace(ondelete=None)


def downgrade() -> None:
    _replace(ondelete="CASCADE")


def _replace(*, ondelete: str | None) -> None:
    op.drop_constraint(op.f(NAME), "promo_code_packages", type_="foreignkey")
    op.create_foreign_key(
        op.f(NAME),
        "promo_code_packages",
        "ticket_packages",
        ["event_id", "package_id"],
        ["event_id", "id"],
        ondelete=ondelete,
    )
