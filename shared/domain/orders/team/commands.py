"""What the team does for buyers: it adds notes, and sends the confirmation again (R-SALES-6, R-TKT-6)."""

import math
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row
from sqlalchemy.orm import Session

from shared.domain.audit.commands import Entity, record
from shared.domain.orders.errors import NoSuchOrder, NothingToSend, ResentTooOften
from shared.domain.orders.messages import ORDER_CONFIRMATION
from shared.domain.orders.models import Order, OrderNote
from shared.domain.orders.states import SOLD
from shared.domain.orders.team.schemas import NoteOut, ResendOut
from shared.domain.orders.team.timeline import note_of
from shared.kit.actor import Actor
from shared.kit.db.idempotency import Idempotency
from shared.kit.db.unit_of_work import driver_connection
from shared.kit.ids import new_id
from shared.kit.outbox.writing import enqueue

RESENDS_AT_MOST = 3
RESENDS_WITHIN = timedelta(hours=1)

# Resends of one order happen one after the other, so that they can be counted.
_LOCK = """
SELECT status, customer, customer_email FROM orders
 WHERE event_id = %(event_id)s AND id = %(order_id)s FOR NO KEY UPDATE
"""
# One mailbox may have many orders: the limit counts the resends of all of them together.
_LOCK_CUSTOMER = "SELECT pg_advisory_xact_lock(hashtextextended('resend ' || %(event_id)s || ' ' || %(customer)s, 0))"
_RECENT = """
SELECT m.created_at FROM orders o
  JOIN outbox m ON m.event_id = o.event_id AND m.payload ->> 'order_id' = o.id::text
 WHERE o.event_id = %(event_id)s AND o.customer = %(customer)s
   AND m.payload ? 'resent_by' AND m.created_at > %(since)s
 ORDER BY m.created_at DESC LIMIT %(at_most)s
"""
_RESENT = """
SELECT m.id AS message_id, o.customer_email AS to, m.created_at AS queued_at
  FROM outbox m JOIN orders o ON o.event_id = m.event_id AND o.id = (m.payload ->> 'order_id')::uuid
 WHERE m.event_id = %(event_id)s AND m.id = %(message_id)s
"""


def add_note(session: Session, event_id: UUID, order_id: UUID, text: str, *, actor: Actor, now: datetime) -> NoteOut:
    """Add a note to an order; raises `NoSuchOrder`."""
    if session.get(Order, (event_id, order_id)) is None:
        raise NoSuchOrder
    assert actor.user_id is not None
    note_id = new_id()
    session.add(
        OrderNote(event_id=event_id, id=note_id, order_id=order_id, text=text, author_id=actor.user_id, created_at=now)
    )
    return note_of(driver_connection(session), event_id, order_id, note_id)


def resend(
    session: Session, event_id: UUID, order_id: UUID, *, actor: Actor, idempotency: Idempotency, now: datetime
) -> UUID:
    """Queue the confirmation with the tickets again; return the message's id.

    Also stores an audit entry and the idempotency key. Raises `NoSuchOrder`, `NothingToSend`, and, so that nobody's
    mailbox can be flooded, `ResentTooOften`: all of a customer's orders of the event together may be sent again three
    times an hour. Locks the order, then the customer, and the audit chain last.
    """
    connection = driver_connection(session)
    which: dict[str, Any] = {"event_id": event_id, "order_id": order_id}
    order = connection.execute(_LOCK, which).fetchone()
    if order is None:
        raise NoSuchOrder
    status, customer, _ = order
    if status not in SOLD:
        raise NothingToSend(f"The order is {status}: it has no tickets to send.", order_status=status)
    which["customer"] = customer
    connection.execute(_LOCK_CUSTOMER, which)
    window = {"since": now - RESENDS_WITHIN, "at_most": RESENDS_AT_MOST}
    recent = connection.execute(_RECENT, which | window).fetchall()
    if len(recent) == RESENDS_AT_MOST:
        wait = math.ceil((recent[-1][0] + RESENDS_WITHIN - now).total_seconds())
        raise ResentTooOften(
            f"Tickets were sent again {RESENDS_AT_MOST} times within an hour; try again in {wait} s.",
            retry_after_seconds=wait,
        )
    payload = {"order_id": order_id, "resent_by": actor.user_id}
    message_id = enqueue(connection, event_id, ORDER_CONFIRMATION, payload, now=now)
    idempotency.remember(session, message_id, now=now)
    made = {"resent": (None, ORDER_CONFIRMATION.name)}
    record(session, event_id, Entity.ORDER, order_id, made, actor=actor, now=now)
    return message_id


def get_resend(session: Session, event_id: UUID, message_id: UUID) -> ResendOut:
    """Return the message that was queued, and the address that it goes to."""
    which = {"event_id": event_id, "message_id": message_id}
    with driver_connection(session).cursor(row_factory=dict_row) as cursor:
        return ResendOut.model_validate(cursor.execute(_RESENT, which).fetchone())
