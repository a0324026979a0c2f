from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from shared.kit.fields import MAX_CENTS, Cents, Currency, Input, Moment, Name, Output, Paragraphs, Slug, TimeZone, Title
from shared.kit.pages import PageQuery


def _unset() -> Any:
    """Stand in for a field that a PATCH leaves out; it is never read (`model_fields_set` tells)."""


type EventStatus = Literal["draft", "published", "cancelled"]


class EventCreate(Input):
    """A new event; it starts as a draft."""

    title: Title
    slug: Slug | None = Field(None, description="The event's word in addresses; made from the title when left out.")
    description: Paragraphs | None = None
    starts_at: Moment
    ends_at: Moment
    timezone: TimeZone = Field("UTC", description="IANA name; times are shown to people in this zone.")
    currency: Currency = "USD"
    capacity: int | None = Field(None, ge=1, le=1_000_000)
    lock_price_after_sales: bool = False
    max_tickets_per_customer: int | None = Field(None, ge=1, le=10_000)


class EventPatch(Input):
    """What to change of an event; fields left out stay."""

    title: Title = Field(default_factory=_unset)
    slug: Slug = Field(default_factory=_unset)
    description: Paragraphs | None = None
    starts_at: Moment = Field(default_factory=_unset)
    ends_at: Moment = Field(default_factory=_unset)
    timezone: TimeZone = Field(default_factory=_unset)
    currency: Currency = Field(default_factory=_unset)
    capacity: int | None = Field(None, ge=1, le=1_000_000)
    lock_price_after_sales: bool = Field(default_factory=_unset)
    max_tickets_per_customer: int | None = Field(None, ge=1, le=10_000)


class EventOut(Output):
    """An event as its team sees it."""

    id: UUID
    title: str
    slug: str
    description: str | None
    status: EventStatus
    starts_at: Moment
    ends_at: Moment
    timezone: str
    currency: str
    capacity: int | None
    lock_price_after_sales: bool
    max_tickets_per_customer: int | None
    created_by: UUID
    created_at: Moment
    updated_at: Moment
    version: int


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


class PackageCreate(Input):
    """A new ticket package; it is shown last, and enabled."""

    name: Name
    description: Paragraphs
    price_cents: Cents = Field(description="For one package, in minor units of the event's currency.")
    seats_per_package: int = Field(1, ge=1, le=100)
    quantity_limit: int | None = Field(
        None, ge=1, le=10_000, description="How many packages there are; none is no limit."
    )
    is_sponsorship: bool = False
    min_per_order: int = Field(1, ge=1, le=100)
    max_per_order: int | None = Field(None, ge=1, le=100)
    sale_starts_at: Moment | None = None
    sale_ends_at: Moment | None = None
    is_transferable: bool = True
    fair_market_value_cents: int | None = Field(
        None, ge=0, le=MAX_CENTS, description="What the buyer gets for it, for receipts of charities."
    )


class PackagePatch(Input):
    """What to change of a package; fields left out stay."""

    name: Name = Field(default_factory=_unset)
    description: Paragraphs = Field(default_factory=_unset)
    price_cents: Cents = Field(default_factory=_unset)
    seats_per_package: int = Field(default_factory=_unset, ge=1, le=100)
    quantity_limit: int | None = Field(None, ge=1, le=10_000)
    is_sponsorship: bool = Field(default_factory=_unset)
    min_per_order: int = Field(default_factory=_unset, ge=1, le=100)
    max_per_order: int | None = Field(None, ge=1, le=100)
    sale_starts_at: Moment | None = None
    sale_ends_at: Moment | None = None
    is_transferable: bool = Field(default_factory=_unset)
    fair_market_value_cents: int | None = Field(None, ge=0, le=MAX_CENTS)


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
    sold_count: int = Field(description="Packages sold, not seats.")
    held_count: int
    remaining: int | None = Field(description="None where there is no limit.")
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
    custom_options: list[dict[str, Any]] = Field(default=[], description="Questions that buyers answer; none yet.")
    created_by: UUID
    created_at: Moment
    updated_at: Moment
    version: int


class EditWarning(Output):
    """Something to know about a change that was made."""

    code: str
    detail: str


class PackagePatched(PackageOut):
    """A package after a change, with what the coordinator should know."""

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
    custom_options: list[dict[str, Any]] = Field(default=[], description="Questions that buyers answer; none yet.")


class PackageListQuery(PageQuery):
    """Which packages to list."""

    sponsorships_only: bool = False
    include_disabled: bool = True


class PublicPackageListQuery(PageQuery):
    """Which packages to list."""

    sponsorships_only: bool = False


class DeleteQuery(Input):
    """Whether the deletion is meant."""

    confirm: bool = False


type UploadStatus = Literal["received", "valid", "refused"]


class UploadOut(Output):
    """An image on its way: received, then valid or refused."""

    upload_id: UUID
    status: UploadStatus
    reason: str | None = None
    received_at: Moment
    finished_at: Moment | None = None
