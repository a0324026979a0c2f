"""Applies what a provider says: each fact once, and with the same result in whatever order they come (R-ORD-6).

Facts only add up. A payment that has succeeded stays so, even if a late message describes an earlier state. Refunds
count by the provider's own total. The consequences for the order are computed again after each fact, from all that is
known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from shared.domain.ledger.commands import book
from shared.domain.ledger.rules import returned_pairs
from shared.domain.orders.paying import Outcome, mark_paid
from shared.domain.orders.releasing import release
from shared.domain.orders.states import State
from shared.domain.payments.messages import PAYMENT_RETURNED, PROVIDER_REFUND
from shared.domain.payments.provider import FINAL, Facts, PaymentStatus
from shared.domain.payments.refund_facts import RefundNotes
from shared.kit.ids import new_id
from shared.kit.outbox import writing as outbox
from shared.kit.outbox.kinds import Kind

_RANK = {status: rank for rank, status in enumerate(PaymentStatus)}

_FIND = "SELECT event_id, order_id FROM payments WHERE provider = %(provider)s AND reference = %(reference)s"
_ADD = """
INSERT INTO payments (event_id, id, order_id, provider, reference, status, amount_cents, currency, refunded_cents,
                      is_mismatch, created_at, updated_at)
SELECT o.event_id, %(id)s, o.id, %(provider)s, %(reference)s, 'created', %(amount_cents)s, %(currency)s, 0, false,
       %(now)s, %(now)s
  FROM orders o WHERE o.event_id = %(event_id)s AND o.id = %(order_id)s
    ON CONFLICT (event_id, provider, reference) DO NOTHING
"""
_LOCK_ORDER = """
SELECT status, total_cents, currency FROM orders
 WHERE event_id = %(event_id)s AND id = %(order_id)s FOR NO KEY UPDATE
"""
_LOCK = """
SELECT id, status, amount_cents, currency, refunded_cents, failure, is_mismatch, disputed_at FROM payments
 WHERE event_id = %(event_id)s AND provider = %(provider)s AND reference = %(reference)s FOR NO KEY UPDATE
"""
_UPDATE = """
UPDATE payments SET status = %(status)s, amount_cents = %(amount_cents)s, currency = %(currency)s,
       refunded_cents = %(refunded_cents)s, failure = %(failure)s,
       is_mismatch = %(is_mismatch)s, disputed_at = %(disputed_at)s, updated_at = %(now)s
 WHERE event_id = %(event_id)s AND id = %(id)s
   AND (status, amount_cents, currency, refunded_cents, failure, is_mismatch, disputed_at) IS DISTINCT FROM (
        %(status)s, %(amount_cents)s, %(currency)s, %(refunded_cents)s, %(failure)s, %(is_mismatch)s, %(disputed_at)s)
"""
_ASKED = """
UPDATE payments SET updated_at = %(now)s
 WHERE event_id = %(event_id)s AND id = ANY(%(ids)s) AND status NOT IN ('succeeded', 'cancelled')
"""
_OTHERS_ALIVE = """
SELECT count(*) FROM payments
 WHERE event_id = %(event_id)s AND order_id = %(order_id)s AND id <> %(id)s AND status <> 'cancelled'
"""
_SENT_BACK = """
SELECT 1 FROM refunds
 WHERE event_id = %(event_id)s AND payment_id = %(id)s AND reason IN ('paid_twice', 'paid_too_late', 'paid_wrongly')
"""
_STILL_THERE = """
SELECT provider, amount_cents - refunded_cents, currency FROM payments
 WHERE event_id = %(event_id)s AND id = %(id)s AND refunded_cents < amount_cents
