"""The timer functions for upkeep. Each may run twice, late, and at the same time as another run of itself."""

import azure.functions as func

from shared.domain.audit import upkeep
from shared.domain.audit.settings import audit_settings
from shared.domain.ledger.reconciling import reconcile_all
from shared.domain.ledger.settings import ledger_settings
from shared.domain.orders.releasing import release_all_overdue
from shared.domain.orders.search.words import learn_words, tidy_index
from shared.domain.orders.settings import order_settings
from shared.domain.privacy import retention
from shared.domain.privacy.settings import privacy_settings
from shared.kit.clock import utc_now
from shared.kit.db.unit_of_work import raw_connection
from shared.kit.jobs import job

bp = func.Blueprint()


@bp.function_name("archive_audit")
@bp.timer_trigger(arg_name="timer", schedule=audit_settings().audit_archive_schedule, use_monitor=True)
def archive_audit(timer: func.TimerRequest) -> None:
    """Archive the closed months of every audit trail, then prune proven months older than seven years."""
    with job("archive_audit"):
        now = utc_now()
        upkeep.archive_closed_months(now=now)
        upkeep.prune_proven_months(now=now)


@bp.function_name("apply_retention")
@bp.timer_trigger(arg_name="timer", schedule=privacy_settings().retention_schedule, use_monitor=True)
def apply_retention(timer: func.TimerRequest) -> None:
    """Erase personal data of events that ended long ago, and prune old messages, as the settings say."""
    config = privacy_settings()
    rules = retention.Rules(
        personal_data_days=config.personal_data_days,
        provider_message_days=config.provider_message_days,
        outbox_days=config.outbox_days,
    )
    with job("apply_retention"):
        retention.apply(rules, now=utc_now())


@bp.function_name("release_expired")
@bp.timer_trigger(arg_name="timer", schedule=order_settings().release_schedule, use_monitor=False)
def release_expired(timer: func.TimerRequest) -> None:
    """Release what expired orders hold. An order that needs it sooner does the same, without waiting for this."""
    with job("release_expired"), raw_connection() as connection:
        release_all_overdue(connection, now=utc_now())


@bp.function_name("reconcile")
@bp.timer_trigger(arg_name="timer", schedule=ledger_settings().reconcile_schedule, use_monitor=False)
def reconcile(timer: func.TimerRequest) -> None:
    """Check the books of every event in which something happens; differences are logged, counted and listed."""
    with job("reconcile"):
        reconcile_all(now=utc_now())


@bp.function_name("tend_order_search")
@bp.timer_trigger(arg_name="timer", schedule=order_settings().order_search_schedule, use_monitor=False)
def tend_order_search(timer: func.TimerRequest) -> None:
    """Learn the words of new orders, and tidy the search index, so that no order has to wait for either."""
    with job("tend_order_search"), raw_connection() as connection:
        learn_words(connection)
        tidy_index(connection)
