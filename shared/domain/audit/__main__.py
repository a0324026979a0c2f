"""Verifies audit trails: `python -m shared.domain.audit [EVENT_ID …]`; without ids, those of all events.

Settings come from the environment, as for the app. Ends with 1 when a trail has been tampered with.
"""

import sys
from uuid import UUID

from sqlalchemy import select

from shared.domain.audit.models import AuditHead
from shared.domain.audit.queries import verify_chain
from shared.kit.db.unit_of_work import UnitOfWork


def main(arguments: list[str]) -> int:
    """Print a line an event and return the exit code."""
    with UnitOfWork(read_only=True) as unit_of_work:
        session = unit_of_work.session
        events = [UUID(text) for text in arguments] or list(session.scalars(select(AuditHead.event_id)))
        reports = {event_id: verify_chain(session, event_id) for event_id in events}
    for event_id, report in reports.items():
        broken = report.first_broken
        told = "whole" if broken is None else f"BROKEN at entry {broken.seq}: {broken.reason}"
        sys.stdout.write(f"{event_id}  {report.entries} entries  {told}\n")
    return 0 if all(report.valid for report in reports.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
