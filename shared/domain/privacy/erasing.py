"""Erasing what is personal, and leaving what the books need (GDPR Art. 17(3)(b)): docs/decisions/0021.

Locks: the orders by id, then what cancelling those under way needs (stock, promo codes), then the rows below an order,
which whoever changes them reaches through the order; the ends of the audit chains last.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from sqlalchemy.orm import Session

from shared.domain.audit.commands import Entity, record
from shared.domain.messaging.kinds import KINDS
from shared.domain.messaging.message_kind import OnceErased
from shared.domain.orders.releasing import release
from shared.domain.orders.search.words import forget_words
from shared.domain.orders.states import State
from shared.domain.payments.commands import give_up_later
from shared.domain.privacy.errors import CustomerActive
from shared.domain.privacy.finding import find_subject
from shared.domain.privacy.placeholders import ERASED, ERASED_EMAIL
from shared.domain.privacy.schemas import ErasureOut
from shared.kit.actor import Actor
from shared.kit.db.unit_of_work import driver_connection
from shared.kit.ids import new_id
from shared.kit.outbox.keeping import About, drop_waiting, forget_errors

AT_ONCE = 200
"""Orders that one transaction erases: what it locks, buyers may wait for."""
_DROPPED = [kind for kind in KINDS if kind.once_erased is OnceErased.DROPPED]

type Address = tuple[UUID, UUID]  # (event id, order id)
type Cause = Literal["request", "retention"]

_LOCK = """
SELECT o.id FROM orders o
 WHERE o.event_id = ANY(%(event_ids)s) AND o.id = ANY(%(order_ids)s) ORDER BY o.id FOR NO KEY UPDATE
"""
# A statement of its own: it sees what was committed while the locks were waited for.
_STATE = """
SELECT o.event_id, o.id, o.status = 'pending' AS pending,
       e.ends_at > %(now)s AND e.status <> 'cancelled' AND EXISTS (
         SELECT FROM order_items i JOIN tickets t ON t.event_id = i.event_id AND t.order_item_id = i.id
          WHERE i.event_id = o.event_id AND i.order_id = o.id AND t.status IN ('valid', 'transferred')) AS ahead
  FROM orders o JOIN events e ON e.id = o.event_id
 WHERE o.event_id = ANY(%(event_ids)s) AND o.id = ANY(%(order_ids)s)
"""
_HOLDS_AHEAD = """
SELECT count(*) FROM tickets t JOIN events e ON e.id = t.event_id
 WHERE t.event_id = ANY(%(event_ids)s) AND t.id = ANY(%(ticket_ids)s) AND t.status IN ('valid', 'transferred')
   AND e.ends_at > %(now)s AND e.status <> 'cancelled'
"""
_ERASE_ORDERS = """
UPDATE orders SET customer_name = %(erased)s, customer_email = %(erased_email)s, customer_phone = NULL,
       customer_user_id = NULL, erased_at = %(now)s
 WHERE event_id = %(event_id)s AND id = ANY(%(order_ids)s) AND erased_at IS NULL
"""
_ERASE_HOLDERS = """
UPDATE tickets t SET holder_name = CASE WHEN t.holder_name IS NOT NULL THEN %(erased)s END,
       holder_email = CASE WHEN t.holder_email IS NOT NULL THEN %(erased_email)s END
 WHERE t.event_id = %(event_id)s
   AND (t.id = ANY(%(ticket_ids)s) OR t.order_item_id IN (
        SELECT i.id FROM order_items i WHERE i.event_id = %(event_id)s AND i.order_id = ANY(%(order_ids)s)))
   AND (t.holder_name, t.holder_email) IS DISTINCT FROM (%(erased)s, %(erased_email)s)
   AND (t.holder_name IS NOT NULL OR t.holder_email IS NOT NULL)
"""
_ERASE_ANSWERS = """
UPDATE option_answers a SET value = %(erased_value)s
  FROM order_items i
 WHERE i.event_id = %(event_id)s AND i.order_id = ANY(%(order_ids)s)
   AND a.event_id = i.event_id AND a.order_item_id = i.id AND a.value IS NOT NULL AND a.value <> %(erased_value)s
