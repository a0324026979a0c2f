"""What the timer does for all events; a broken trail or a damaged archive does not stop the other events."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.domain.audit.archives import archive_event, events_to_archive
from shared.domain.audit.chain import ChainBroken
from shared.domain.audit.proof import Unproven
from shared.domain.audit.pruning import events_to_prune, prune_event
from shared.kit.db.faults import is_lost_connection
from shared.kit.db.unit_of_work import UnitOfWork
from shared.kit.storage.account import StorageDown

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Outcome:
    """How many months were done, and how many events have a month that could not be done."""

    done: int = 0
    failed: int = 0


def archive_closed_months(*, now: datetime) -> Outcome:
    """Archive every event's closed months; a run that is repeated, late or parallel makes the same files."""
    with UnitOfWork(read_only=True) as unit_of_work:
        events = events_to_archive(unit_of_work.session, now=now)
    return _each(events, lambda event_id: archive_event(event_id, now=now), told="archived")


def prune_proven_months(*, now: datetime) -> Outcome:
    """Prune every event's months older than seven years, if their archive is proven to be whole."""
    with UnitOfWork(read_only=True) as unit_of_work:
        events = events_to_prune(unit_of_work.session, now=now)
    return _each(events, lambda event_id: prune_event(event_id, now=now), told="pruned")


def _each(event_ids: Iterable[UUID], work: Callable[[UUID], int], *, told: str) -> Outcome:
    outcome = Outcome()
    for event_id in event_ids:
        try:
            outcome.done += work(event_id)
        except StorageDown:
            log.error("The storage is out of reach: nothing more is %s now; the next run goes on", told)  # noqa: TRY400
            outcome.failed += 1
            break
        except (ChainBroken, Unproven) as fault:
            log.error("The audit trail of event %s is not %s: %s", event_id, told, fault)  # noqa: TRY400
            outcome.failed += 1
        except Exception as error:
            if is_lost_connection(error):
                raise
            log.exception("The audit trail of event %s could not be %s", event_id, told)
            outcome.failed += 1
    return outcome
