from typing import Literal
from uuid import UUID

from pydantic import Field

from shared.domain.tickets.schemas import TicketOut
from shared.kit.fields import Email, Input, Moment, Name, Output, Phone

type OrderStatus = Literal["pending", "paid", "failed", "expired", "cancelled", "partially_refunded", "refunded"]


class CustomerIn(Input):
    """Who buys; nobody needs an account."""

    name: Name
    email: Email
    phone: Phone | None = None


class OrderItemIn(Input):
    """So many of one package."""

    package_id: UUID
    quantity: int = Field(ge=1, le=100)


class OrderPlace(Input):
    """What a buyer asks for."""

    customer: CustomerIn
    items: list[OrderItemIn] = Field(min_length=1, max_length=50)
    payment_method: Literal["test"] | None = Field(
        None,
        description="How it is paid; may be left out when nothing is owed. `test` pays at once, in development only.",
    )


class CustomerOut(Output):
    """Who bought."""

    name: str
    email: str
    phone: str | None


class OrderItemOut(Output):
    """A line of the order."""

    id: UUID
    kind: Literal["package"]
    package_id: UUID
    description: str
    quantity: int
    unit_price_cents: int
    discount_cents: int
    total_cents: int


class PaymentOut(Output):
    """How it was paid, and how far that is."""

    method: str
    status: Literal["pending", "paid", "failed", "refunded"]
    provider_reference: str | None


class OrderOut(Output):
    """An order with its items and tickets."""

    id: UUID
    event_id: UUID
    number: str
    status: OrderStatus
    customer: CustomerOut
    currency: str
    items: list[OrderItemOut]
    subtotal_cents: int
    discount_cents: int
    fee_cents: int
    tax_cents: int
    total_cents: int
    refunded_cents: int
    payment: PaymentOut
    tickets: list[TicketOut]
    expires_at: Moment | None
    created_at: Moment
    paid_at: Moment | None


class PlacedOrderOut(OrderOut):
    """A new order with the secret that opens it later (`X-Order-Token`)."""

    access_token: str
