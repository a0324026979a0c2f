"""The timer function that refreshes sales summaries, and writes and removes reports."""

import logging
from datetime import timedelta

import azure.functions as func

from shared.domain.reports.settings import report_settings
from shared.domain.reports.upkeep import keep_reports
from shared.domain.sales.queries import warm_summaries
from shared.kit.clock import utc_now
from shared.kit.jobs import job

log = logging.getLogger(__name__)
bp = func.Blueprint()


@bp.function_name("refresh_sales")
@bp.timer_trigger(arg_name="timer", schedule=report_settings().sales_refresh_schedule, use_monitor=False)
def refresh_sales(timer: func.TimerRequest) -> None:
    """Refresh the cached summaries of events with new sales, write due reports, and remove outdated reports."""
    with job("refresh_sales"):
        try:
            warm_summaries(now=utc_now())
        except Exception:  # without the refresh all figures are still right, only slower to read
            log.exception("The sales summaries could not be refreshed")
        keep_reports(sales_every=timedelta(minutes=report_settings().sales_export_minutes))
