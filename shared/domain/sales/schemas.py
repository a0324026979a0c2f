from typing import ClassVar
from uuid import UUID

from pydantic import Field

from shared.kit.fields import Input, Moment, Output
from shared.kit.pages import PageQuery


class SummaryQuery(Input):
    """Which packages to count."""

    sponsorships_only: bool = False


class SalesSummary(Output):
    """What an event has sold, at most 3 seconds old."""

    unchanged_by: ClassVar[frozenset[str]] = frozenset({"as_of"})

    total_revenue_cents: int
    total_discount_cents: int
    total_refunded_cents: int = Field(description="Of all packages: refunds belong to orders, not to packages.")
    total_fee_cents: int = Field(description="Both fees added to prices and fees included in them.")
    total_tax_cents: int = Field(description="Both taxes added to prices and taxes included in them.")
    tickets_sold: int = Field(description="Without the tickets that were given back.")
    packages_sold: int
    packages_sold_out: int
    orders: int
    currency: str
    as_of: Moment


class SalesCount(Output):
    """How much of a package is sold, at most 3 seconds old."""

    unchanged_by: ClassVar[frozenset[str]] = frozenset({"as_of"})

    package_id: UUID
    sold_count: int = Field(description="Packages, not tickets.")
    tickets_sold: int
    as_of: Moment


class DetailsQuery(PageQuery):
    """Which purchases to list; `cursor` continues where the page before ended, even if more was sold since."""

    page_size: int = Field(50, ge=1, le=100)
    q: str | None = Field(None, min_length=1, max_length=100, description="A part of the name or the e-mail address.")
    cursor: str | None = Field(None, max_length=200)


class GuestOut(Output):
    """Who will use a ticket, once that is known."""

    ticket_number: str
    status: str
    name: str | None
    email: str | None


class PurchaseOut(Output):
    """One purchase of a package."""

    order_id: UUID
    order_number: str
    status: str
    name: str
    email: str
    purchased_at: Moment
    quantity: int
    guests: list[GuestOut]
    promo_code: str | None
    discount_cents: int
    final_price_cents: int = Field(description="After the discount, with the fees and taxes that were added.")


class SalesDetails(Output):
    """A package's purchases, the newest first."""

    package_id: UUID
    currency: str
    items: list[PurchaseOut]
    page: int
    page_size: int
    total: int
    next_cursor: str | None
