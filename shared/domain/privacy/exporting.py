"""Exports all data about an e-mail address as one document: a customer's right of access (GDPR Art. 15, 20)."""

from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row
from sqlalchemy.orm import Session

from shared.domain.audit.commands import Entity, record
from shared.domain.privacy.finding import Subject, find_subject
from shared.kit.actor import Actor
from shared.kit.db.unit_of_work import driver_connection

AT_ONCE = 1_000
"""How many orders one document holds; the caller asks again for more."""

_OF_ORDERS = {
    "orders": """
        SELECT o.event_id, o.id, o.number, o.status, o.channel, o.customer_name, o.customer_email, o.customer_phone,
               o.currency, o.subtotal_cents, o.discount_cents, o.fee_cents, o.tax_cents, o.total_cents,
               o.refunded_cents, o.promo_code, o.payment_method, o.payment_reference, o.created_at, o.paid_at,
               o.expires_at, o.erased_at, o.customer_user_id IS NOT NULL AS by_account
          FROM orders o WHERE o.event_id = ANY(%(event_ids)s) AND o.id = ANY(%(order_ids)s) ORDER BY o.id
    """,
    "items": """
        SELECT i.event_id, i.order_id, i.id, i.description, i.quantity, i.unit_price_cents, i.discount_cents,
               i.total_cents, i.fee_cents, i.tax_cents, i.returned
          FROM order_items i WHERE i.event_id = ANY(%(event_ids)s) AND i.order_id = ANY(%(order_ids)s)
         ORDER BY i.order_id, i.position
    """,
    "answers": """
        SELECT a.event_id, i.order_id, a.order_item_id, a.ticket_id, a.label, a.value
          FROM option_answers a
          JOIN order_items i ON i.event_id = a.event_id AND i.id = a.order_item_id
         WHERE i.event_id = ANY(%(event_ids)s) AND i.order_id = ANY(%(order_ids)s)
         ORDER BY i.order_id, i.position, a.position
    """,
    "tickets": """
        SELECT t.event_id, i.order_id, t.id, t.number, t.status, t.holder_name, t.holder_email, t.created_at
          FROM tickets t
          JOIN order_items i ON i.event_id = t.event_id AND i.id = t.order_item_id
         WHERE i.event_id = ANY(%(event_ids)s) AND i.order_id = ANY(%(order_ids)s) ORDER BY t.number
    """,
    "promo_code_uses": """
        SELECT u.event_id, u.order_id, c.code, u.discount_cents, u.created_at, u.returned_at
          FROM promo_code_uses u
          JOIN promo_codes c ON c.event_id = u.event_id AND c.id = u.promo_code_id
         WHERE u.event_id = ANY(%(event_ids)s) AND u.order_id = ANY(%(order_ids)s) ORDER BY u.order_id
    """,
    "payments": """
        SELECT p.event_id, p.order_id, p.provider, p.reference, p.status, p.amount_cents, p.currency,
               p.refunded_cents, p.failure, p.disputed_at, p.created_at, p.updated_at
          FROM payments p WHERE p.event_id = ANY(%(event_ids)s) AND p.order_id = ANY(%(order_ids)s) ORDER BY p.id
    """,
    "refunds": """
        SELECT r.event_id, r.order_id, r.id, r.amount_cents, r.reason, r.status, r.created_at, r.updated_at
          FROM refunds r WHERE r.event_id = ANY(%(event_ids)s) AND r.order_id = ANY(%(order_ids)s) ORDER BY r.id
    """,
    "provider_messages": """
        SELECT m.provider, m.id, m.kind, m.payload, m.outcome, m.received_at
          FROM provider_messages m
         WHERE (m.provider, m.reference) IN (
               SELECT p.provider, p.reference FROM payments p
                WHERE p.event_id = ANY(%(event_ids)s) AND p.order_id = ANY(%(order_ids)s))
         ORDER BY m.received_at, m.id
    """,
    "notes": """
        SELECT n.event_id, n.order_id, n.text, n.created_at
          FROM order_notes n WHERE n.event_id = ANY(%(event_ids)s) AND n.order_id = ANY(%(order_ids)s) ORDER BY n.id
    """,
    "messages": """
        SELECT m.event_id, m.payload ->> 'order_id' AS order_id, m.kind, m.created_at, m.done_at, m.attempts,
               m.last_error
          FROM outbox m
         WHERE m.event_id = ANY(%(event_ids)s) AND m.payload ->> 'order_id' = ANY(%(order_ids)s::uuid[]::text[])
         ORDER BY m.created_at, m.id
    """,
}
_OF_TICKETS = """
SELECT t.event_id, t.id, t.number, t.status, t.holder_name, t.holder_email, t.created_at
  FROM tickets t WHERE t.event_id = ANY(%(event_ids)s) AND t.id = ANY(%(ticket_ids)s) ORDER BY t.number
"""
_ACCOUNTS = """
SELECT id, issuer, subject, email, name, is_super_admin, created_at FROM users WHERE id = ANY(%(user_ids)s)
"""
_MEMBERSHIPS = """
SELECT event_id, email, role, created_at FROM event_members
 WHERE (email = %(email)s OR user_id = ANY(%(user_ids)s))
   AND (%(event_id)s::uuid IS NULL OR event_id = %(event_id)s) ORDER BY event_id
"""
# What the person changed as a member of a team: audit entries name their actor.
_DEEDS = """
SELECT event_id, at, entity_type, entity_id, field, old_value, new_value FROM audit_log
 WHERE (actor_email = %(email)s OR actor_id = ANY(%(user_ids)s))
   AND (%(event_id)s::uuid IS NULL OR event_id = %(event_id)s) ORDER BY at, seq LIMIT %(at_most)s
"""