"""
_ERASE_REFUNDS = """
UPDATE refunds SET last_error = NULL,
       reason = CASE WHEN reason = ANY(%(own_words)s) THEN reason ELSE %(erased)s END
 WHERE event_id = %(event_id)s AND order_id = ANY(%(order_ids)s)
"""
_ERASE_MESSAGES = """
UPDATE provider_messages m SET payload = jsonb_build_object('id', m.id, 'type', m.kind, 'erased', true)
  FROM payments p
 WHERE p.event_id = %(event_id)s AND p.order_id = ANY(%(order_ids)s)
   AND m.provider = p.provider AND m.reference = p.reference AND NOT m.payload ? 'erased'
"""
_ERASE_NOTES = """
UPDATE order_notes SET text = %(erased)s
 WHERE event_id = %(event_id)s AND order_id = ANY(%(order_ids)s) AND text <> %(erased)s
"""
_NOTE = """
INSERT INTO erasures (event_id, id, cause, orders, erased_at)
VALUES (%(event_id)s, %(erasure_id)s, %(cause)s, %(orders)s, %(now)s)
"""
_IN_A_TEAM = "SELECT 1 FROM event_members WHERE email = %(email)s OR user_id = ANY(%(user_ids)s) LIMIT 1"
_ERASE_ACCOUNTS = """
UPDATE users SET email = NULL, name = NULL
 WHERE id = ANY(%(user_ids)s) AND NOT is_super_admin AND (email IS NOT NULL OR name IS NOT NULL)
"""
# What the system itself writes as the reason of a refund, and goes by later.
_OWN_WORDS = ["paid_twice", "paid_too_late", "paid_wrongly", "refunded_at_the_provider", ERASED]


def erase(
    session: Session, email: str, *, event_id: UUID | None, force: bool, actor: Actor, now: datetime
) -> ErasureOut:
    """Erase a customer's data in one event or (None) in all; again, it finds nothing left to do.

    Raises `CustomerActive` unless forced where something is still ahead of them. At most `AT_ONCE` orders; `complete`
    says whether that was all. Amounts, numbers, dates and the books stay as they are.
    """
    connection = driver_connection(session)
    subject = find_subject(connection, email, event_id=event_id)
    found = subject.orders(connection, at_most=AT_ONCE + 1, only_unerased=True)
    held = subject.held_tickets(connection, at_most=AT_ONCE + 1)
    orders, tickets = found[:AT_ONCE], held[:AT_ONCE]
    locked = _lock(connection, [*orders, *((event, order_id) for event, order_id, _ in tickets)], now=now)
    theirs = set(orders)
    pending = sorted(address for address in theirs if locked.get(address, (False, False))[0])
    if not force:
        _require_nothing_ahead(connection, locked, theirs, tickets, pending=len(pending), now=now)
    # All of an event's at once, so that its stock is locked in order.
    for event in sorted({event for event, _ in pending}):
        waiting = [order_id for other, order_id in pending if other == event]
        for order_id in release(connection, event, waiting, to=State.CANCELLED, now=now):
            give_up_later(session, event, order_id, now=now)
    holders = [(event, ticket) for event, _, ticket in tickets]
    tally = _erase(session, orders, tickets=holders, cause="request", actor=actor, now=now)
    return ErasureOut(
        orders=tally["orders"],
        cancelled_orders=len(pending),
        tickets=tally["tickets"],
        answers=tally["answers"],
        provider_messages=tally["provider_messages"],
        account="not_asked" if event_id else _erase_accounts(connection, email, subject.user_ids),
        complete=len(found) <= AT_ONCE and len(held) <= AT_ONCE,
    )


def erase_orders(session: Session, orders: Sequence[Address], *, actor: Actor, now: datetime) -> int:
    """Erase what is personal in these orders, whoever's they are, because their time is up; returns how many."""
    connection = driver_connection(session)
    locked = _lock(connection, orders, now=now)
    return _erase(session, sorted(locked), tickets=[], cause="retention", actor=actor, now=now)["orders"]


