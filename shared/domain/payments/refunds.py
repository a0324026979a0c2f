"""Refunds: decided, booked and queued in one transaction; the provider is told afterwards (R-ORD-7)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import class_row, dict_row
from sqlalchemy.orm import Session

from shared.domain.audit.commands import Entity, record
from shared.domain.ledger.commands import book
from shared.domain.ledger.rules import refund_pair
from shared.domain.orders.errors import NoSuchOrder
from shared.domain.orders.states import SOLD, State
from shared.domain.payments.errors import NotRefundable
from shared.domain.payments.messages import PROVIDER_REFUND, REFUND_NOTICE
from shared.domain.payments.provider import RefundStatus
from shared.domain.payments.refund_rules import Plan, SoldLine, Wish, plan_refund
from shared.domain.promotions.redeeming import return_uses
from shared.kit.actor import Actor
from shared.kit.db.idempotency import Idempotency
from shared.kit.db.unit_of_work import driver_connection
from shared.kit.ids import new_id
from shared.kit.outbox.writing import enqueue

_LOCK_ORDER = """
SELECT o.status, o.total_cents, o.refunded_cents, o.payment_method, o.payment_reference, o.currency, e.return_promo_uses
  FROM orders o JOIN events e ON e.id = o.event_id
 WHERE o.event_id = %(event_id)s AND o.id = %(order_id)s FOR NO KEY UPDATE OF o
"""
_LINES = """
SELECT i.id AS item_id, i.package_id, i.quantity, i.seats_per_package,
       i.total_cents + i.fee_cents + i.tax_cents AS gross_cents, i.returned
  FROM order_items i WHERE i.event_id = %(event_id)s AND i.order_id = %(order_id)s ORDER BY i.position
"""
_TICKETS = """
SELECT t.order_item_id, t.id, t.status = 'void' AS void FROM tickets t
 WHERE t.event_id = %(event_id)s AND t.order_item_id = ANY(%(item_ids)s) ORDER BY t.number FOR NO KEY UPDATE
"""
_PAYMENT = """
SELECT id FROM payments WHERE event_id = %(event_id)s AND order_id = %(order_id)s AND status = 'succeeded'
   AND reference = %(reference)s
"""
_UPDATE_ORDER = """
UPDATE orders SET refunded_cents = refunded_cents + %(amount_cents)s, status = %(status)s
 WHERE event_id = %(event_id)s AND id = %(order_id)s
"""
_VOID = "UPDATE tickets SET status = 'void' WHERE event_id = %(event_id)s AND id = ANY(%(ticket_ids)s)"
_NOTE_RETURNED = """
UPDATE order_items i SET returned = i.returned + r.quantity
  FROM unnest(%(item_ids)s::uuid[], %(quantities)s::bigint[]) AS r(item_id, quantity)
 WHERE i.event_id = %(event_id)s AND i.id = r.item_id
"""
_RETURN_STOCK = "SELECT settle_stock(%(event_id)s, %(packages)s::uuid[], %(none)s::bigint[], %(less)s::bigint[])"
_ADD_REFUND = """
INSERT INTO refunds (event_id, id, order_id, payment_id, amount_cents, reason, status, created_by, created_at,
                     updated_at)
VALUES (%(event_id)s, %(refund_id)s, %(order_id)s, %(payment_id)s, %(amount_cents)s, %(reason)s, %(refund_status)s,
        %(actor_id)s, %(now)s, %(now)s)
