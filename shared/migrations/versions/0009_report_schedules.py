"""Report schedules of each event, the runs that come of them, and the notices that these are done."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

KINDS = "ARRAY['sales', 'orders', 'attendees', 'promo_codes', 'ledger']"
OLD_MESSAGES = "'order_confirmation', 'refund_notice', 'payment_returned', 'provider_refund', 'give_up_payment'"


def upgrade() -> None:
    op.create_table(
        "report_schedules",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kinds", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("frequency", sa.Text(), nullable=False),
        sa.Column("local_time", sa.Time(), nullable=True),
        sa.Column("weekday", sa.Text(), nullable=True),
        sa.Column("with_bom", sa.Boolean(), nullable=False),
        sa.Column("keep_days", sa.BigInteger(), nullable=True),
        sa.Column("keep_files", sa.BigInteger(), nullable=True),
        sa.Column("notify", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("next_run_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reckoned_zone", sa.Text(), nullable=False),
        sa.Column("reckoned_end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            f"kinds <@ {KINDS} AND cardinality(kinds) BETWEEN 1 AND 5", name=op.f("ck_report_schedules_kinds")
        ),
        sa.CheckConstraint(
            "frequency IN ('hourly', 'daily', 'weekly', 'after_event')", name=op.f("ck_report_schedules_frequency")
        ),
        sa.CheckConstraint(
            "weekday IN ('monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday')",
            name=op.f("ck_report_schedules_weekday"),
        ),
        sa.CheckConstraint(
            "(frequency IN ('daily', 'weekly')) = (local_time IS NOT NULL)"
            " AND (frequency = 'weekly') = (weekday IS NOT NULL)",
            name=op.f("ck_report_schedules_complete"),
        ),
        sa.CheckConstraint(
            "keep_days BETWEEN 1 AND 3650 AND keep_files BETWEEN 1 AND 1000", name=op.f("ck_report_schedules_keep")
        ),
        sa.CheckConstraint("cardinality(notify) <= 20", name=op.f("ck_report_schedules_notify")),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_report_schedules_event_id")),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name=op.f("fk_report_schedules_created_by")),
        sa.PrimaryKeyConstraint("event_id", "id", name=op.f("pk_report_schedules")),
    )
    op.create_index("ix_report_schedules_next_run_at", "report_schedules", ["next_run_at"])
    op.create_table(
        "report_runs",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("schedule_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("with_bom", sa.Boolean(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen", sa.Uuid(), nullable=True),
        sa.Column("asked_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("remove_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(f"kind = ANY ({KINDS})", name=op.f("ck_report_runs_kind")),
        sa.CheckConstraint("cause IN ('asked', 'schedule', 'sales')", name=op.f("ck_report_runs_cause")),
        sa.CheckConstraint("(cause = 'sales') = (seen IS NOT NULL)", name=op.f("ck_report_runs_seen")),
        sa.CheckConstraint("outcome IN ('ready', 'failed')", name=op.f("ck_report_runs_outcome")),
        sa.CheckConstraint(
            "(outcome IS NULL) = (finished_at IS NULL) AND (outcome IS NULL) = (next_attempt_at IS NOT NULL)",
            name=op.f("ck_report_runs_finished"),
        ),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_report_runs_attempts")),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_report_runs_event_id")),
        sa.ForeignKeyConstraint(
            ["event_id", "schedule_id"],
            ["report_schedules.event_id", "report_schedules.id"],
            name=op.f("fk_report_runs_event_id_schedule_id"),
        ),
        sa.ForeignKeyConstraint(["asked_by"], ["users.id"], name=op.f("fk_report_runs_asked_by")),
        sa.PrimaryKeyConstraint("event_id", "id", name=op.f("pk_report_runs")),
        sa.UniqueConstraint(
            "event_id", "schedule_id", "kind", "due_at", name=op.f("uq_report_runs_event_id_schedule_id_kind_due_at")
        ),
    )
    sales, is_open, leaves = (
        sa.text("cause = 'sales'"),
        sa.text("finished_at IS NULL"),
        sa.text("remove_at IS NOT NULL"),
    )
    op.create_index("uq_report_runs_sales", "report_runs", ["event_id", "seen"], unique=True, postgresql_where=sales)
    op.create_index("ix_report_runs_open", "report_runs", ["next_attempt_at"], postgresql_where=is_open)
    op.create_index("ix_report_runs_remove_at", "report_runs", ["remove_at"], postgresql_where=leaves)
    _replace_message_kinds(f"{OLD_MESSAGES}, 'report_notice'")


def downgrade() -> None:
    op.execute("DELETE FROM outbox WHERE kind = 'report_notice'")
    _replace_message_kinds(OLD_MESSAGES)
    op.drop_table("report_runs")
    op.drop_table("report_schedules")


def _replace_message_kinds(kinds: str) -> None:
    op.drop_constraint(op.f("ck_outbox_kind"), "outbox")
    op.create_check_constraint(op.f("ck_outbox_kind"), "outbox", f"kind IN ({kinds})")
