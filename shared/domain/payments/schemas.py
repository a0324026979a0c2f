from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from shared.kit.fields import MAX_CENTS, Input, Moment, Output, normal_text, one_line

type PaymentState = Literal["created", "requires_action", "processing", "failed", "cancelled", "succeeded"]
type Reason = Annotated[
    str, StringConstraints(min_length=1, max_length=200), BeforeValidator(normal_text), AfterValidator(one_line)
]


class PaymentIntentOut(Output):
    """A payment that has been begun; the buyer's browser continues it at the provider with the `client_secret`."""

    order_id: UUID
    provider: str
    reference: str
    status: PaymentState
    amount_cents: int
    currency: str
    client_secret: str | None
    publishable_key: str | None = Field(description="The provider's public key for browsers.")
    expires_at: Moment


class PaymentConfirm(Input):
    """Says that the buyer has done their part; the app then asks the provider for the payment's state."""

    card: Literal["succeeds", "declined", "requires_action", "processing"] | None = Field(
        None, description="Only for the test provider: what the card does."
    )


class RefundItem(Input):
    """A quantity of one item's packages."""

    item_id: UUID
    quantity: int = Field(ge=1, le=100)


class RefundIn(Input):
    """What to refund: an amount, some tickets, or some packages; if nothing is named, all that is left."""

    amount_cents: int | None = Field(None, ge=1, le=MAX_CENTS * 1_000)
    ticket_ids: list[UUID] = Field(default=[], max_length=1_000)
    items: list[RefundItem] = Field(default=[], max_length=50)
    reason: Reason

    @model_validator(mode="after")
    def _one_way(self) -> "RefundIn":
        if (self.amount_cents is not None) + bool(self.ticket_ids) + bool(self.items) > 1:
            raise ValueError("name an amount, or tickets, or items")
        if len({item.item_id for item in self.items}) < len(self.items):
            raise ValueError("name each item once")
        return self


class RefundOut(Output):
    """A refund; `pending` until the provider has sent the money."""

    id: UUID
    order_id: UUID
    amount_cents: int
    reason: str
    status: Literal["pending", "succeeded", "failed"]
    last_error: str | None
    created_at: Moment


class RefundList(Output):
    """An order's refunds."""

    items: list[RefundOut]


class MessageTaken(Output):
    """The provider's message has been taken; it need not be sent again."""

    received: Literal[True] = True
