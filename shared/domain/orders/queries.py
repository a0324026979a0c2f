from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.domain.orders.errors import NoSuchOrder
from shared.domain.orders.links import access_token, opens
from shared.domain.orders.models import OptionAnswer, Order, OrderItem
from shared.domain.orders.schemas import (
    AnswerOut,
    CustomerOut,
    OrderItemOut,
    OrderOut,
    PaymentOut,
    PlacedOrderOut,
)
from shared.domain.payments.queries import latest_payment
from shared.domain.tickets.queries import tickets_of
from shared.kit.actor import Actor

_PAYMENT_STATUS = {
    "pending": "pending",
    "failed": "failed",
    "expired": "failed",
    "cancelled": "failed",
    "refunded": "refunded",
}


def get_order(session: Session, order_id: UUID, *, actor: Actor, token: str | None) -> OrderOut:
    """An order for whoever holds its secret or is its customer; everybody else gets `NoSuchOrder`."""
    return _out(session, _theirs(session, order_id, actor=actor, token=token))


def lock_order(session: Session, order_id: UUID, *, actor: Actor, token: str | None) -> UUID:
    """The event of an order that is theirs; the order's row is locked until the transaction ends."""
    order = _theirs(session, order_id, actor=actor, token=token)
    session.execute(
        select(Order.id).where(Order.event_id == order.event_id, Order.id == order_id).with_for_update(key_share=True)
    )
    return order.event_id


def get_order_for_team(session: Session, event_id: UUID, order_id: UUID) -> OrderOut:
    """An order for the event's team; raises `NoSuchOrder`."""
    order = session.get(Order, (event_id, order_id), populate_existing=True)
    if order is None:
        raise NoSuchOrder
    return _out(session, order)


def _theirs(session: Session, order_id: UUID, *, actor: Actor, token: str | None) -> Order:
    # As it is now, whatever this session has read of it before.
    order = session.scalar(select(Order).where(Order.id == order_id).execution_options(populate_existing=True))
    if order is None:
        raise NoSuchOrder
    is_customer = actor.user_id is not None and order.customer_user_id == actor.user_id
    if not is_customer and not (token and opens(token, order.access_token_hash)):
        raise NoSuchOrder
    return order


def get_placed_order(session: Session, event_id: UUID, order_id: UUID) -> PlacedOrderOut:
    """An order with its secret, for whoever repeats the request that placed it; as it stands now."""
    order = session.get_one(Order, (event_id, order_id))
    return PlacedOrderOut(**dict(_out(session, order)), access_token=access_token(order_id))


def get_order_for_mail(session: Session, event_id: UUID, order_id: UUID) -> OrderOut | None:
    """An order for our own messages about it, or None when it is gone."""
    order = session.get(Order, (event_id, order_id))
    return None if order is None else _out(session, order)


def _out(session: Session, order: Order) -> OrderOut:
    items = session.scalars(
        select(OrderItem)
        .where(OrderItem.event_id == order.event_id, OrderItem.order_id == order.id)
        .order_by(OrderItem.position)
    ).all()
    answers = _answers(session, order.event_id, [item.id for item in items])
    fields = {name: getattr(order, name) for name in OrderOut.model_fields if hasattr(order, name)}
    return OrderOut.model_validate(
        fields
        | {
            "customer": CustomerOut(name=order.customer_name, email=order.customer_email, phone=order.customer_phone),
            "items": [_item_out(item, answers[item.id]) for item in items],
            "tickets": tickets_of(session, order.event_id, [item.id for item in items]),
            "payment": _payment_out(session, order),
        }
    )


def _payment_out(session: Session, order: Order) -> PaymentOut:
    payment = latest_payment(session, order.event_id, order.id) if order.paid_at is None else None
    return PaymentOut.model_validate(
        {
            "method": order.payment_method,
            "status": _PAYMENT_STATUS.get(order.status, "paid"),
            "provider_reference": payment.reference if payment else order.payment_reference,
            "failure": payment.failure if payment else None,
        }
    )


def _answers(session: Session, event_id: UUID, item_ids: list[UUID]) -> dict[UUID, list[AnswerOut]]:
    answers: dict[UUID, list[AnswerOut]] = {item_id: [] for item_id in item_ids}
    for answer in session.scalars(
        select(OptionAnswer)
        .where(OptionAnswer.event_id == event_id, OptionAnswer.order_item_id.in_(item_ids))
        .order_by(OptionAnswer.position)
    ):
        answers[answer.order_item_id].append(AnswerOut.model_validate(answer))
    return answers


def _item_out(item: OrderItem, answers: list[AnswerOut]) -> OrderItemOut:
    fields = {name: getattr(item, name) for name in OrderItemOut.model_fields if name != "answers"}
    return OrderItemOut.model_validate(fields | {"answers": answers})


def orders_by_id(session: Session, event_id: UUID, order_ids: list[UUID]) -> dict[UUID, Order]:
    """Some orders of an event."""
    orders = session.scalars(select(Order).where(Order.event_id == event_id, Order.id.in_(order_ids)))
    return {order.id: order for order in orders}
