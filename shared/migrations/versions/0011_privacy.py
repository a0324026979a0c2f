"""Erasing personal data; guests are counted by a keyed hash of their mailbox instead of the address."""

import base64
import hmac
import os

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

GUESTS = sa.text(
    """
SELECT customer FROM orders WHERE customer LIKE 'email:%'
 UNION SELECT customer FROM promo_code_uses WHERE customer LIKE 'email:%'
 UNION SELECT customer FROM promo_code_customers WHERE customer LIKE 'email:%'
"""
)
RENAME = """
UPDATE {table} t SET customer = r.hashed
  FROM unnest(CAST(:plain AS text[]), CAST(:hashed AS text[])) AS r(plain, hashed) WHERE t.customer = r.plain
"""
COUNTED_BY_CUSTOMER = ("orders", "promo_code_uses", "promo_code_customers")
# Stripe's messages; what they tell of is the PaymentIntent itself, or names it.
REFERENCES = """
UPDATE provider_messages SET reference = coalesce(
  payload #>> '{data,object,payment_intent}',
  CASE WHEN payload #>> '{data,object,object}' = 'payment_intent' THEN payload #>> '{data,object,id}' END)
 WHERE provider = 'stripe'
"""


def upgrade() -> None:
    op.add_column("orders", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("provider_messages", sa.Column("reference", sa.Text(), nullable=True))
    op.execute(REFERENCES)
    op.create_index(op.f("ix_provider_messages_reference"), "provider_messages", ["reference"], unique=False)
    op.create_table(
        "erasures",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("orders", sa.BigInteger(), nullable=False),
        sa.Column("erased_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("files_dropped_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("cause IN ('request', 'retention')", name=op.f("ck_erasures_cause")),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_erasures_event_id")),
        sa.PrimaryKeyConstraint("event_id", "id", name=op.f("pk_erasures")),
    )
    op.create_index(
        "ix_erasures_files",
        "erasures",
        ["erased_at"],
        unique=False,
        postgresql_where=sa.text("files_dropped_at IS NULL"),
    )
    _hash_guests()


def downgrade() -> None:
    # Hashes stay: an address can't be had back from one. The older code counts those guests anew.
    op.drop_index("ix_erasures_files", table_name="erasures", postgresql_where=sa.text("files_dropped_at IS NULL"))
    op.drop_table("erasures")
    op.drop_index(op.f("ix_provider_messages_reference"), table_name="provider_messages")
    op.drop_column("provider_messages", "reference")
    op.drop_column("orders", "erased_at")


def _hash_guests() -> None:
    """Rename the guests of all orders so far, as `promotions/redeeming.py` names those to come."""
    connection = op.get_bind()
    plain = [row[0] for row in connection.execute(GUESTS)]
    if not plain:
        return
    key = base64.b64decode(os.environ.get("ORDER_LINK_KEY", ""))
    if len(key) != 32:
        raise SystemExit("Set ORDER_LINK_KEY as the app has it: guests are counted by a hash with it from now on.")
    hashed = [_hashed(key, customer) for customer in plain]
    for table in COUNTED_BY_CUSTOMER:
        connection.execute(sa.text(RENAME.format(table=table)), {"plain": plain, "hashed": hashed})


def _hashed(key: bytes, customer: str) -> str:
    digest = hmac.digest(key, b"customer " + customer.encode(), "sha256")
    return f"guest:{base64.urlsafe_b64encode(digest[:18]).decode()}"
