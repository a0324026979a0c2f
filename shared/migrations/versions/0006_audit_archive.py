"""The audit archive: which months are archived, and where each chain begins after pruning."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("audit_heads", sa.Column("pruned_seq", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column("audit_heads", sa.Column("pruned_hash", sa.LargeBinary(), nullable=True))
    op.create_check_constraint(
        op.f("ck_audit_heads_pruned"),
        "audit_heads",
        "pruned_seq BETWEEN 0 AND seq AND (pruned_seq = 0) = (pruned_hash IS NULL)"
        " AND coalesce(length(pruned_hash), 32) = 32",
    )
    op.create_table(
        "audit_archives",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Text(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("previous_hash", sa.LargeBinary(), nullable=False),
        sa.Column("last_hash", sa.LargeBinary(), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("proven_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("pruned_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("month ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'", name=op.f("ck_audit_archives_month")),
        sa.CheckConstraint("first_seq > 0 AND last_seq >= first_seq", name=op.f("ck_audit_archives_seq")),
        sa.CheckConstraint(
            "length(sha256) = 32 AND length(previous_hash) = 32 AND length(last_hash) = 32",
            name=op.f("ck_audit_archives_sha256"),
        ),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_audit_archives_event_id")),
        sa.PrimaryKeyConstraint("event_id", "month", name=op.f("pk_audit_archives")),
        sa.UniqueConstraint("event_id", "first_seq", name=op.f("uq_audit_archives_event_id_first_seq")),
        sa.UniqueConstraint("event_id", "last_seq", name=op.f("uq_audit_archives_event_id_last_seq")),
    )


def downgrade() -> None:
    op.drop_table("audit_archives")
    op.drop_constraint(op.f("ck_audit_heads_pruned"), "audit_heads")
    op.drop_column("audit_heads", "pruned_hash")
    op.drop_column("audit_heads", "pruned_seq")
