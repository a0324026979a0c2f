"""Repairs what the checks have found, with one click for each finding (R-ORD-8).

The order is locked and the finding is checked again. Only a finding that still holds is repaired, so a repair does no
harm if it is done twice, or at the same time as the normal process.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from sqlalchemy.orm import Session

from shared.domain.audit.commands import Entity, record
from shared.domain.ledger.errors import NoSuchFinding, NotRepairable
from shared.domain.ledger.reconciling import BY_KIND, KINDS, PROVIDER_MISMATCH, look, look_again
from shared.domain.orders.mending import issue_missing, take_back
from shared.domain.orders.releasing import release
from shared.domain.orders.states import State
from shared.domain.payments.facts import send_back, take_note
from shared.domain.payments.messages import REFUND_NOTICE
from shared.domain.payments.provider import FINAL, Facts
from shared.domain.payments.providers import provider_named
from shared.domain.payments.refunds import ask_again
from shared.kit.actor import Actor
from shared.kit.db.unit_of_work import driver_connection

# For each kind of finding: whether its subject exists, and the order to lock for it.
_SUBJECTS = {
    "stock_drift": "SELECT NULL::uuid FROM stock WHERE event_id = %(event_id)s AND id = %(id)s",
    "promo_drift": "SELECT NULL::uuid FROM promo_code_stock WHERE event_id = %(event_id)s AND promo_code_id = %(id)s",
    **dict.fromkeys(
        ("payment_mismatch", "payment_unused", "payment_disputed", PROVIDER_MISMATCH),
        "SELECT order_id FROM payments WHERE event_id = %(event_id)s AND id = %(id)s",
    ),
    **dict.fromkeys(
        ("refund_stuck", "refund_failed"),
        "SELECT order_id FROM refunds WHERE event_id = %(event_id)s AND id = %(id)s",
    ),
}
_ORDER = "SELECT id FROM orders WHERE event_id = %(event_id)s AND id = %(id)s"
_LOCK_ORDER = "SELECT 1 FROM orders WHERE event_id = %(event_id)s AND id = %(order_id)s FOR NO KEY UPDATE"
_PAYMENT = "SELECT provider, reference FROM payments WHERE event_id = %(event_id)s AND id = %(id)s"
WRONG_AMOUNT = "paid_wrongly"


def ask_about(connection: psycopg.Connection[Any], event_id: UUID, finding: str) -> Facts | None:
    """Return what the provider says now about a finding's payment; None if no provider is concerned.

    The provider is asked outside any transaction. Raises `NoSuchFinding`, `ProviderDown`.
    """
    kind, subject = _named(finding)
    if kind != PROVIDER_MISMATCH:
        return None
    row = connection.execute(_PAYMENT, {"event_id": event_id, "id": subject}).fetchone()
    if row is None:
        raise NoSuchFinding
    provider = provider_named(row[0])
    return None if provider is None else look(provider, row[1])


def repair(session: Session, event_id: UUID, finding: str, *, told: Facts | None, actor: Actor, now: datetime) -> bool:
    """Repair a finding, with an audit entry; return whether there was still something to repair.

    `told` is what the provider has just said, if it was asked. Raises `NoSuchFinding`, `NotRepairable`. Locks the order
    first and the audit chain last.
    """
    repaired, order_id = _repair(driver_connection(session), event_id, finding, told=told, now=now)
    if repaired and order_id is not None:
        made = {"repaired": (None, finding)}
        record(session, event_id, Entity.ORDER, order_id, made, actor=actor, now=now)
    return repaired


def _repair(
    connection: psycopg.Connection[Any], event_id: UUID, finding: str, *, told: Facts | None, now: datetime
) -> tuple[bool, UUID | None]:
    """Repair a finding; return whether there was something to repair, and the order that it was about."""
    kind, subject = _named(finding)
    which = {"event_id": event_id, "id": subject}
    row = connection.execute(_SUBJECTS.get(kind, _ORDER), which).fetchone()
    if row is None:
        raise NoSuchFinding
    order_id: UUID | None = row[0]
    if order_id is not None:
        connection.execute(_LOCK_ORDER, which | {"order_id": order_id})
    if kind == PROVIDER_MISMATCH:
        return _note(connection, event_id, subject, told, now=now), order_id
    found = look_again(connection, event_id, BY_KIND[kind], subject, now=now)
    if found is None:
        return False, order_id
    if not found.repairable or order_id is None:
        raise NotRepairable(f"{found.detail} This can't be repaired automatically; people have to decide.")
    _put_right(connection, event_id, kind, subject, order_id, now=now)
    return True, order_id


def _named(finding: str) -> tuple[str, UUID]:
    kind, _, subject = finding.partition(":")
    try:
        if kind in KINDS:
            return kind, UUID(subject)
    except ValueError:
        pass
    raise NoSuchFinding


def _put_right(
    connection: psycopg.Connection[Any], event_id: UUID, kind: str, subject: UUID, order_id: UUID, *, now: datetime
) -> None:
    match kind:
        case "paid_not_issued":
            issue_missing(connection, event_id, order_id, now=now)
        case "issued_not_paid":
            take_back(connection, event_id, order_id)
        case "order_overdue":
            release(connection, event_id, [order_id], to=State.EXPIRED, now=now)
        case "payment_mismatch":
            send_back(connection, event_id, order_id, subject, reason=WRONG_AMOUNT, notice=REFUND_NOTICE, now=now)
        case "payment_unused":
            row = connection.execute(_PAYMENT, {"event_id": event_id, "id": subject}).fetchone()
            assert row is not None
            take_note(connection, row[0], Facts(row[1]), now=now)
        case _:  # a refund that is stuck or has failed
            ask_again(connection, event_id, order_id, subject, now=now)


def _note(
    connection: psycopg.Connection[Any], event_id: UUID, payment_id: UUID, told: Facts | None, *, now: datetime
) -> bool:
    """Apply what the provider has just said about the payment; return whether that was news."""
    statement = "SELECT provider, status FROM payments WHERE event_id = %(event_id)s AND id = %(id)s"
    row = connection.execute(statement, {"event_id": event_id, "id": payment_id}).fetchone()
    assert row is not None
    if told is None or told.status not in FINAL or row[1] in FINAL:
        return False
    take_note(connection, row[0], told, asked=True, now=now)
    return True
