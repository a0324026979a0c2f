"""The timer functions that keep the house in order."""

import azure.functions as func

from shared.domain.audit import upkeep
from shared.kit.clock import utc_now
from shared.kit.settings import settings

bp = func.Blueprint()


@bp.function_name("archive_audit")
@bp.timer_trigger(arg_name="timer", schedule=settings().audit_archive_schedule, use_monitor=True)
def archive_audit(timer: func.TimerRequest) -> None:
    """Archive the closed months of every audit trail, then prune what is older than seven years and proven."""
    now = utc_now()
    upkeep.archive_closed_months(now=now)
    upkeep.prune_proven_months(now=now)
