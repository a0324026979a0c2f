"""How the team searches for orders, and what it sees of each."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from shared.domain.orders.schemas import Channel, OrderStatus
from shared.kit.fields import Input, Moment, Name, Output

type PaymentMethod = Literal["card", "card_terminal", "cash", "cheque", "comp", "free", "stripe", "test"]
type Sorting = Literal["newest", "oldest", "total", "name"]


class OrderListQuery(Input):
    """Which orders to list, and in which order; `cursor` continues after the previous page, whatever was sold since."""

    q: Name | None = Field(
        None,
        description="Words of the name or e-mail address, or an order's or a ticket's number. The order must have each"
        " word or its beginning; punctuation alone finds nothing. If no order matches, words that are spelt similarly"
        " are searched for (`searched_for`).",
    )
    status: OrderStatus | None = None
    package_id: UUID | None = Field(None, description="Orders with at least one of this package.")
    channel: Channel | None = None
    payment_method: PaymentMethod | None = None
    promo_code: Name | None = Field(None, description="Capital and small letters count as the same.")
    since: Moment | None = Field(None, alias="from", description="Placed at this time or later.")
    until: Moment | None = Field(None, alias="to", description="Placed before this time.")
    sort: Sorting = Field("newest", description="`total` lists the highest first; `name` is alphabetical.")
    page_size: int = Field(20, ge=1, le=100)
    cursor: str | None = Field(None, max_length=200)


class OrderRowItem(Output):
    """How many of one package an order has."""

    package_id: UUID
    description: str
    quantity: int


class OrderRow(Output):
    """An order in the team's list."""

    id: UUID
    number: str
    status: OrderStatus
    channel: Channel
    payment_method: str
    customer_name: str
    customer_email: str
    items: list[OrderRowItem]
    tickets: int = Field(description="How many were bought.")
    currency: str
    total_cents: int
    refunded_cents: int
    promo_code: str | None
    notes: int
    created_at: Moment
    paid_at: Moment | None
    expires_at: Moment | None


class OrderList(Output):
    """A page of an event's orders."""

    items: list[OrderRow]
    page_size: int
    total: int | None = Field(
        description="How many orders match; null if there are more than 1,000, or too many to count quickly."
    )
    searched_for: list[str] | None = Field(
        description="The words that were found instead, if no order has the words of `q` as they are spelt."
    )
    next_cursor: str | None
