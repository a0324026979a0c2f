"""What a request wants to buy, in the domain's terms; placing works with this, and not with the request."""

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
    """Ways of paying for which the order waits; it holds its tickets meanwhile."""
    seller: UUID | None = None
    """The user who sells at the box office; None online, where buyers serve themselves."""


@dataclass(frozen=True, slots=True)
class Customer:
    """The buyer."""

    name: str
    email: str
    phone: str | None
    user_id: UUID | None
    key: str
    """Who counts as one customer (`promotions.redeeming.customer_of`)."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A quantity of something, with the answers to its options."""

    kind: LineKind
    id: UUID
    quantity: int
    answers: Sequence[AnswerIn] = ()


@dataclass(frozen=True, slots=True)
class Basket:
    """Who wants what, and how they pay. Refusals point at its parts by the names in the API's body."""

    customer: Customer
    wanted: Sequence[Wanted]
    promo_code: str | None
    payment_method: str | None


def basket_of(body: OrderPlace | BoxOfficeOrder, *, actor: Actor, channel: SalesChannel) -> Basket:
    """Return what a request asks for. At the box office the seller is not the buyer: the order is a guest's."""
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