"""


@dataclass(frozen=True, slots=True)
class _Order:
    status: State
    total_cents: int
    refunded_cents: int
    payment_method: str
    payment_reference: str | None
    currency: str
    return_promo_uses: bool


def refund_order(
    session: Session,
    event_id: UUID,
    order_id: UUID,
    wish: Wish,
    *,
    reason: str,
    actor: Actor,
    idempotency: Idempotency,
    now: datetime,
) -> UUID:
    """Refund what is wished of a paid order, with an audit entry and the key; returns the refund's id.

    Raises `NoSuchOrder`, `NotRefundable`, `RefundExceedsPaid`, `InvalidInput`. Locks the order first: refunds of one
    order happen one after the other, so together they never exceed what was paid. Locks the audit chain last.
    """
    connection = driver_connection(session)
    order = _lock(connection, event_id, order_id)
    if order.status not in SOLD:
        raise NotRefundable(f"The order is {order.status}.")
    plan = plan_refund(
        wish,
        _lines(connection, event_id, order_id),
        total_cents=order.total_cents,
        refunded_cents=order.refunded_cents,
    )
    which = {"event_id": event_id, "order_id": order_id, "reference": order.payment_reference}
    payment = connection.execute(_PAYMENT, which).fetchone()
    refund_id = new_id()
    add_refund(
        connection,
        event_id,
        order_id,
        refund_id,
        payment_id=payment[0] if payment else None,
        amount_cents=plan.amount_cents,
        status=RefundStatus.PENDING if payment else RefundStatus.SUCCEEDED,
        reason=reason,
        actor_id=actor.user_id,
        now=now,
    )
    if payment:
        told = {"order_id": order_id, "refund_id": refund_id}
        enqueue(connection, event_id, PROVIDER_REFUND, told, now=now)
    _carry_out(connection, event_id, order_id, order, plan, refund_id=refund_id, now=now)
    idempotency.remember(session, refund_id, now=now)
    made = {"refund": (None, {"amount_cents": plan.amount_cents, "tickets": len(plan.voided), "reason": reason})}
    record(session, event_id, Entity.ORDER, order_id, made, actor=actor, now=now)
    return refund_id


def book_refund_elsewhere(
    connection: psycopg.Connection[Any],
    event_id: UUID,
    order_id: UUID,
    amount_cents: int,
    *,
    refund_id: UUID,
    now: datetime,
) -> None:
    """Let a refund that was made without us have its effect on the order: as much of it as is left to refund."""
    order = _lock(connection, event_id, order_id)
    amount_cents = min(amount_cents, order.total_cents - order.refunded_cents)
    if amount_cents <= 0 or order.status not in SOLD:
        return
    plan = plan_refund(
        Wish(amount_cents=amount_cents),
        _lines(connection, event_id, order_id),
        total_cents=order.total_cents,
        refunded_cents=order.refunded_cents,
    )
    _carry_out(connection, event_id, order_id, order, plan, refund_id=refund_id, now=now)


def add_refund(
    connection: psycopg.Connection[Any],
    event_id: UUID,
    order_id: UUID,
    refund_id: UUID,
    *,
    payment_id: UUID | None,
    amount_cents: int,
    status: RefundStatus,
    reason: str,
    actor_id: UUID | None = None,
    now: datetime,
) -> None:
    """Put a refund on record."""
    what = {"event_id": event_id, "order_id": order_id, "refund_id": refund_id, "payment_id": payment_id}
    how = {"amount_cents": amount_cents, "refund_status": status, "reason": reason, "actor_id": actor_id, "now": now}
    connection.execute(_ADD_REFUND, what | how)


def _lock(connection: psycopg.Connection[Any], event_id: UUID, order_id: UUID) -> _Order:
    with connection.cursor(row_factory=class_row(_Order)) as cursor:
        order = cursor.execute(_LOCK_ORDER, {"event_id": event_id, "order_id": order_id}).fetchone()
    if order is None:
        raise NoSuchOrder
    return order


def _lines(connection: psycopg.Connection[Any], event_id: UUID, order_id: UUID) -> list[SoldLine]:
    with connection.cursor(row_factory=dict_row) as cursor:
        items = cursor.execute(_LINES, {"event_id": event_id, "order_id": order_id}).fetchall()
    tickets: dict[UUID, list[tuple[UUID, bool]]] = {item["item_id"]: [] for item in items}
    rows = connection.execute(_TICKETS, {"event_id": event_id, "item_ids": list(tickets)})
    for item_id, ticket_id, void in rows:
        tickets[item_id].append((ticket_id, void))
    return [SoldLine(**item, tickets=tuple(tickets[item["item_id"]])) for item in items]


def _carry_out(
    connection: psycopg.Connection[Any],
    event_id: UUID,
    order_id: UUID,
    order: _Order,
    plan: Plan,
    *,
    refund_id: UUID,
    now: datetime,
) -> None:
    which = {"event_id": event_id, "order_id": order_id}
    status = State.REFUNDED if plan.is_all else State.PARTIALLY_REFUNDED
    connection.execute(_UPDATE_ORDER, which | {"amount_cents": plan.amount_cents, "status": status.value})
    connection.execute(_VOID, which | {"ticket_ids": plan.voided})
    _give_back(connection, event_id, order_id, order, plan, now=now)
    pair = refund_pair(plan.amount_cents, method=order.payment_method)
    book(connection, event_id, order_id, [pair], currency=order.currency, cause=refund_id, now=now)
    told = {"order_id": order_id, "refund_id": refund_id}
    enqueue(connection, event_id, REFUND_NOTICE, told, now=now)


def _give_back(
    connection: psycopg.Connection[Any], event_id: UUID, order_id: UUID, order: _Order, plan: Plan, *, now: datetime
) -> None:
    """Let what was returned be bought by others: after the order, the stock, then the code."""
    which = {"event_id": event_id, "order_id": order_id}
    if plan.returned:
        items = {"item_ids": list(plan.returned), "quantities": list(plan.returned.values())}
        connection.execute(_NOTE_RETURNED, which | items)
        by_package: dict[UUID, int] = {}
        for item_id, package_id in connection.execute(
            "SELECT id, package_id FROM order_items WHERE event_id = %(event_id)s AND id = ANY(%(item_ids)s)",
            which | items,
        ).fetchall():
            by_package[package_id] = by_package.get(package_id, 0) + plan.returned[item_id]
        stock = {
            "packages": list(by_package),
            "none": [0] * len(by_package),
            "less": [-quantity for quantity in by_package.values()],
        }
        connection.execute(_RETURN_STOCK, which | stock)
    if plan.is_all and order.return_promo_uses:
        return_uses(connection, event_id, [order_id], now=now)
