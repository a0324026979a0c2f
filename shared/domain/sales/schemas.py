from typing import Literal
from uuid import UUID

from shared.kit.fields import Input, Moment, Output


class SummaryQuery(Input):
    """Which packages count."""

    sponsorships_only: bool = False


class SalesSummary(Output):
    """What an event has sold, as of a moment at most 3 seconds ago."""

    total_revenue_cents: int
    total_discount_cents: int
    total_refunded_cents: int
    tickets_sold: int
    packages_sold: int
    packages_sold_out: int
    orders: int
    currency: str
    as_of: Moment


class ReportOut(Output):
    """A file that was made of the event's data, or is being made, or could not be."""

    id: UUID
    kind: Literal["sales"]
    status: Literal["running", "ready", "failed"]
    rows: int | None = None
    bytes: int | None = None
    sha256: str | None = None
    error: str | None = None
    created_at: Moment
    finished_at: Moment | None = None


class ReportCreate(Input):
    """Which report to make."""

    kind: Literal["sales"] = "sales"


class ReportList(Output):
    """The event's reports, the newest first."""

    items: list[ReportOut]
