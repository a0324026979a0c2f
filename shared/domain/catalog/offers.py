"""Reads what an event sells, for an order, in one statement (R-ORD-2)."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from shared.kit.db.arrays import array

# This path does without the ORM: round trips and Python limit its speed, not the row lock (docs/performance.md).
_READ = """
SELECT e.status AS event_status, e.currency, e.max_tickets_per_customer, e.order_expiry_minutes, e.tax_included,
       e.fee_included,
       coalesce(p.tax_percent, e.tax_percent) AS tax_percent, coalesce(p.fee_percent, e.fee_percent) AS fee_percent,
       coalesce(p.fee_cents, e.fee_cents) AS fee_cents, p.fair_market_value_cents,
       p.id, p.name, p.price_cents, p.seats_per_package, p.is_enabled, p.min_per_order, p.max_per_order,
       p.sale_starts_at, p.sale_ends_at, p.options_per, s.terms,
       (SELECT jsonb_agg(jsonb_build_object('id', o.id, 'label', o.label, 'type', o.option_type, 'choices', o.choices,
                                            'max_choices', o.max_choices, 'required', o.is_required)
                         ORDER BY o.display_order)
          FROM custom_options o
         WHERE o.event_id = p.event_id AND o.package_id = p.id AND o.is_active) AS options,
       CASE WHEN s.quantity_limit IS NOT NULL THEN greatest(s.quantity_limit - s.held - s.sold, 0) END AS remaining
  FROM events e
  LEFT JOIN ticket_packages p ON p.event_id = e.id AND p.id = ANY(%(package_ids)s::uuid[])
  LEFT JOIN stock s ON s.event_id = p.event_id AND s.id = p.id
 WHERE e.id = %(event_id)s
"""


def read_packages(
    connection: psycopg.Connection[Any], event_id: UUID, package_ids: Collection[UUID]
) -> list[dict[str, Any]]:
    """Return one row for each of these packages: the event's terms, the package, its options, and how many remain.

    Amounts are in cents. If the event has none of the packages, there is one row without a package. If there is no such
    event, there is no row.
    """
    which = {"event_id": event_id, "package_ids": array(package_ids)}
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_READ, which, prepare=True).fetchall()
