"""The guest list: a row is a ticket that has been issued and is not void, with its buyer's answers."""

from shared.domain.access.permissions import Permission
from shared.domain.reports.kinds.columns import Kind, moment, text, word

ATTENDEES = Kind(
    name="attendees",
    permission=Permission.ORDERS_READ,
    columns=(
        word("ticket_number", "t.number"),
        word("status", "t.status"),
        text("package_name", "i.description"),
        text("guest_name", "t.holder_name"),
        text("guest_email", "t.holder_email"),
        text("purchaser_name", "o.customer_name"),
        text("purchaser_email", "o.customer_email"),
        text("purchaser_phone", "o.customer_phone"),
        word("order_number", "o.number"),
        moment("purchase_date", "o.created_at"),
    ),
    source="""
      tickets t
      JOIN order_items i ON i.event_id = t.event_id AND i.id = t.order_item_id
      JOIN orders o ON o.event_id = i.event_id AND o.id = i.order_id
    """,
    condition="t.event_id = %(event_id)s AND t.status NOT IN ('reserved', 'void')",
    order="i.description, o.created_at, o.id, t.number",
    with_answers=True,
)
