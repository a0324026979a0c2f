from typing import Annotated, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    computed_field,
)
from pydantic_core import PydanticCustomError

from shared.domain.tickets.schemas import TicketOut
from shared.kit.fields import Email, Input, Moment, Name, Output, Phone, normal_text, readable_text

type OrderStatus = Literal["pending", "paid", "failed", "expired", "cancelled", "partially_refunded", "refunded"]
type Channel = Literal["online", "box_office"]


class CustomerIn(Input):
    """The buyer; no account is needed."""

    name: Name
    email: Email
    phone: Phone | None = None


type Text500 = Annotated[
    str, StringConstraints(max_length=500), BeforeValidator(normal_text), AfterValidator(readable_text)
]


def _one_fault(value: object, check: ValidatorFunctionWrapHandler) -> object:
    """Say once what an answer may be: each alternative's own faults would point at places that no request has."""
    try:
        return check(value)
    except ValidationError:
        raise PydanticCustomError(
            "answer_value", "must be true or false, a text of up to 500 readable characters, or a list of such texts"
        ) from None


type AnswerValue = Annotated[bool | Text500 | list[Text500] | None, WrapValidator(_one_fault)]


class AnswerIn(Input):
    """An answer to one option: true or false, chosen choices, or text; null skips an optional question."""

    option_id: UUID
    value: AnswerValue
    ticket: int | None = Field(
        None, ge=1, le=1_000, description="The ticket within the item, counted from 1, if the package asks per ticket."
    )


class OrderItemIn(Input):
    """A quantity of one package, with the answers to its options."""

    package_id: UUID
    quantity: int = Field(ge=1, le=100)
    answers: list[AnswerIn] = Field(default=[], max_length=4_000)


class OrderPlace(Input):
    """The order that a buyer wants to place."""

    customer: CustomerIn
    items: list[OrderItemIn] = Field(min_length=1, max_length=50)
    promo_code: str | None = Field(None, min_length=1, max_length=40)
    payment_method: Literal["card", "test"] | None = Field(
        None,
        description="How the order is paid; may be left out if nothing is owed. With `card` the order is `pending` and"
        " its tickets are held until it is paid through `payment-intent`. `test` pays at once, in development only.",
    )


class BoxOfficeOrder(Input):
    """An order at the box office; it is paid at once."""

    customer: CustomerIn
    items: list[OrderItemIn] = Field(min_length=1, max_length=50)
    promo_code: str | None = Field(None, min_length=1, max_length=40)
    payment_method: Literal["cash", "cheque", "comp", "card_terminal"] = Field(
        description="`comp` gives the tickets away; only coordinators may use it."
    )


class CustomerOut(Output):
    """The buyer."""

    name: str
    email: str
    phone: str | None


class AnswerOut(Output):
    """An answer as it was given, with the question as it was at that time."""

    option_id: UUID
    label: str
    value: bool | str | list[str] | None
    ticket_id: UUID | None = Field(description="The ticket that the answer is about, if the package asks per ticket.")


class OrderItemOut(Output):
    """A line of the order."""

    id: UUID
    kind: Literal["package"]
    package_id: UUID
    description: str
    quantity: int
    unit_price_cents: int
    discount_cents: int
    total_cents: int = Field(description="After the discount, before added fees and tax.")
    fee_cents: int
    tax_cents: int
    included_fee_cents: int = Field(description="The part of the price that is a fee.")
    included_tax_cents: int = Field(description="The part of the price that is tax.")
    fair_market_value_cents: int | None = Field(
        description="What one package is worth; the rest of its price is a gift."
    )
    answers: list[AnswerOut]

    @computed_field(description="The part of `total_cents` that is a gift, for a charity's receipt; null if unknown.")  # type: ignore[prop-decorator]
    @property
    def deductible_cents(self) -> int | None:
        """The part of the price above what the packages are worth."""
        if self.fair_market_value_cents is None:
            return None
        return max(0, self.total_cents - self.quantity * self.fair_market_value_cents)


class PaymentOut(Output):
    """How the order is paid, and the state of its payment."""

    method: str
    status: Literal["pending", "paid", "failed", "refunded"] = Field(
        description="The state of the money; `failed` is final."
    )
    provider_reference: str | None
    failure: str | None = Field(None, description="The provider's code for why the last attempt failed.")


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
    included_fee_cents: int
    included_tax_cents: int
    total_cents: int
    refunded_cents: int
    promo_code: str | None
    payment: PaymentOut
    tickets: list[TicketOut]
    expires_at: Moment | None
    created_at: Moment
    paid_at: Moment | None


class PlacedOrderOut(OrderOut):
    """A new order with the secret that opens it later (`X-Order-Token`)."""

    access_token: str
