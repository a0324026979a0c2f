from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from shared.kit.fields import (
    MAX_CENTS,
    Cents,
    Currency,
    Input,
    Moment,
    Name,
    Output,
    Paragraphs,
    Percent,
    Slug,
    TimeZone,
    Title,
    normal_text,
    one_line,
    unset,
)
from shared.kit.pages import PageQuery

type EventStatus = Literal["draft", "published", "cancelled"]

# Bounds that several schemas share. They are no `type` aliases: those would become components of the OpenAPI document.
Capacity = Annotated[int, Field(ge=1, le=1_000_000)]
TicketsPerCustomer = Annotated[int, Field(ge=1, le=10_000)]
ExpiryMinutes = Annotated[int, Field(ge=1, le=1_440)]


class EventCreate(Input):
    """A new event; it starts as a draft."""

    title: Title
    slug: Slug | None = Field(None, description="The event's name in URLs; made from the title when left out.")
    description: Paragraphs | None = None
    starts_at: Moment
    ends_at: Moment
    timezone: TimeZone = Field("UTC", description="IANA name; times are shown to people in this zone.")
    currency: Currency = "USD"
    capacity: Capacity | None = None
    lock_price_after_sales: bool = False
    max_tickets_per_customer: TicketsPerCustomer | None = None
    tax_percent: Percent = Field(Decimal(0), description="A percentage of what a line costs after its discount.")
    tax_included: bool = Field(default=False, description="Whether prices include the tax; otherwise it is added.")
    fee_percent: Percent = Decimal(0)
    fee_cents: Cents = Field(0, description="For each package sold, in addition to the percentage.")
    fee_included: bool = Field(
        default=False, description="Whether prices include the fee, so that the organiser pays it."
    )
    order_expiry_minutes: ExpiryMinutes = Field(15, description="How long tickets are held for a payment.")
    return_promo_uses: bool = Field(
        default=True, description="Whether a refunded order's promo code may be used once more."
    )


class EventPatch(Input):
    """What to change of an event; fields left out stay."""

    title: Title = Field(default_factory=unset)
    slug: Slug = Field(default_factory=unset)
    description: Paragraphs | None = None
    starts_at: Moment = Field(default_factory=unset)
    ends_at: Moment = Field(default_factory=unset)
    timezone: TimeZone = Field(default_factory=unset)
    currency: Currency = Field(default_factory=unset)
    capacity: Capacity | None = None
    lock_price_after_sales: bool = Field(default_factory=unset)
    max_tickets_per_customer: TicketsPerCustomer | None = None
    tax_percent: Percent = Field(default_factory=unset)
    tax_included: bool = Field(default_factory=unset)
    fee_percent: Percent = Field(default_factory=unset)
    fee_cents: Cents = Field(default_factory=unset)
    fee_included: bool = Field(default_factory=unset)
    order_expiry_minutes: ExpiryMinutes = Field(default_factory=unset)
    return_promo_uses: bool = Field(default_factory=unset)


class PublicEventOut(Output):
    """A published event as everybody sees it."""

    id: UUID
    title: str
    slug: str
    description: str | None
    status: EventStatus
    starts_at: Moment
    ends_at: Moment
    timezone: str
    currency: str


class EventOut(PublicEventOut):
    """An event as its team sees it."""

    capacity: int | None
    lock_price_after_sales: bool
    max_tickets_per_customer: int | None
    tax_percent: Percent
    tax_included: bool
    fee_percent: Percent
    fee_cents: int
    fee_included: bool
    order_expiry_minutes: int
    return_promo_uses: bool
    created_by: UUID
    created_at: Moment
    updated_at: Moment
    version: int


type OptionType = Literal["boolean", "multi_select", "text_input"]
type Choice = Annotated[
    str, StringConstraints(min_length=1, max_length=50), BeforeValidator(normal_text), AfterValidator(one_line)
]
Choices = Annotated[list[Choice], Field(max_length=10)]
MaxChoices = Annotated[int, Field(ge=1, le=10)]


class OptionCreate(Input):
    """A new question for the package's buyers; it is asked last."""

    label: Name
    option_type: OptionType
    choices: Choices = Field(default=[], description="2 to 10 choices, for `multi_select` only.")
    max_choices: MaxChoices | None = Field(None, description="For `multi_select` only; 1 by default.")
    is_required: bool = True


class OptionPatch(Input):
    """What to change of a question; fields left out stay. `is_active: false` retires it."""

    label: Name = Field(default_factory=unset)
    choices: Choices = Field(default_factory=unset)
    max_choices: MaxChoices = Field(default_factory=unset)
    is_required: bool = Field(default_factory=unset)
    is_active: bool = Field(default_factory=unset)


class OptionReorder(Input):
    """Every option of the package, once, in the order in which to ask them."""

    option_ids: list[UUID] = Field(min_length=1, max_length=100)


class OptionOut(Output):
    """A question for the package's buyers; a retired one (`is_active` is false) is no longer asked."""

    id: UUID
    label: str
    option_type: OptionType
    choices: list[str]
    max_choices: int | None
    is_required: bool
    is_active: bool
    display_order: int


