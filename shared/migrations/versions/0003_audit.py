"""The audit trail: insert-only, chained by hashes for each event."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Nobody changes or removes an entry, whatever the app does. Only what is older than seven years may be pruned, by a
# session that says so.
INSERT_ONLY = """
CREATE FUNCTION audit_log_is_insert_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND OLD.at < now() - interval '7 years'
     AND current_setting('boxoffice.prune_audit', true) = 'on' THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'the audit trail is insert-only: % refused', TG_OP USING ERRCODE = 'BX003';
END
$$
"""
ON_ROWS = """
CREATE TRIGGER audit_log_rows BEFORE UPDATE OR DELETE ON audit_log
  FOR EACH ROW EXECUTE FUNCTION audit_log_is_insert_only()
"""
ON_TRUNCATE = """
CREATE TRIGGER audit_log_truncate BEFORE TRUNCATE ON audit_log
  FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_insert_only()
"""


def upgrade() -> None:
    op.create_table(
        "audit_heads",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("length(hash) = 32", name=op.f("ck_audit_heads_sha256")),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_audit_heads_event_id")),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_audit_heads")),
    )
    op.create_table(
        "audit_log",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("actor_name", sa.Text(), nullable=True),
        sa.Column("actor_email", sa.Text(), nullable=True),
        sa.Column("entity_type", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("old_value", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("new_value", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("length(hash) = 32 AND length(previous_hash) = 32", name=op.f("ck_audit_log_sha256")),
        sa.CheckConstraint("seq > 0", name=op.f("ck_audit_log_seq")),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_audit_log_event_id")),
        sa.PrimaryKeyConstraint("event_id", "id", name=op.f("pk_audit_log")),
        sa.UniqueConstraint("event_id", "seq", name=op.f("uq_audit_log_event_id_seq")),
    )
    op.create_index("ix_audit_log_event_id_entity_id_seq", "audit_log", ["event_id", "entity_id", "seq"], unique=False)
    op.execute(INSERT_ONLY)
    op.execute(ON_ROWS)
    op.execute(ON_TRUNCATE)


def downgrade() -> None:
    op.drop_index("ix_audit_log_event_id_entity_id_seq", table_name="audit_log")
    op.drop_table("audit_log")
    op.drop_table("audit_heads")
    op.execute("DROP FUNCTION audit_log_is_insert_only")
