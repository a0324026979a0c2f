"""Makes an order paid: issues its tickets, sells its stock, books the sale, queues the confirmation (R-ORD-6)."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from shared.domain.ledger.commands import book
from shared.domain.ledger.rules import Amounts, sale_pairs
from shared.domain.orders.lines.queries import claimed
from shared.domain.orders.messages import ORDER_CONFIRMATION
from shared.domain.orders.states import State, may_become
from shared.domain.promotions.redeeming import CLAIM_REFUSED as PROMO_CLAIM_REFUSED
from shared.domain.promotions.redeeming import redeem_again
from shared.domain.stock.commands import (
    CLAIM_REFUSED,
    CUSTOMER_REFUSED,
    claim_for_customer,
    retake,
    sell_held,
)
from shared.domain.tickets.commands import issue
from shared.kit.outbox.writing import enqueue

_LOCK = """
SELECT status, erased_at IS NOT NULL AS erased, payment_reference, customer, currency, subtotal_cents AS subtotal,
       discount_cents AS discount, fee_cents AS fee, tax_cents AS tax, included_fee_cents AS included_fee,
       included_tax_cents AS included_tax
  FROM orders WHERE event_id = %(event_id)s AND id = %(order_id)s FOR NO KEY UPDATE
"""
_TICKETS = """
SELECT e.max_tickets_per_customer, sum(i.quantity * i.seats_per_package)::bigint
  FROM order_items i JOIN events e ON e.id = i.event_id
 WHERE i.event_id = %(event_id)s AND i.order_id = %(order_id)s GROUP BY e.id
"""
_PAID = """
UPDATE orders SET status = 'paid', paid_at = %(now)s, expires_at = NULL, payment_method = %(method)s,
       payment_reference = %(reference)s
 WHERE event_id = %(event_id)s AND id = %(order_id)s
"""


class Outcome(Enum):
    """The effect that a payment had."""

    PAID = auto()
    """This payment pays the order, or had paid it before."""
    PAID_OTHERWISE = auto()
    """Another payment had already paid the order: this money must go back."""
    TOO_LATE = auto()
    """The order had ended and can't be paid any more (sold out, or cancelled): this money must go back."""


@dataclass(frozen=True, slots=True)
class _Order:
    status: State
    erased: bool
    payment_reference: str | None
    customer: str
    currency: str
    subtotal: int
    discount: int
    fee: int
    tax: int
    included_fee: int
    included_tax: int

    @property
    def amounts(self) -> Amounts:
        return Amounts(self.subtotal, self.discount, self.fee, self.tax, self.included_fee, self.included_tax)


def mark_paid(
    connection: psycopg.Connection[Any],
    event_id: UUID,
    order_id: UUID,
    *,
    method: str,
    reference: str,
    cause: UUID,
    now: datetime,
) -> Outcome:
    """Apply a payment that has succeeded to its order, once; inside the caller's transaction.

    An order that has expired meanwhile takes its packages again if they are still available and its customer may have
    them.
    """
    which = {"event_id": event_id, "order_id": order_id}
    with connection.cursor(row_factory=class_row(_Order)) as cursor:
        order = cursor.execute(_LOCK, which).fetchone()
    if order is None or not may_become(order.status, State.PAID):
        paid_by_this = order is not None and order.payment_reference == reference
        if paid_by_this:
            return Outcome.PAID
        was_paid = order is not None and order.status != State.CANCELLED
        return Outcome.PAID_OTHERWISE if was_paid else Outcome.TOO_LATE
    # Tickets could not be sent to a customer whose data was erased: their money goes back.
    if order.erased or not _take(connection, event_id, order_id, order):
        return Outcome.TOO_LATE
    connection.execute(_PAID, which | {"method": method, "reference": reference, "now": now})
    issue(connection, event_id, order_id)
    pairs = sale_pairs(order.amounts, method=method)
    book(connection, event_id, order_id, pairs, currency=order.currency, cause=cause, now=now)
    enqueue(connection, event_id, ORDER_CONFIRMATION, {"order_id": order_id}, now=now)
    return Outcome.PAID


def _take(connection: psycopg.Connection[Any], event_id: UUID, order_id: UUID, order: _Order) -> bool:
    """Sell what the order held, or take it again if it was given back, all or nothing; return whether that worked."""
    has = claimed(connection, event_id, [order_id])
    if order.status == State.PENDING:
        sell_held(connection, event_id, has)
        return True
    try:
        with connection.transaction():  # a savepoint: if one claim is refused, the others are undone
            retake(connection, event_id, has)
            redeem_again(connection, event_id, order_id)
            _take_for_customer(connection, event_id, order_id, order.customer)
    except psycopg.DatabaseError as error:
        if error.sqlstate in {CLAIM_REFUSED, PROMO_CLAIM_REFUSED, CUSTOMER_REFUSED}:
            return False
        raise
    return True


def _take_for_customer(connection: psycopg.Connection[Any], event_id: UUID, order_id: UUID, customer: str) -> None:
    row = connection.execute(_TICKETS, {"event_id": event_id, "order_id": order_id}).fetchone()
    assert row is not None
    at_most, tickets = row
    if at_most is not None:
        claim_for_customer(connection, event_id, order_id, customer=customer, tickets=tickets, at_most=at_most)
