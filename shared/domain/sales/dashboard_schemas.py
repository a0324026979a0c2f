from datetime import date, datetime
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from shared.kit.fields import Moment, Output


class Sales(Output):
    """What was sold in a period: the paid orders that were placed in it."""

    orders: int
    revenue_cents: int = Field(description="After discounts, before fees and taxes that are added, and before refunds.")
    discount_cents: int


class DaySales(Sales):
    """What was sold on one day of the event's calendar."""

    day: date


class HourSales(Sales):
    """What was sold in one hour of today, in the event's time zone."""

    hour: int = Field(ge=0, le=23)


class PackageToday(Output):
    """How much of a package was sold today."""

    package_id: UUID
    today_count: int = Field(description="Packages sold today, as of `sums_as_of`.")
    today_revenue_cents: int


class PackageSales(PackageToday):
    """How a package sells."""

    name: str
    sold_count: int
    held_count: int
    quantity_limit: int | None
    remaining: int | None


class PromoCodeSales(Output):
    """How often a promo code was used, and the discount that it gave."""

    code: str
    uses: int
    max_uses: int | None
    discount_cents: int


class RefundSums(Output):
    """All refunds of the event."""

    refunds: int
    amount_cents: int
    pending: int = Field(description="Refunds that the payment provider has not confirmed yet.")


class Problems(Output):
    """What needs attention; apart from `orders_pending`, every count is zero while all is well."""

    book_findings: int = Field(description="How many findings the last check of the books had; see `reconciliation`.")
    books_checked_at: Moment | None
    emails_failed: int = Field(description="E-mails that failed and will not be tried again.")
    emails_failing: int = Field(description="E-mails that failed and will be tried again.")
    refunds_failed: int
    payments_disputed: int
    orders_pending: int = Field(description="Orders that wait for their payment; this alone is not a problem.")


class DaysPart(Output):
    """The days before today, as the cache keeps them."""

    days: list[DaySales]
    as_of: datetime


class SumsPart(Output):
    """The sums over all orders, as the cache keeps them."""

    packages_today: list[PackageToday]
    promo_codes: list[PromoCodeSales]
    refunds: RefundSums
    as_of: datetime


class Dashboard(Output):
    """How the sale goes."""

    unchanged_by: ClassVar[frozenset[str]] = frozenset({"as_of", "days_as_of", "sums_as_of"})

    currency: str
    timezone: str
    today: Sales
    last_7_days: Sales
    days: list[DaySales] = Field(description="The last seven days, today last.")
    hours: list[HourSales] = Field(description="The hours of today; hours without a sale are left out.")
    packages: list[PackageSales] = Field(description="In display order, at most 200 packages.")
    promo_codes: list[PromoCodeSales] = Field(description="The most used codes first, at most 50.")
    refunds: RefundSums
    problems: Problems
    days_as_of: Moment = Field(description="When the days before today were read: at most an hour ago.")
    sums_as_of: Moment = Field(
        description="When promo codes, refunds and today's sales of each package were read: at most two minutes ago."
    )
    as_of: Moment