def _lock(
    connection: psycopg.Connection[Any], orders: Sequence[Address], *, now: datetime
) -> dict[Address, tuple[bool, bool]]:
    """Lock the orders; says of each whether it waits for its payment, and whether its tickets are still to be used."""
    which = {"event_ids": sorted({event for event, _ in orders}), "order_ids": [order_id for _, order_id in orders]}
    connection.execute(_LOCK, which)
    rows = connection.execute(_STATE, which | {"now": now}).fetchall()
    return {(event, order_id): (pending, ahead) for event, order_id, pending, ahead in rows}


def _require_nothing_ahead(
    connection: psycopg.Connection[Any],
    locked: dict[Address, tuple[bool, bool]],
    theirs: set[Address],
    tickets: Sequence[tuple[UUID, UUID, UUID]],
    *,
    pending: int,
    now: datetime,
) -> None:
    ahead = sum(1 for address in theirs if locked.get(address, (False, False))[1])
    which = {"event_ids": sorted({event for event, *_ in tickets}), "ticket_ids": [ticket for *_, ticket in tickets]}
    row = connection.execute(_HOLDS_AHEAD, which | {"now": now}).fetchone()
    holds = row[0] if row else 0
    if pending or ahead or holds:
        raise CustomerActive(
            "Valid tickets of an event that is not over, or an order under way, would lose their owner; refund or"
            " cancel them first, wait, or force it.",
            orders_with_valid_tickets=ahead,
            pending_orders=pending,
            tickets_held=holds,
        )


def _erase(
    session: Session,
    orders: Sequence[Address],
    *,
    tickets: Sequence[tuple[UUID, UUID]],
    cause: Cause,
    actor: Actor,
    now: datetime,
) -> Counter[str]:
    """Erase, event by event, and note in each that it was done; not whose data it was."""
    connection = driver_connection(session)
    total: Counter[str] = Counter()
    noted: dict[UUID, dict[str, int]] = {}
    for event_id in sorted({event for event, _ in (*orders, *tickets)}):
        order_ids = [order_id for event, order_id in orders if event == event_id]
        which = {
            "event_id": event_id,
            "order_ids": order_ids,
            "ticket_ids": [ticket for event, ticket in tickets if event == event_id],
            "erased": ERASED,
            "erased_email": ERASED_EMAIL,
            "erased_value": Jsonb(ERASED),
            "own_words": _OWN_WORDS,
            "now": now,
        }
        counts = {
            "orders": connection.execute(_ERASE_ORDERS, which).rowcount,
            "tickets": connection.execute(_ERASE_HOLDERS, which).rowcount,
            "answers": connection.execute(_ERASE_ANSWERS, which).rowcount,
            "provider_messages": connection.execute(_ERASE_MESSAGES, which).rowcount,
        }
        for statement in (_ERASE_REFUNDS, _ERASE_NOTES):
            connection.execute(statement, which)
        # By themselves messages name nobody, only the order; but a mail server's refusal does.
        about = About(event_id, "order_id", order_ids)
        drop_waiting(connection, about, _DROPPED, now=now)
        forget_errors(connection, about)
        total.update(counts)
        if any(counts.values()):
            noted[event_id] = counts
            forget_words(connection, event_id)
    for event_id, counts in noted.items():
        erasure_id = new_id()
        note = {"event_id": event_id, "erasure_id": erasure_id, "cause": cause, "orders": counts["orders"], "now": now}
        connection.execute(_NOTE, note)
    for event_id, counts in noted.items():
        done = {"erased": (None, {"cause": cause, **counts})}
        record(session, event_id, Entity.PRIVACY, "customer", done, actor=actor, now=now)
    return total


def _erase_accounts(
    connection: psycopg.Connection[Any], email: str, user_ids: list[UUID]
) -> Literal["none", "erased", "kept"]:
    if not user_ids:
        return "none"
    which = {"email": email, "user_ids": user_ids}
    if connection.execute(_IN_A_TEAM, which).fetchone():
        return "kept"
    return "erased" if connection.execute(_ERASE_ACCOUNTS, which).rowcount else "kept"
