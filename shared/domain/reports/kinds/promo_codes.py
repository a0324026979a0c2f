"""How promo codes were used: a row is a code, used or not. Uses that an order gave back do not count."""

from shared.domain.access.permissions import Permission
from shared.domain.reports.kinds.columns import Column, Kind, amount, moment, word, yes_or_no

PROMO_CODES = Kind(
    name="promo_codes",
    permission=Permission.PROMO_CODES_READ,
    columns=(
        word("promo_code", "p.code"),
        yes_or_no("is_active", "p.is_active"),
        word("discount_type", "p.discount_type"),
        Column(
            "discount_value",
            "CASE p.discount_type WHEN 'percentage' THEN to_char(p.discount_value / 100.0, 'FM990.00') "
            f"ELSE {amount('', 'p.discount_value').expression} END",
        ),
        moment("starts_at", "p.starts_at"),
        moment("expires_at", "p.expires_at"),
        word("max_total_uses", "s.max_uses"),
        word("times_used", "s.uses"),
        amount("discount_given", "coalesce(u.discount, 0)"),
        amount("total_of_orders", "coalesce(u.total, 0)"),
        moment("first_used_at", "u.first_at"),
        moment("last_used_at", "u.last_at"),
    ),
    source="""
      promo_codes p
      JOIN promo_code_stock s ON s.event_id = p.event_id AND s.promo_code_id = p.id
      LEFT JOIN (SELECT c.promo_code_id, sum(c.discount_cents) AS discount, sum(o.total_cents) AS total,
                        min(c.created_at) AS first_at, max(c.created_at) AS last_at
                   FROM promo_code_uses c JOIN orders o ON o.event_id = c.event_id AND o.id = c.order_id
                  WHERE c.event_id = %(event_id)s AND c.returned_at IS NULL
                  GROUP BY c.promo_code_id) AS u ON u.promo_code_id = p.id
    """,
    condition="p.event_id = %(event_id)s",
    order="p.code",
)
