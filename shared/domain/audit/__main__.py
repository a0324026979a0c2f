"""Verifies and archives audit trails: `python -m shared.domain.audit [COMMAND] [EVENT_ID …]`.

    verify [EVENT_ID …]             compute every hash of the trails in the database again (the default command)
    verify-archive [EVENT_ID …]     read the archives of closed months back and prove them
    archive                         archive closed months now, and prune old ones that are proven, as the timer does
    rewrite-archive EVENT_ID MONTH  write a lost or damaged archive again, while its entries are in the database

Without ids, a command works on all events. Settings come from the environment, as they do for the app. The exit code
is 1 when a trail or an archive was tampered with or could not be read, and 2 when the command was not understood.
"""

import sys
from collections.abc import Callable
from uuid import UUID

from sqlalchemy import select

from shared.domain.audit.archives import rewrite_archive, verify_archives
from shared.domain.audit.chain import ChainBroken
from shared.domain.audit.errors import NoSuchArchive
from shared.domain.audit.models import AuditHead
from shared.domain.audit.proof import Unproven
from shared.domain.audit.queries import verify_chain
from shared.domain.audit.upkeep import archive_closed_months, prune_proven_months
from shared.kit.clock import utc_now
from shared.kit.db.unit_of_work import UnitOfWork
from shared.kit.storage.account import StorageDown


def main(arguments: list[str]) -> int:
    """Run one command and return the exit code."""
    commands: dict[str, Callable[[list[str]], bool]] = {
        "verify": _verify,
        "verify-archive": _verify_archive,
        "archive": _archive,
        "rewrite-archive": _rewrite_archive,
    }
    command, *rest = arguments if arguments and arguments[0] in commands else ["verify", *arguments]
    try:
        return 0 if commands[command](rest) else 1
    except ValueError:
        sys.stderr.write(__doc__ or "")
        return 2
    except StorageDown:
        sys.stderr.write("The storage is out of reach.\n")
        return 1


def _verify(ids: list[str]) -> bool:
    """Print one line for each event."""
    whole = True
    for event_id in _events(ids):
        with UnitOfWork(read_only=True) as unit_of_work:
            report = verify_chain(unit_of_work.session, event_id)
        broken = report.first_broken
        told = "whole" if broken is None else f"BROKEN at entry {broken.seq}: {broken.reason}"
        sys.stdout.write(f"{event_id}  {report.entries} entries, {report.pruned} pruned  {told}\n")
        whole = whole and report.valid
    return whole


def _verify_archive(ids: list[str]) -> bool:
    """Print one line for each archived month."""
    whole = True
    for event_id in _events(ids):
        for report in verify_archives(event_id):
            told = "whole" if report.fault is None else f"BROKEN: {report.fault}"
            sys.stdout.write(f"{event_id}  {report.month}  {report.rows} entries  {told}\n")
            whole = whole and report.fault is None
    return whole


def _archive(_: list[str]) -> bool:
    now = utc_now()
    archived, pruned = archive_closed_months(now=now), prune_proven_months(now=now)
    sys.stdout.write(f"{archived.done} months archived, {pruned.done} pruned\n")
    return archived.failed == pruned.failed == 0


def _rewrite_archive(rest: list[str]) -> bool:
    event_id, month = rest
    try:
        rewrite_archive(UUID(event_id), month, now=utc_now())
    except (NoSuchArchive, ChainBroken, Unproven) as error:
        sys.stderr.write(f"{error}\n")
        return False
    return True


def _events(ids: list[str]) -> list[UUID]:
    if ids:
        return [UUID(text) for text in ids]
    with UnitOfWork(read_only=True) as unit_of_work:
        return list(unit_of_work.session.scalars(select(AuditHead.event_id).order_by(AuditHead.event_id)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
