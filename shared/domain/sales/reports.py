"""Report files: written to private blob storage, listed in a catalogue in Table storage (R-SALES-4).

The catalogue's row is written as `running` before the file, and as `ready` after it: it never shows a file that is not
there. An export that fails shows as failed, with its cause, and is made again by the timer.
"""

import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from shared.domain.catalog.queries import get_event
from shared.domain.orders.queries import last_sales
from shared.domain.sales import queries
from shared.domain.sales.csv_export import SalesCsv
from shared.domain.sales.errors import NoSuchReport, ReportNotReady
from shared.domain.sales.schemas import ReportOut
from shared.kit.clock import utc_now
from shared.kit.db.unit_of_work import UnitOfWork, raw_connection
from shared.kit.ids import new_id
from shared.kit.metrics import REPORTS
from shared.kit.money import MINOR_DIGITS
from shared.kit.storage import blobs, tables

log = logging.getLogger(__name__)

_TABLE = "reports"
_LINK_MINUTES = 10
_GIVEN_UP_AFTER = timedelta(minutes=15)


def list_reports(event_id: UUID) -> list[ReportOut]:
    """The event's reports, the newest first."""
    reports = [_out(entity) for entity in tables.list_entities(_TABLE, str(event_id))]
    return sorted(reports, key=lambda report: report.created_at, reverse=True)


def download_link(event_id: UUID, report_id: UUID, *, now: datetime) -> str:
    """A link to the report's file that works for ten minutes; raises `NoSuchReport`, `ReportNotReady`."""
    entity = tables.get_entity(_TABLE, str(event_id), str(report_id))
    if entity is None:
        raise NoSuchReport
    report = _out(entity)
    if report.status != "ready":
        raise ReportNotReady(f"The report is {report.status}.", report_status=report.status)
    return blobs.read_link(
        blobs.REPORTS,
        _blob_name(event_id, report_id),
        now=now,
        minutes=_LINK_MINUTES,
        file_name=f"{report.kind}-{report.created_at:%Y%m%d-%H%M%S}.csv",
    )


def make_report(event_id: UUID, *, now: datetime, report_id: UUID | None = None) -> ReportOut:
    """Write the sales CSV of an event and list it; returns the catalogue's entry, which may say `failed`.

    Works on storage and database alone, outside any transaction. A `report_id` that exists is written again.
    """
    report = ReportOut(id=report_id or new_id(), kind="sales", status="running", created_at=now)
    _note(event_id, report)
    try:
        with UnitOfWork(read_only=True) as unit_of_work:
            currency = get_event(unit_of_work.session, event_id).currency
        with raw_connection() as connection:
            export = SalesCsv(connection, event_id, digits=MINOR_DIGITS[currency])
            measured = blobs.Measured(export)
            blobs.put_stream(blobs.REPORTS, _blob_name(event_id, report.id), measured, content_type="text/csv")
        outcome: dict[str, Any] = {
            "status": "ready",
            "rows": export.rows,
            "bytes": measured.bytes,
            "sha256": measured.sha256,
        }
    except Exception as error:
        log.exception("The sales report of event %s failed", event_id)
        outcome = {"status": "failed", "error": f"{type(error).__name__}: the export could not be written"}
    REPORTS.labels(outcome["status"]).inc()
    report = report.model_copy(update={**outcome, "finished_at": utc_now()})
    _note(event_id, report)
    return report


def drop_reports(event_id: UUID, *, made_before: datetime, now: datetime) -> bool:
    """Drop the event's report files that were begun before a moment, and their entries; twice is as once.

    Says whether that were all: one that is being written just now may be finished later, and has to go then. Works on
    the storage alone.
    """
    done = True
    for report in list_reports(event_id):
        if report.created_at > made_before:
            continue
        if report.status == "running" and now - report.created_at < _GIVEN_UP_AFTER:
            done = False
            continue
        blobs.delete_blob(blobs.REPORTS, _blob_name(event_id, report.id))
        tables.delete_entity(_TABLE, str(event_id), str(report.id))
    return done


def refresh_all(*, now: datetime, at_most_every: timedelta) -> int:
    """Refresh the cached summaries and write the exports that are due; returns how many were written.

    An export is due when something was sold since the last one. Its id is derived from that last sale, so a timer that
    runs twice, late or beside itself writes the same file again, and nothing else.
    """
    with UnitOfWork(read_only=True) as unit_of_work:
        session = unit_of_work.session
        sales = last_sales(session)
        for event_id, _ in sales:
            for sponsorships_only in (False, True):
                queries.refresh_summary(session, event_id, sponsorships_only=sponsorships_only, now=utc_now())
    written = 0
    for event_id, sold_at in sales:
        report_id = uuid5(event_id, f"sales until {sold_at.isoformat()}")
        if _is_due(event_id, report_id, now=now, at_most_every=at_most_every):
            make_report(event_id, now=now, report_id=report_id)
            written += 1
    return written


def _is_due(event_id: UUID, report_id: UUID, *, now: datetime, at_most_every: timedelta) -> bool:
    reports = list_reports(event_id)
    mine = next((report for report in reports if report.id == report_id), None)
    if mine is not None:
        given_up = mine.status == "running" and now - mine.created_at > _GIVEN_UP_AFTER
        return mine.status == "failed" or given_up
    return not reports or now - reports[0].created_at >= at_most_every


def _blob_name(event_id: UUID, report_id: UUID) -> str:
    return f"{event_id}/{report_id}.csv"


def _note(event_id: UUID, report: ReportOut) -> None:
    fields = {name: value for name, value in dict(report).items() if value is not None and name != "id"}
    tables.put_entity(_TABLE, {"PartitionKey": str(event_id), "RowKey": str(report.id), **fields})


def _out(entity: dict[str, Any]) -> ReportOut:
    return ReportOut.model_validate({**entity, "id": entity["RowKey"]})
