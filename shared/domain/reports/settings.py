from typing import ClassVar

from pydantic import Field

from shared.kit.settings.group import Group, read
from shared.kit.settings.values import RateLimitText, Schedule


class ReportSettings(Group):
    """When sales summaries are refreshed, and how long report files are kept."""

    heading: ClassVar[str] = "Sales and reports"

    sales_refresh_schedule: Schedule = Field(
        "0 * * * * *",
        description="When sales summaries are refreshed, due reports are written, and outdated reports are removed.",
    )
    sales_export_minutes: int = Field(
        15,
        ge=0,
        le=10_080,
        description="Events without report schedules get a sales report after new sales, at most this often.",
    )
    report_keep_days: int = Field(
        90,
        ge=1,
        le=3_650,
        description="How many days report files without a schedule are kept; each schedule has its own setting.",
    )
    rate_limit_reports: RateLimitText = Field("20/minute", description="Reports that a person asks for, per event.")


def report_settings() -> ReportSettings:
    """Return the process's settings of this group."""
    return read(ReportSettings)
