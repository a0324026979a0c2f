"""What was sold (R-SALES-3): a row is a ticket, or an order line without tickets.

A line's price is split over its tickets to the cent, so that the columns add up to the revenue.
"""

from typing import LiteralString

from shared.domain.access.permissions import Permission
from shared.domain.reports.kinds.columns import Kind, amount, moment, text, word


def _share(column: LiteralString) -> LiteralString:
    """Return the SQL of a ticket's share of a line's cents; the first tickets get the cents that are left over."""
    tickets = "greatest(i.quantity * i.seats_per_package, 1)"
    return f"(i.{column} / {tickets} + (coalesce(t.place, 1) <= i.{column} %% {tickets})::int)"


SALES = Kind(
    name="sales",
    permission=Permission.SALES_READ,
    columns=(
        text("package_name", "i.description"),
        text("purchaser_name", "o.customer_name"),
        text("purchaser_email", "o.customer_email"),
        moment("purchase_date", "o.created_at"),
        text("guest_name", "t.holder_name"),
        text("guest_email", "t.holder_email"),
        word("promo_code", "o.promo_code"),
        amount("discount_applied", _share("discount_cents")),
        amount("final_price", _share("total_cents")),
    ),
    source="""
      orders o
      JOIN order_items i ON i.event_id = o.event_id AND i.order_id = o.id
      LEFT JOIN (SELECT k.id, k.order_item_id, k.holder_name, k.holder_email,
                   row_number() OVER (PARTITION BY k.order_item_id ORDER BY k.number) AS place
              FROM tickets k WHERE k.event_id = %(event_id)s) AS t ON t.order_item_id = i.id
    """,
    condition="o.event_id = %(event_id)s AND o.status IN ('paid', 'partially_refunded', 'refunded')"
    " AND (t.id IS NOT NULL OR i.seats_per_package = 0)",
    order="o.created_at, o.id, i.position, t.place",
    with_answers=True,
)
