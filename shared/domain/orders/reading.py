"""An order as it is shown: buyers, the team, our messages and every payment read it here.

An order is either read in one statement or has just been drafted. Both give `order_out` the same record: the columns of
the order, its `items` with their `answers`, and its `tickets`, all under the names of their columns. So a new field
needs a column, a place in the draft's record (`placing/records.py`) and a field of the schema.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.orm import Session

from shared.domain.orders.schemas import AnswerOut, CustomerOut, OrderItemOut, OrderOut
from shared.domain.tickets.queries import tickets_out
from shared.domain.tickets.states import TicketState

_OWN_FIELDS = tuple(OrderOut.model_fields.keys() - {"customer", "items", "tickets", "payment"})


def _json(alias: str, fields: Iterable[str]) -> str:
    return ", ".join(f"'{name}', {alias}.{name}" for name in fields)


_ITEM = _json("i", OrderItemOut.model_fields.keys() - {"answers"})
_ANSWER = _json("a", AnswerOut.model_fields)
_TICKET = _json("t", ("id", "number", "status", "holder_name", "holder_email", "code_revision"))
_READ = text(f"""
SELECT {", ".join(f"o.{name}" for name in _OWN_FIELDS)},
       o.customer_name, o.customer_email, o.customer_phone, o.customer_user_id, o.access_token_hash,
       o.payment_method, coalesce(last.reference, o.payment_reference) AS payment_reference, last.failure,
       (SELECT json_agg(json_build_object({_ITEM}, 'answers', coalesce(given.answers, '[]')) ORDER BY i.position)
          FROM order_items i
          LEFT JOIN LATERAL (
            SELECT json_agg(json_build_object({_ANSWER}) ORDER BY a.position) AS answers
              FROM option_answers a WHERE a.event_id = i.event_id AND a.order_item_id = i.id) AS given ON true
         WHERE i.event_id = o.event_id AND i.order_id = o.id) AS items,
       (SELECT json_agg(json_build_object({_TICKET}) ORDER BY t.number)
          FROM order_items i
          JOIN tickets t ON t.event_id = i.event_id AND t.order_item_id = i.id
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


def read_order(session: Session, order_id: UUID, *, event_id: UUID | None = None) -> RowMapping | None:
    """Return the order's record as it is now, or None; with `event_id`, only an order of that event.

    `order_out` turns the record into what is shown. The record also has the fields that decide who may see the order:
    `customer_user_id` and `access_token_hash`.
    """
    return session.execute(_READ, {"order_id": order_id, "event_id": event_id}).mappings().one_or_none()


def order_out[Shown: OrderOut](record: Mapping[Any, Any], shown: type[Shown], **more: Any) -> Shown:
    """Return what is shown of an order, in the schema `shown`; reserved tickets are left out."""
    issued = [ticket for ticket in record["tickets"] or () if ticket["status"] != TicketState.RESERVED]
    fields = {name: record[name] for name in _OWN_FIELDS}
    fields["customer"] = CustomerOut(
        name=record["customer_name"], email=record["customer_email"], phone=record["customer_phone"]
    )
    fields["items"] = record["items"]
    fields["tickets"] = tickets_out(record["event_id"], issued)
    fields["payment"] = {
        "method": record["payment_method"],
        "status": _PAYMENT_STATUS.get(record["status"], "paid"),
        "provider_reference": record["payment_reference"],
        "failure": record.get("failure"),
    }
    return shown.model_validate(fields | more)