class OptionList(Output):
    """A package's options in the order in which they are asked, retired ones included."""

    items: list[OptionOut]


SeatsPerPackage = Annotated[int, Field(ge=1, le=100)]
QuantityLimit = Annotated[int, Field(ge=1, le=10_000)]
FairMarketValue = Annotated[int, Field(ge=0, le=MAX_CENTS)]
PerOrder = Annotated[int, Field(ge=1, le=100)]
OptionsPer = Literal["item", "ticket"]
AskedOptions = Annotated[list[OptionOut], Field(description="What buyers are asked; retired options are left out.")]


class PackageCreate(Input):
    """A new ticket package; it is shown last, and is enabled."""

    name: Name
    description: Paragraphs
    price_cents: Cents = Field(description="For one package, in minor units of the event's currency.")
    seats_per_package: SeatsPerPackage = 1
    quantity_limit: QuantityLimit | None = Field(None, description="How many packages exist; null: no limit.")
    is_sponsorship: bool = False
    min_per_order: PerOrder = 1
    max_per_order: PerOrder | None = None
    sale_starts_at: Moment | None = None
    sale_ends_at: Moment | None = None
    is_transferable: bool = True
    options_per: OptionsPer = Field("item", description="Whether options are asked per order line or per ticket.")
    fair_market_value_cents: FairMarketValue | None = Field(
        None, description="The value of what the buyer gets in return, for receipts of charities."
    )
    tax_percent: Percent | None = Field(None, description="In place of the event's.")
    fee_percent: Percent | None = Field(None, description="In place of the event's.")
    fee_cents: Cents | None = Field(None, description="In place of the event's.")


class PackagePatch(Input):
    """What to change of a package; fields left out stay."""

    name: Name = Field(default_factory=unset)
    description: Paragraphs = Field(default_factory=unset)
    price_cents: Cents = Field(default_factory=unset)
    seats_per_package: SeatsPerPackage = Field(default_factory=unset)
    quantity_limit: QuantityLimit | None = None
    is_sponsorship: bool = Field(default_factory=unset)
    min_per_order: PerOrder = Field(default_factory=unset)
    max_per_order: PerOrder | None = None
    sale_starts_at: Moment | None = None
    sale_ends_at: Moment | None = None
    is_transferable: bool = Field(default_factory=unset)
    options_per: OptionsPer = Field(default_factory=unset)
    fair_market_value_cents: FairMarketValue | None = None
    tax_percent: Percent | None = None
    fee_percent: Percent | None = None
    fee_cents: Cents | None = None


class PackageOut(Output):
    """A ticket package with what is sold, held and left of it."""

    id: UUID
    event_id: UUID
    name: str
    description: str
    price_cents: int
    currency: str
    seats_per_package: int
    quantity_limit: int | None
    sold_count: int = Field(description="Packages sold, not tickets.")
    held_count: int
    remaining: int | None = Field(description="Null where there is no limit.")
    display_order: int
    image_url: str | None
    thumbnail_url: str | None
    is_enabled: bool
    is_sponsorship: bool
    is_sold_out: bool
    min_per_order: int
    max_per_order: int | None
    sale_starts_at: Moment | None
    sale_ends_at: Moment | None
    is_transferable: bool
    fair_market_value_cents: int | None
    tax_percent: Percent | None
    fee_percent: Percent | None
    fee_cents: int | None
    options_per: OptionsPer
    custom_options: AskedOptions
    created_by: UUID
    created_at: Moment
    updated_at: Moment
    version: int


class PackageList(Output):
    """All of an event's packages in display order."""

    items: list[PackageOut]


class EditWarning(Output):
    """Something that the coordinator should know about a change that was made."""

    code: str
    detail: str


class PackagePatched(PackageOut):
    """A package after a change, with warnings about the change."""

    warnings: list[EditWarning]


class PublicPackageOut(Output):
    """A package as buyers see it."""

    id: UUID
    event_id: UUID
    name: str
    description: str
    price_cents: int
    currency: str
    seats_per_package: int
    remaining: int | None
    display_order: int
    image_url: str | None
    thumbnail_url: str | None
    is_sponsorship: bool
    is_sold_out: bool
    min_per_order: int
    max_per_order: int | None
    sale_starts_at: Moment | None
    sale_ends_at: Moment | None
    is_transferable: bool
    options_per: OptionsPer
    custom_options: AskedOptions


class PackageListQuery(PageQuery):
    """Which packages to list."""

    sponsorships_only: bool = False
    include_disabled: bool = True


class PublicPackageListQuery(PageQuery):
    """Which packages to list."""

    sponsorships_only: bool = False


class Reorder(Input):
    """Every package of the event, once, in the order in which to show them."""

    package_ids: list[UUID] = Field(min_length=1, max_length=1_000)


class Availability(Output):
    """Whether a package can be bought now, and if not, why."""

    available: bool
    sold_count: int
    held_count: int
    quantity_limit: int | None
    remaining: int | None
    is_on_sale: bool
    is_sold_out: bool
    can_purchase: bool
    message: str
    percent_sold: float | None = Field(description="With one decimal; null where there is no limit.")


class DeleteQuery(Input):
    """Whether the deletion is confirmed."""

    confirm: bool = False