"""
_RETURN = """
WITH returned AS (
  INSERT INTO refunds (event_id, id, order_id, payment_id, amount_cents, reason, status, created_at, updated_at)
  VALUES (%(event_id)s, %(refund_id)s, %(order_id)s, %(id)s, %(amount_cents)s, %(reason)s, 'pending', %(now)s, %(now)s)
)
"""
_RETURN += outbox.INSERT


@dataclass(slots=True)
class _Payment:
    id: UUID
    status: PaymentStatus
    amount_cents: int
    currency: str
    refunded_cents: int
    failure: str | None
    is_mismatch: bool
    disputed_at: datetime | None


def take_note(
    connection: psycopg.Connection[Any], provider: str, facts: Facts, *, asked: bool = False, now: datetime
) -> tuple[UUID, UUID] | None:
    """Apply what a provider says, and return the event and the order; inside the caller's transaction.

    `asked` says that the facts are an answer of this moment, so they may also say that a payment goes on after a
    failure. Returns None if the payment is not one of ours.
    """
    which = {"provider": provider, "reference": facts.reference, "now": now}
    found = connection.execute(_FIND, which).fetchone() or _add(connection, facts, which)
    if found is None:
        return None
    event_id, order_id = found
    which |= {"event_id": event_id, "order_id": order_id}
    order = connection.execute(_LOCK_ORDER, which).fetchone()
    with connection.cursor(row_factory=class_row(_Payment)) as cursor:
        payment = cursor.execute(_LOCK, which).fetchone()
    assert order is not None
    assert payment is not None
    status, total_cents, currency = order
    _merge(payment, facts, asked=asked, now=now)
    if payment.status == PaymentStatus.SUCCEEDED:
        payment.is_mismatch = (payment.amount_cents, payment.currency) != (total_cents, currency)
        pays = not payment.is_mismatch and _settle(
            connection, event_id, order_id, payment, provider=provider, reference=facts.reference, now=now
        )
        _note_refunds(connection, event_id, order_id, payment, facts, pays_order=pays, now=now)
    elif payment.status == PaymentStatus.CANCELLED and status == State.PENDING:
        others = connection.execute(_OTHERS_ALIVE, which | {"id": payment.id}).fetchone()
        if others == (0,):
            release(connection, event_id, [order_id], to=State.FAILED, now=now)
    fields = ("id", "status", "amount_cents", "currency", "refunded_cents", "failure", "is_mismatch", "disputed_at")
    connection.execute(_UPDATE, which | {name: getattr(payment, name) for name in fields})
    return event_id, order_id


def note_asked(
    connection: psycopg.Connection[Any], event_id: UUID, payment_ids: Sequence[UUID], *, now: datetime
) -> None:
    """Note that the provider was asked about these open payments: other payments come first the next time."""
    connection.execute(_ASKED, {"event_id": event_id, "ids": list(payment_ids), "now": now})


def _add(connection: psycopg.Connection[Any], facts: Facts, which: dict[str, Any]) -> tuple[UUID, UUID] | None:
    """Store a payment that we first hear of in a message: the process that began it ended before it could store it."""
    if facts.order is None or not facts.amount_cents or not facts.currency:
        return None
    event_id, order_id = facts.order
    amount = {"amount_cents": facts.amount_cents, "currency": facts.currency}
    ids = {"event_id": event_id, "order_id": order_id, "id": new_id()}
    connection.execute(_ADD, which | ids | amount)
    found = connection.execute(_FIND, which).fetchone()
    return None if found is None else (found[0], found[1])


def _merge(payment: _Payment, facts: Facts, *, asked: bool, now: datetime) -> None:
    """Add the facts to what is known."""
    # A refund means that the payment had succeeded.
    status = PaymentStatus.SUCCEEDED if facts.refunds or facts.refunded_cents else facts.status
    if status is not None:
        known = PaymentStatus(payment.status)
        goes_on = asked and known not in FINAL
        if goes_on or _RANK[status] > _RANK[known]:
            payment.status = status
        if status == payment.status:
            payment.failure = facts.failure
    # The amount that was really taken counts, if the provider says it.
    if facts.status == PaymentStatus.SUCCEEDED and facts.amount_cents is not None and facts.currency is not None:
        payment.amount_cents, payment.currency = facts.amount_cents, facts.currency
    payment.refunded_cents = max(payment.refunded_cents, facts.refunded_cents)
    if facts.disputed:
        payment.disputed_at = payment.disputed_at or now


def _note_refunds(
    connection: psycopg.Connection[Any],
    event_id: UUID,
    order_id: UUID,
    payment: _Payment,
    facts: Facts,
    *,
    pays_order: bool,
    now: datetime,
) -> None:
    if not facts.refunds and not payment.refunded_cents:
        return
    notes = RefundNotes(connection, event_id, order_id, payment_id=payment.id, pays_order=pays_order, now=now)
    for refund in facts.refunds:
        notes.take(refund)
    notes.take_sum(payment.refunded_cents)
    payment.refunded_cents = max(payment.refunded_cents, notes.told_cents)


def _settle(
    connection: psycopg.Connection[Any],
    event_id: UUID,
    order_id: UUID,
    payment: _Payment,
    *,
    provider: str,
    reference: str,
    now: datetime,
) -> bool:
    """Apply a payment that has succeeded, with the same result each time; return whether it pays the order.

    If it does not, its money goes back automatically.
    """
    which = {"event_id": event_id, "order_id": order_id, "id": payment.id}
    if connection.execute(_SENT_BACK, which).fetchone():
        return False  # it buys nothing any more, even if the stock is available again
    outcome = mark_paid(connection, event_id, order_id, method=provider, reference=reference, cause=payment.id, now=now)
    if outcome is Outcome.PAID:
        return True
    _send_back(
        connection,
        event_id,
        order_id,
        payment.id,
        money=(provider, payment.amount_cents, payment.currency),
        reason="paid_twice" if outcome is Outcome.PAID_OTHERWISE else "paid_too_late",
        notice=PAYMENT_RETURNED,
        now=now,
    )
    return False


def send_back(
    connection: psycopg.Connection[Any],
    event_id: UUID,
    order_id: UUID,
    payment_id: UUID,
    *,
    reason: str,
    notice: Kind,
    now: datetime,
) -> None:
    """Send back the money of a payment that bought nothing, except what has gone back already, and tell the buyer.

    Runs inside the caller's transaction, which has locked the order.
    """
    row = connection.execute(_STILL_THERE, {"event_id": event_id, "id": payment_id}).fetchone()
    if row is not None:
        provider, cents, currency = row
        money = (provider, cents, currency)
        _send_back(connection, event_id, order_id, payment_id, money=money, reason=reason, notice=notice, now=now)


def _send_back(
    connection: psycopg.Connection[Any],
    event_id: UUID,
    order_id: UUID,
    payment_id: UUID,
    *,
    money: tuple[str, int, str],
    reason: str,
    notice: Kind,
    now: datetime,
) -> None:
    provider, amount_cents, currency = money
    refund_id = new_id()
    told = {"refund_id": refund_id, "order_id": order_id}
    connection.execute(
        _RETURN,
        {
            "event_id": event_id,
            "order_id": order_id,
            "id": payment_id,
            "refund_id": refund_id,
            "amount_cents": amount_cents,
            "reason": reason,
            "messages": outbox.messages(event_id, (PROVIDER_REFUND, told), (notice, told), now=now),
            "now": now,
        },
    )
    pairs = returned_pairs(amount_cents, method=provider)
    book(connection, event_id, order_id, pairs, currency=currency, cause=refund_id, now=now)
