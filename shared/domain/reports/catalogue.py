"""The catalogue of report files, in Table storage (R-SALES-4): a partition for each event, a row for each report.

A row says `ready` only while the file is there: the row is written after the file, and removed before it. An attempt to
write a report changes the row only until a later attempt begins, and never once the row is `ready`. So writers that
work at the same time can't undo each other's work.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from shared.domain.reports.models import ReportRun
from shared.kit.storage import tables

_TABLE = "reports"

type Entry = dict[str, Any]


def entries(event_id: UUID) -> list[Entry]:
    """Return every report of the event that is in the catalogue, each with its `id`."""
    return [{**entity, "id": UUID(entity["RowKey"])} for entity in tables.list_entities(_TABLE, str(event_id))]


def find(event_id: UUID, report_id: UUID) -> Entry | None:
    """Return one report of the event, or None."""
    entity = tables.get_entity(_TABLE, str(event_id), str(report_id))
    return None if entity is None else {**entity, "id": report_id}


def begin(run: ReportRun) -> tables.Seen:
    """Note that an attempt has begun, unless the file is there already; returns the entry after that."""
    began = {
        "kind": run.kind,
        "with_bom": run.with_bom,
        "schedule_id": None if run.schedule_id is None else str(run.schedule_id),
        "due_at": run.due_at,
        "created_at": run.created_at,
        "status": "running",
        "attempt": run.attempts,
    }
    expected = tables.ABSENT if run.attempts == 1 else None
    return _change(run, lambda entry: None if _is_settled(entry, run) else began, last_seen=expected)


def finish(run: ReportRun, begun: tables.Seen, *, blob: str, rows: int, size: int, sha256: str, now: datetime) -> bool:
    """Show the file of an attempt; returns False if a later attempt has the row, or if the row was removed."""
    facts = {"status": "ready", "blob": blob, "rows": rows, "bytes": size, "sha256": sha256, "finished_at": now}
    shown = _change(
        run, lambda entry: {**entry, **facts} if entry and not _is_settled(entry, run) else None, last_seen=begun
    )
    return shown.properties.get("blob") == blob


def fail(run: ReportRun, *, error: str, now: datetime) -> None:
    """Note why the attempt has failed."""
    facts = {"status": "failed", "error": error, "finished_at": now}
    _change(run, lambda entry: None if _is_settled(entry, run) else {**entry, **facts})


def remove(event_id: UUID, report_id: UUID) -> None:
    """Remove a report from the catalogue; its file is deleted after this."""
    tables.delete_entity(_TABLE, str(event_id), str(report_id))


def _is_settled(entry: Mapping[str, Any], run: ReportRun) -> bool:
    return entry.get("status") == "ready" or entry.get("attempt", 0) > run.attempts


def _change(run: ReportRun, change: Any, *, last_seen: tables.Seen | None = None) -> tables.Seen:
    def changed(entry: Entry) -> Entry | None:
        new = change(entry)
        return None if new is None else {name: value for name, value in new.items() if value is not None}

    return tables.change_entity(_TABLE, str(run.event_id), str(run.id), changed, last_seen=last_seen)
