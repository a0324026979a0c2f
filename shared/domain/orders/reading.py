"""An order as people see it, read in one statement: buyers, the team, our messages and every payment ask for it."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from shared.domain.orders.schemas import CustomerOut, OrderOut
from shared.domain.tickets.queries import tickets_out

_OWN_FIELDS = tuple(OrderOut.model_fields.keys() - {"customer", "items", "tickets", "payment"})

_READ = text(f"""
SELECT {", ".join(f"o.{name}" for name in _OWN_FIELDS)},
       o.customer_name, o.customer_email, o.customer_phone, o.customer_user_id, o.access_token_hash,
       o.payment_method, coalesce(last.reference, o.payment_reference) AS payment_reference, last.failure,
       (SELECT json_agg(json_build_object(
                 'id', i.id, 'kind', i.kind, 'package_id', i.package_id, 'description', i.description,
                 'quantity', i.quantity, 'unit_price_cents', i.unit_price_cents, 'discount_cents', i.discount_cents,
                 'total_cents', i.total_cents, 'fee_cents', i.fee_cents, 'tax_cents', i.tax_cents,
                 'included_fee_cents', i.included_fee_cents, 'included_tax_cents', i.included_tax_cents,
                 'fair_market_value_cents', i.fair_market_value_cents, 'answers', coalesce(given.answers, '[]'))
               ORDER BY i.position)
          FROM order_items i
          LEFT JOIN LATERAL (
            SELECT json_agg(json_build_object('option_id', a.option_id, 'label', a.label, 'value', a.value,
                                              'ticket_id', a.ticket_id) ORDER BY a.position) AS answers
              FROM option_answers a WHERE a.event_id = i.event_id AND a.order_item_id = i.id) AS given ON true
         WHERE i.event_id = o.event_id AND i.order_id = o.id) AS items,
       (SELECT json_agg(json_build_object('id', t.id, 'number', t.number, 'status', t.status, 'name', t.holder_name,
                                          'email', t.holder_email, 'revision', t.code_revision) ORDER BY t.number)
          FROM order_items i
          JOIN tickets t ON t.event_id = i.event_id AND t.order_item_id = i.id AND t.status <> 'reserved'
         WHERE i.event_id = o.event_id AND i.order_id = o.id) AS tickets
  FROM orders o
  LEFT JOIN LATERAL (
    SELECT p.reference, p.failure FROM payments p
     WHERE o.paid_at IS NULL AND p.event_id = o.event_id AND p.order_id = o.id
     ORDER BY p.id DESC LIMIT 1) AS last ON true
 WHERE o.id = :order_id AND (CAST(:event_id AS uuid) IS NULL OR o.event_id = :event_id)
""")  # noqa: S608 - the names are the schema's own

_PAYMENT_STATUS = {
    "pending": "pending",
    "failed": "failed",
    "expired": "failed",
    "cancelled": "failed",
    "refunded": "refunded",
}


def read_order(session: Session, order_id: UUID, *, event_id: UUID | None = None) -> Row[Any] | None:
    """The order's row as it is now, of any event or of this one; `order_out` makes of it what is shown.

    It also has what opens the order: `customer_user_id`, `access_token_hash`.
    """
    return session.execute(_READ, {"order_id": order_id, "event_id": event_id}).one_or_none()


def order_out(row: Row[Any]) -> OrderOut:
    """What is shown of an order that was read."""
    fields = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for it
    return OrderOut.model_validate(
        {name: fields[name] for name in _OWN_FIELDS}
        | {
            "customer": CustomerOut(name=row.customer_name, email=row.customer_email, phone=row.customer_phone),
            "items": fields["items"],
            "tickets": tickets_out(row.event_id, row.tickets or ()),
            "payment": {
                "method": row.payment_method,
                "status": _PAYMENT_STATUS.get(row.status, "paid"),
                "provider_reference": row.payment_reference,
                "failure": row.failure,
            },
        }
    )
