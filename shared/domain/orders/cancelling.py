"""Cancelling an order that waits for its payment, or an order for which nothing was owed."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from shared.domain.audit.commands import Entity, record
from shared.domain.orders.errors import NoSuchOrder, NotCancellable
from shared.domain.orders.lines.queries import still_sold
from shared.domain.orders.models import Order
from shared.domain.orders.releasing import release
from shared.domain.orders.states import State
from shared.domain.payments.commands import give_up_later
from shared.domain.promotions.redeeming import return_uses
from shared.domain.stock.commands import give_back
from shared.domain.tickets.commands import void_all
from shared.kit.actor import Actor
from shared.kit.db.unit_of_work import driver_connection

_CANCEL_FREE = """
UPDATE orders SET status = 'cancelled', ended_at = %(now)s
 WHERE event_id = %(event_id)s AND id = %(order_id)s AND status = 'paid' AND total_cents = 0
"""
_NOTE_RETURNED = """
UPDATE order_items SET returned = quantity WHERE event_id = %(event_id)s AND order_id = %(order_id)s
"""


def cancel(session: Session, event_id: UUID, order_id: UUID, *, actor: Actor, now: datetime) -> None:
    """Cancel an order that waits for its payment or cost nothing, for the team; writes an audit entry.

    An order that is already cancelled stays as it is. Raises `NoSuchOrder`, `NotCancellable`.
    """
    if session.get(Order, (event_id, order_id)) is None:
        raise NoSuchOrder
    if _cancel_free(session, event_id, order_id, now=now) or cancel_pending(session, event_id, order_id, now=now):
        made = {"status": (None, State.CANCELLED.value)}
        record(session, event_id, Entity.ORDER, order_id, made, actor=actor, now=now)


def _cancel_free(session: Session, event_id: UUID, order_id: UUID, *, now: datetime) -> bool:
    """Cancel the order if nothing was owed for it; return whether that was so."""
    connection = driver_connection(session)
    which = {"event_id": event_id, "order_id": order_id}
    if not connection.execute(_CANCEL_FREE, which | {"now": now}).rowcount:
        return False
    void_all(connection, event_id, order_id)
    give_back(connection, event_id, still_sold(connection, event_id, order_id), was="sold")
    connection.execute(_NOTE_RETURNED, which)
    return_uses(connection, event_id, [order_id], now=now)
    return True


def cancel_pending(session: Session, event_id: UUID, order_id: UUID, *, now: datetime) -> bool:
    """Cancel an order that has not been paid: give back what it held, and give up its payments.

    Returns True if the order was cancelled now. Cancelling it again leaves it as it is and returns False. Raises
    `NotCancellable`.
    """
    is_released = bool(release(driver_connection(session), event_id, [order_id], to=State.CANCELLED, now=now))
    if not is_released:
        _require_cancelled(session, event_id, order_id)
    # This is done the second time too: a payment may have been begun just when the order was cancelled.
    give_up_later(session, event_id, order_id, now=now)
    return is_released


def _require_cancelled(session: Session, event_id: UUID, order_id: UUID) -> None:
    order = session.get_one(Order, (event_id, order_id), populate_existing=True)
    if order.status != State.CANCELLED:
        raise NotCancellable(f"The order is {order.status}; it can't be cancelled any more.", order_status=order.status)
