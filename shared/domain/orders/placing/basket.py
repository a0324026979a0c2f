"""What is asked of an order, in the domain's terms: whatever a request looked like, only this goes on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from shared.domain.orders.lines.offers import LineKind
from shared.domain.orders.lines.packages import PACKAGE
from shared.domain.orders.schemas import AnswerIn, BoxOfficeOrder, OrderPlace
from shared.domain.promotions.redeeming import customer_of
from shared.kit.actor import Actor


@dataclass(frozen=True, slots=True)
class SalesChannel:
    """Where an order is placed, and how it can be paid there."""

    name: Literal["online", "box_office"] = "online"
    paid_at_once: frozenset[str] = frozenset()
    """Ways of paying with which the order is paid when it is placed."""
    paid_later: frozenset[str] = frozenset()
    """Those for which it waits, and holds its tickets meanwhile."""
    seller: UUID | None = None
    """Who sells, at the box office; online buyers serve themselves."""


@dataclass(frozen=True, slots=True)
class Customer:
    """Who buys."""

    name: str
    email: str
    phone: str | None
    user_id: UUID | None
    key: str
    """Who counts as one customer (`promotions.redeeming.customer_of`)."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """So many of something, with the answers to its options."""

    kind: LineKind
    id: UUID
    quantity: int
    answers: Sequence[AnswerIn] = ()


@dataclass(frozen=True, slots=True)
class Basket:
    """Who wants what, and how it is to be paid. The refusals point at its parts as the API's body names them."""

    customer: Customer
    wanted: Sequence[Wanted]
    promo_code: str | None
    payment_method: str | None


def basket_of(body: OrderPlace | BoxOfficeOrder, *, actor: Actor, channel: SalesChannel) -> Basket:
    """Return what a request asks for. Who sells does not buy: an order of the box office is a guest's."""
    user_id = actor.user_id if channel.seller is None else None
    return Basket(
        customer=Customer(
            name=body.customer.name,
            email=body.customer.email,
            phone=body.customer.phone,
            user_id=user_id,
            key=customer_of(user_id, body.customer.email),
        ),
        wanted=[Wanted(PACKAGE, item.package_id, item.quantity, item.answers) for item in body.items],
        promo_code=body.promo_code,
        payment_method=body.payment_method,
    )
