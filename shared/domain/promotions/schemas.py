from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema

from shared.kit.fields import MAX_CENTS, Email, Input, Moment, Output, number, unset
from shared.kit.pages import PageQuery

type DiscountType = Literal["percentage", "fixed_amount"]
type Code = Annotated[
    str,
    StringConstraints(strip_whitespace=True, pattern=r"^[A-Za-z0-9]{4,20}$"),
    AfterValidator(str.upper),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9]{4,20}$", "examples": ["EARLYBIRD"]}),
]


type DiscountValue = Annotated[
    Decimal,
    BeforeValidator(number),
    Field(ge=1, le=1_000_000, decimal_places=2),
    WithJsonSchema(
        {
            "type": "number",
            "minimum": 1,
            "maximum": 1_000_000,
            "description": "Percent from 1 to 100 with up to 2 decimals, or a fixed amount of 100 to 1,000,000 cents.",
        }
    ),
]


class PromoCodeCreate(Input):
    """A new promo code; it is active."""

    code: Code
    discount_type: DiscountType
    discount_value: DiscountValue
    max_total_uses: int | None = Field(None, ge=1, le=10_000)
    max_uses_per_customer: int | None = Field(None, ge=1, le=100)
    starts_at: Moment | None = None
    expires_at: Moment | None = None
    min_order_cents: int | None = Field(None, ge=0, le=MAX_CENTS)
    package_ids: list[UUID] = Field(default=[], max_length=1_000, description="The packages it is for; none means all.")


class PromoCodePatch(Input):
    """What to change in a promo code; fields that are left out stay as they are. The code itself can't be changed."""

    discount_type: DiscountType = Field(default_factory=unset)
    discount_value: DiscountValue = Field(default_factory=unset)
    max_total_uses: int | None = Field(None, ge=1, le=10_000)
    max_uses_per_customer: int | None = Field(None, ge=1, le=100)
    starts_at: Moment | None = None
    expires_at: Moment | None = None
    min_order_cents: int | None = Field(None, ge=0, le=MAX_CENTS)
    package_ids: list[UUID] = Field(default_factory=list, max_length=1_000)
    is_active: bool = Field(default_factory=unset)


class PromoCodeOut(Output):
    """A promo code with how often it was used."""

    id: UUID
    event_id: UUID
    code: str
    discount_type: DiscountType
    discount_value: float | int = Field(description="Percent, or cents.")
    max_total_uses: int | None
    max_uses_per_customer: int | None
    starts_at: Moment | None
    expires_at: Moment | None
    min_order_cents: int | None
    package_ids: list[UUID]
    is_active: bool
    times_used: int
    remaining_uses: int | None
    created_by: UUID
    created_at: Moment
    updated_at: Moment
    version: int


class PromoCodeUseOut(Output):
    """One order that was placed with the code."""

    order_id: UUID
    order_number: str
    customer_name: str
    customer_email: str
    discount_cents: int
    used_at: Moment


class PromoCodeUsage(Output):
    """How a code was used: in all, and order by order, the newest first."""

    code: str
    times_used: int
    remaining_uses: int | None
    total_discount_cents: int
    currency: str
    items: list[PromoCodeUseOut]
    page: int
    page_size: int
    total: int


class PromoCodeListQuery(PageQuery):
    """Which promo codes to list."""

    active_only: bool = False


class PreviewItem(Input):
    """A quantity of one package."""

    package_id: UUID
    quantity: int = Field(ge=1, le=100)


class PromoCodePreview(Input):
    """What a buyer has in the basket, and the code to try."""

    code: str = Field(min_length=1, max_length=40)
    items: list[PreviewItem] = Field(min_length=1, max_length=50)
    email: Email | None = None


class PromoCodePreviewOut(Output):
    """What the code would take off; `reason` says why it takes nothing. The purchase itself decides."""

    valid: bool
    code: str
    reason: str | None = Field(description="The stable name of the refusal, the same as for an order.")
    detail: str | None
    subtotal_cents: int
    discount_cents: int
    total_cents: int
