"""Erases personal data, and keeps what the books need (GDPR Art. 17(3)(b)): docs/decisions/0021.

Locks: first the orders by id, then the rows that cancelling pending orders needs (stock, promo codes), then the rows
that belong to an order (all other code locks the order before it changes them), and last the ends of the audit chains.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import psycopg
from sqlalchemy.orm import Session

from shared.domain.access.commands import erase_accounts
from shared.domain.audit.commands import Entity, record
from shared.domain.messaging.kinds import KINDS
from shared.domain.messaging.message_kind import OnceErased
from shared.domain.orders.erasing import erase_buyers
from shared.domain.orders.releasing import release
from shared.domain.orders.search.words import forget_words
from shared.domain.orders.states import State
from shared.domain.payments.commands import give_up_later
from shared.domain.payments.erasing import erase_payers
from shared.domain.privacy.errors import CustomerActive
from shared.domain.privacy.finding import find_subject
from shared.domain.privacy.placeholders import ERASED, ERASED_EMAIL
from shared.domain.privacy.schemas import ErasureOut
from shared.domain.tickets.commands import erase_holders
from shared.kit.actor import Actor
from shared.kit.db.unit_of_work import driver_connection
from shared.kit.ids import new_id
from shared.kit.outbox.keeping import About, drop_waiting, forget_errors

AT_ONCE = 200
"""How many orders one transaction erases; buyers may have to wait for the rows that it locks."""
_DROPPED = [kind for kind in KINDS if kind.once_erased is OnceErased.DROPPED]

type OrderKey = tuple[UUID, UUID]  # (event id, order id)
type Cause = Literal["request", "retention"]

_LOCK = """
SELECT o.id FROM orders o
 WHERE o.event_id = ANY(%(event_ids)s) AND o.id = ANY(%(order_ids)s) ORDER BY o.id FOR NO KEY UPDATE
"""
# A second statement, so that it sees what others committed while the first one waited for its locks.
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
_NOTE = """
INSERT INTO erasures (event_id, id, cause, orders, erased_at)
VALUES (%(event_id)s, %(erasure_id)s, %(cause)s, %(orders)s, %(now)s)
"""


def erase(
    session: Session, email: str, *, event_id: UUID | None, force: bool, actor: Actor, now: datetime
) -> ErasureOut:
    """Erase a customer's data in one event or (None) in all events; doing it again changes nothing.

    Raises `CustomerActive`, unless forced, if the customer still has valid tickets of an event that is not over, or a
    pending order. One call erases at most `AT_ONCE` orders; `complete` says whether those were all. Amounts, numbers,
    dates and the books stay as they are.
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
    # All orders of an event at once, so that its stock is locked in order.
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
        account="not_asked" if event_id else erase_accounts(session, email, subject.user_ids),
        complete=len(found) <= AT_ONCE and len(held) <= AT_ONCE,
    )


def erase_orders(session: Session, orders: Sequence[OrderKey], *, actor: Actor, now: datetime) -> int:
    """Erase the personal data of these orders, because the time to keep it is over; returns how many."""
    connection = driver_connection(session)
    locked = _lock(connection, orders, now=now)
    return _erase(session, sorted(locked), tickets=[], cause="retention", actor=actor, now=now)["orders"]


def _lock(
    connection: psycopg.Connection[Any], orders: Sequence[OrderKey], *, now: datetime
) -> dict[OrderKey, tuple[bool, bool]]:
    """Lock the orders; returns for each whether it is pending, and whether it has valid tickets of an event to come."""
    which = {"event_ids": sorted({event for event, _ in orders}), "order_ids": [order_id for _, order_id in orders]}
    connection.execute(_LOCK, which)
    rows = connection.execute(_STATE, which | {"now": now}).fetchall()
    return {(event, order_id): (pending, ahead) for event, order_id, pending, ahead in rows}


def _require_nothing_ahead(
    connection: psycopg.Connection[Any],
    locked: dict[OrderKey, tuple[bool, bool]],
    theirs: set[OrderKey],
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
            "Valid tickets of an event that is not over, or a pending order, would lose their owner. Refund or cancel"
            " them first, wait, or repeat the request with `force`.",
            orders_with_valid_tickets=ahead,
            pending_orders=pending,
            tickets_held=holds,
        )


def _erase(
    session: Session,
    orders: Sequence[OrderKey],
    *,
    tickets: Sequence[tuple[UUID, UUID]],
    cause: Cause,
    actor: Actor,
    now: datetime,
) -> Counter[str]:
    """Erase, event by event, and note in each event that it was done, but not whose data it was."""
    connection = driver_connection(session)
    total: Counter[str] = Counter()
    noted: dict[UUID, dict[str, int]] = {}
    for event_id in sorted({event for event, _ in (*orders, *tickets)}):
        order_ids = [order_id for event, order_id in orders if event == event_id]
        ticket_ids = [ticket for event, ticket in tickets if event == event_id]
        counts = erase_buyers(connection, event_id, order_ids, now=now)
        counts["tickets"] = erase_holders(
            connection, event_id, order_ids=order_ids, ticket_ids=ticket_ids, name=ERASED, email=ERASED_EMAIL
        )
        counts["provider_messages"] = erase_payers(connection, event_id, order_ids)
        # A message names only the order and no person; but the error that a mail server returned may name one.
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
