"""Refunds are decided, booked and queued in one transaction; the provider is told afterwards (R-ORD-7)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy.orm import Session

from shared.domain.audit.commands import Entity, record
from shared.domain.ledger.commands import book
from shared.domain.ledger.rules import refund_pair
from shared.domain.orders.returning import PaidOrder, SoldLine, lock_paid, return_lines, sold_lines
from shared.domain.orders.states import SOLD
from shared.domain.payments.errors import NotRefundable
from shared.domain.payments.messages import PROVIDER_REFUND, REFUND_NOTICE
from shared.domain.payments.provider import RefundStatus
from shared.domain.payments.refund_rules import Plan, Wish, plan_refund
from shared.kit.actor import Actor
from shared.kit.db.idempotency import Idempotency
from shared.kit.db.unit_of_work import driver_connection
from shared.kit.ids import new_id
from shared.kit.outbox.keeping import About, try_again
from shared.kit.outbox.writing import enqueue

_PAYMENT = """
SELECT id FROM payments WHERE event_id = %(event_id)s AND order_id = %(order_id)s AND status = 'succeeded'
   AND reference = %(reference)s
"""
_PENDING_AGAIN = """
UPDATE refunds SET status = 'pending', updated_at = %(now)s WHERE event_id = %(event_id)s AND id = %(refund_id)s
"""
_ADD_REFUND = """
INSERT INTO refunds (event_id, id, order_id, payment_id, amount_cents, reason, status, created_by, created_at,
                     updated_at)
VALUES (%(event_id)s, %(refund_id)s, %(order_id)s, %(payment_id)s, %(amount_cents)s, %(reason)s, %(refund_status)s,
        %(actor_id)s, %(now)s, %(now)s)
"""


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
    """Refund what the wish names of a paid order; return the refund's id.

    Also stores an audit entry and the idempotency key. Raises `NoSuchOrder`, `NotRefundable`, `RefundExceedsPaid`,
    `InvalidInput`. Locks the order first: refunds of one order happen one after the other, so together they never
    exceed what was paid. Locks the audit chain last.
    """
    connection = driver_connection(session)
    order = lock_paid(connection, event_id, order_id)
    if order.status not in SOLD:
        raise NotRefundable(f"The order is {order.status}.")
    lines = sold_lines(connection, event_id, order_id)
    plan = plan_refund(wish, lines, total_cents=order.total_cents, refunded_cents=order.refunded_cents)
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
    _carry_out(connection, event_id, order_id, order, plan, lines=lines, refund_id=refund_id, now=now)
    idempotency.remember(session, refund_id, now=now)
    made = {"refund": (None, {"amount_cents": plan.amount_cents, "tickets": len(plan.voided), "reason": reason})}
    record(session, event_id, Entity.ORDER, order_id, made, actor=actor, now=now)
    return refund_id


def ask_again(
    connection: psycopg.Connection[Any], event_id: UUID, order_id: UUID, refund_id: UUID, *, now: datetime
) -> None:
    """Have the provider asked again for a refund that is stuck or was refused.

    The refund's id is the key at the provider, so the money is sent once. Runs inside the caller's transaction, which
    has locked the order.
    """
    connection.execute(_PENDING_AGAIN, {"event_id": event_id, "refund_id": refund_id, "now": now})
    if not try_again(connection, About(event_id, "refund_id", [refund_id]), PROVIDER_REFUND):
        enqueue(connection, event_id, PROVIDER_REFUND, {"order_id": order_id, "refund_id": refund_id}, now=now)


def book_refund_elsewhere(
    connection: psycopg.Connection[Any],
    event_id: UUID,
    order_id: UUID,
    amount_cents: int,
    *,
    refund_id: UUID,
    now: datetime,
) -> None:
    """Apply a refund that was made without us to the order, up to the amount that is left to refund."""
    order = lock_paid(connection, event_id, order_id)
    amount_cents = min(amount_cents, order.total_cents - order.refunded_cents)
    if amount_cents <= 0 or order.status not in SOLD:
        return
    lines = sold_lines(connection, event_id, order_id)
    wish = Wish(amount_cents=amount_cents)
    plan = plan_refund(wish, lines, total_cents=order.total_cents, refunded_cents=order.refunded_cents)
    _carry_out(connection, event_id, order_id, order, plan, lines=lines, refund_id=refund_id, now=now)


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
    """Store a refund."""
    what = {"event_id": event_id, "order_id": order_id, "refund_id": refund_id, "payment_id": payment_id}
    how = {"amount_cents": amount_cents, "refund_status": status, "reason": reason, "actor_id": actor_id, "now": now}
    connection.execute(_ADD_REFUND, what | how)


def _carry_out(
    connection: psycopg.Connection[Any],
    event_id: UUID,
    order_id: UUID,
    order: PaidOrder,
    plan: Plan,
    *,
    lines: Sequence[SoldLine],
    refund_id: UUID,
    now: datetime,
) -> None:
    return_lines(
        connection,
        event_id,
        order_id,
        lines,
        amount_cents=plan.amount_cents,
        voided=plan.voided,
        returned=plan.returned,
        is_all=plan.is_all,
        return_promo_uses=order.return_promo_uses,
        now=now,
    )
    pair = refund_pair(plan.amount_cents, method=order.payment_method)
    book(connection, event_id, order_id, [pair], currency=order.currency, cause=refund_id, now=now)
    told = {"order_id": order_id, "refund_id": refund_id}
    enqueue(connection, event_id, REFUND_NOTICE, told, now=now)
