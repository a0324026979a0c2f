from uuid import UUID

from sqlalchemy import RowMapping, select
from sqlalchemy.orm import Session

from shared.domain.orders.errors import NoSuchOrder
from shared.domain.orders.links import access_token, opens
from shared.domain.orders.models import Order
from shared.domain.orders.reading import order_out, read_order
from shared.domain.orders.schemas import OrderOut, PlacedOrderOut
from shared.kit.actor import Actor


def get_order(session: Session, order_id: UUID, *, actor: Actor, token: str | None) -> OrderOut:
    """Return an order to its customer, or to somebody who holds its secret; everybody else gets `NoSuchOrder`."""
    return order_out(_theirs(session, order_id, actor=actor, token=token), OrderOut)


def lock_order(session: Session, order_id: UUID, *, actor: Actor, token: str | None) -> UUID:
    """Return the event of an order that the actor may see; lock the order's row until the transaction ends.

    Raises `NoSuchOrder`.
    """
    event_id: UUID = _theirs(session, order_id, actor=actor, token=token)["event_id"]
    session.execute(
        select(Order.id).where(Order.event_id == event_id, Order.id == order_id).with_for_update(key_share=True)
    )
    return event_id


def get_order_for_team(session: Session, event_id: UUID, order_id: UUID) -> OrderOut:
    """Return an order for the event's team; raises `NoSuchOrder`."""
    return order_out(_of_event(session, event_id, order_id), OrderOut)


def _theirs(session: Session, order_id: UUID, *, actor: Actor, token: str | None) -> RowMapping:
    order = read_order(session, order_id)
    if order is None:
        raise NoSuchOrder
    is_customer = actor.user_id is not None and order["customer_user_id"] == actor.user_id
    if not is_customer and not (token and opens(token, order["access_token_hash"])):
        raise NoSuchOrder
    return order


def get_placed_order(session: Session, event_id: UUID, order_id: UUID) -> PlacedOrderOut:
    """Return an order as it is now, with its secret, for a client that repeats the request that placed it."""
    return order_out(_of_event(session, event_id, order_id), PlacedOrderOut, access_token=access_token(order_id))


def _of_event(session: Session, event_id: UUID, order_id: UUID) -> RowMapping:
    order = read_order(session, order_id, event_id=event_id)
    if order is None:
        raise NoSuchOrder
    return order


def get_order_for_mail(session: Session, event_id: UUID, order_id: UUID) -> OrderOut | None:
    """Return an order for our own messages about it, or None if there is no such order."""
    order = read_order(session, order_id, event_id=event_id)
    return None if order is None else order_out(order, OrderOut)


def orders_by_id(session: Session, event_id: UUID, order_ids: list[UUID]) -> dict[UUID, Order]:
    """Return these orders of an event, by their ids."""
    orders = session.scalars(select(Order).where(Order.event_id == event_id, Order.id.in_(order_ids)))
    return {order.id: order for order in orders}