def export(
    session: Session, email: str, *, event_id: UUID | None, after: UUID | None, actor: Actor, now: datetime
) -> dict[str, Any]:
    """Return all data about an address, in one event or (None) in all; the audit trail of each event notes it.

    The document holds at most `AT_ONCE` orders, by id, after the order `after`; `next` is the `after` of the next call.
    The account is included only in an export of all events. Memberships, and what the person changed as a member of a
    team, are included for the event or events in question.
    """
    connection = driver_connection(session)
    subject = find_subject(connection, email, event_id=event_id)
    found = subject.orders(connection, at_most=AT_ONCE + 1, after=after)
    orders = found[:AT_ONCE]
    document: dict[str, Any] = {
        "email": email,
        "event_id": event_id,
        "made_at": now,
        "next": orders[-1][1] if len(found) > AT_ONCE else None,
        **_rows_of_orders(connection, orders),
        **_rows_of_person(connection, subject),
    }
    told_of = {row["event_id"] for part in ("orders", "tickets_held", "memberships") for row in document[part]}
    for told in sorted(told_of):
        count = sum(1 for event, _ in orders if event == told)
        made = {"exported": (None, {"orders": count})}
        record(session, told, Entity.PRIVACY, "customer", made, actor=actor, now=now)
    return document


def _rows_of_orders(connection: psycopg.Connection[Any], orders: list[tuple[UUID, UUID]]) -> dict[str, Any]:
    which = {"event_ids": sorted({event for event, _ in orders}), "order_ids": [order_id for _, order_id in orders]}
    return {name: _read(connection, statement, which) for name, statement in _OF_ORDERS.items()}


def _rows_of_person(connection: psycopg.Connection[Any], subject: Subject) -> dict[str, Any]:
    held = subject.held_tickets(connection, at_most=AT_ONCE)
    tickets = {"event_ids": sorted({event for event, *_ in held}), "ticket_ids": [ticket for *_, ticket in held]}
    which = {
        "email": subject.email,
        "event_id": subject.event_id,
        "user_ids": subject.user_ids,
        "at_most": AT_ONCE,
    }
    return {
        "tickets_held": _read(connection, _OF_TICKETS, tickets),
        "accounts": _read(connection, _ACCOUNTS, which) if subject.event_id is None else [],
        "memberships": _read(connection, _MEMBERSHIPS, which),
        "changes_made": _read(connection, _DEEDS, which),
    }


def _read(connection: psycopg.Connection[Any], statement: str, which: dict[str, Any]) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement.encode(), which).fetchall()
