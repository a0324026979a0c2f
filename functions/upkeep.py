"""The timer functions that keep the house in order. Each may run twice, late, and beside itself."""

import azure.functions as func

from shared.domain.audit import upkeep
from shared.domain.ledger.reconciling import reconcile_all
from shared.domain.orders.releasing import release_all_overdue
from shared.domain.orders.words import learn_words, tidy_index
from shared.kit.clock import utc_now
from shared.kit.db.unit_of_work import raw_connection
from shared.kit.settings import settings

bp = func.Blueprint()


@bp.function_name("archive_audit")
@bp.timer_trigger(arg_name="timer", schedule=settings().audit_archive_schedule, use_monitor=True)
def archive_audit(timer: func.TimerRequest) -> None:
    """Archive the closed months of every audit trail, then prune what is older than seven years and proven."""
    now = utc_now()
    upkeep.archive_closed_months(now=now)
    upkeep.prune_proven_months(now=now)


@bp.function_name("release_expired")
@bp.timer_trigger(arg_name="timer", schedule="30 * * * * *", use_monitor=False)
def release_expired(timer: func.TimerRequest) -> None:
    """Let go what orders held whose time to pay is up; whoever needs it sooner does the same."""
    with raw_connection() as connection:
        release_all_overdue(connection, now=utc_now())


@bp.function_name("reconcile")
@bp.timer_trigger(arg_name="timer", schedule=settings().reconcile_schedule, use_monitor=False)
def reconcile(timer: func.TimerRequest) -> None:
    """Check the books of every event in which something happens; what differs is logged, counted and listed."""
    reconcile_all(now=utc_now())


@bp.function_name("tend_order_search")
@bp.timer_trigger(arg_name="timer", schedule="*/20 * * * * *", use_monitor=False)
def tend_order_search(timer: func.TimerRequest) -> None:
    """Learn the words of new orders, and tidy the index they are found by, so that no order waits for either."""
    with raw_connection() as connection:
        learn_words(connection)
        tidy_index(connection)
