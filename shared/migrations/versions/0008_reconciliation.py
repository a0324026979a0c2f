"""What the books' checks have found, for the metrics; and no count of a customer's tickets beside the tickets.

A count that is kept has to be kept by everything that sells, expires, cancels and refunds, also while the event limits
nobody: one that was missed once made the next release fail. The tickets themselves are counted instead, when there is
a limit, one order of a customer after the other.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# The lock is the customer's own; it ends with the transaction. Each statement sees what was committed before it began,
# so the count sees the order of whoever held the lock before.
CLAIM_FOR_CUSTOMER = """
CREATE OR REPLACE FUNCTION claim_for_customer(
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

OLD_CLAIM_FOR_CUSTOMER = """
CREATE OR REPLACE FUNCTION claim_for_customer(
  the_event uuid, the_order uuid, the_customer text, wanted bigint, at_most bigint
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  has bigint;
BEGIN
  LOOP
    UPDATE customer_tickets AS mine SET tickets = mine.tickets + wanted
     WHERE mine.event_id = the_event AND mine.customer = the_customer RETURNING mine.tickets INTO has;
    IF NOT FOUND THEN
      SELECT coalesce(sum((i.quantity - i.returned) * i.seats_per_package), 0) + wanted INTO has
        FROM orders o JOIN order_items i ON i.event_id = o.event_id AND i.order_id = o.id
       WHERE o.event_id = the_event AND o.customer = the_customer AND o.id <> the_order
         AND o.status IN ('pending', 'paid', 'partially_refunded');
      INSERT INTO customer_tickets (event_id, customer, tickets) VALUES (the_event, the_customer, has)
          ON CONFLICT DO NOTHING;
      CONTINUE WHEN NOT FOUND;
    END IF;
    IF has > at_most THEN
      RAISE EXCEPTION 'customer has too many tickets' USING ERRCODE = 'BX004', DETAIL = (has - wanted)::text;
    END IF;
    RETURN;
  END LOOP;
END
$$
"""


def upgrade() -> None:
    op.execute(CLAIM_FOR_CUSTOMER)
    op.drop_table("customer_tickets")
    op.create_table(
        "reconciliations",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("findings", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("stock_drift", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_reconciliations_event_id")),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_reconciliations")),
    )


def downgrade() -> None:
    op.drop_table("reconciliations")
    op.create_table(
        "customer_tickets",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("customer", sa.Text(), nullable=False),
        sa.Column("tickets", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("tickets >= 0", name=op.f("ck_customer_tickets_tickets")),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name=op.f("fk_customer_tickets_event_id")),
        sa.PrimaryKeyConstraint("event_id", "customer", name=op.f("pk_customer_tickets")),
    )
    op.execute(OLD_CLAIM_FOR_CUSTOMER)
