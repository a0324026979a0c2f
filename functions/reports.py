"""The timer function that keeps summaries warm and writes the sales exports."""

from datetime import timedelta

import azure.functions as func

from shared.domain.sales.reports import refresh_all
from shared.kit.clock import utc_now
from shared.kit.jobs import job
from shared.kit.settings import settings

bp = func.Blueprint()


@bp.function_name("refresh_sales")
@bp.timer_trigger(arg_name="timer", schedule=settings().sales_refresh_schedule, use_monitor=False)
def refresh_sales(timer: func.TimerRequest) -> None:
    """Refresh the cached summaries, and write the sales exports that are due."""
    with job("refresh_sales"):
        refresh_all(now=utc_now(), at_most_every=timedelta(minutes=settings().sales_export_minutes))
