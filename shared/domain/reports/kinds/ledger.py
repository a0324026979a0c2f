"""The books: a row is a movement of money, the oldest first (R-ORD-8)."""

from shared.domain.access.permissions import Permission
from shared.domain.reports.kinds.columns import Kind, amount, moment, word

LEDGER = Kind(
    name="ledger",
    permission=Permission.SALES_READ,
    columns=(
        moment("booked_at", "l.created_at"),
        word("order_number", "o.number"),
        word("kind", "l.kind"),
        word("debit", "l.debit"),
        word("credit", "l.credit"),
        amount("amount", "l.amount_cents"),
        word("currency", "l.currency"),
        word("cause", "l.cause"),
        word("entry_id", "l.id"),
    ),
    source="ledger l JOIN orders o ON o.event_id = l.event_id AND o.id = l.order_id",
    condition="l.event_id = %(event_id)s",
    order="l.created_at, l.id",
)
