"""All orders, in every state: a row is an order."""

from shared.domain.access.permissions import Permission
from shared.domain.reports.kinds.columns import Kind, amount, moment, text, word

ORDERS = Kind(
    name="orders",
    permission=Permission.ORDERS_READ,
    columns=(
        word("order_number", "o.number"),
        word("status", "o.status"),
        word("channel", "o.channel"),
        moment("placed_at", "o.created_at"),
        moment("paid_at", "o.paid_at"),
        text("purchaser_name", "o.customer_name"),
        text("purchaser_email", "o.customer_email"),
        text("purchaser_phone", "o.customer_phone"),
        text("items", "i.items"),
        word("tickets", "i.tickets"),
        word("currency", "o.currency"),
        amount("subtotal", "o.subtotal_cents"),
        amount("discount", "o.discount_cents"),
        amount("fees", "o.fee_cents"),
        amount("tax", "o.tax_cents"),
        amount("total", "o.total_cents"),
        amount("included_fees", "o.included_fee_cents"),
        amount("included_tax", "o.included_tax_cents"),
        amount("refunded", "o.refunded_cents"),
        word("promo_code", "o.promo_code"),
        word("payment_method", "o.payment_method"),
        text("payment_reference", "o.payment_reference"),
        text("sold_by", "u.email"),
    ),
    source="""
      orders o
      LEFT JOIN users u ON u.id = o.placed_by
      LEFT JOIN (SELECT order_id, sum(quantity * seats_per_package) AS tickets,
                        string_agg(quantity || ' × ' || description, '; ' ORDER BY position) AS items
                   FROM order_items WHERE event_id = %(event_id)s GROUP BY order_id) AS i ON i.order_id = o.id
    """,
    condition="o.event_id = %(event_id)s",
    order="o.created_at, o.id",
)
