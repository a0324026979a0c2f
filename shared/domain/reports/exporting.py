"""Writes a report straight into an answer, if it is small enough."""

from uuid import UUID

from shared.domain.reports.csv_file import LONGEST_SECONDS, CsvExport
from shared.domain.reports.kinds.columns import Kind
from shared.kit.db.unit_of_work import raw_connection

AT_MOST_BYTES = 8 * 1024 * 1024
"""How large an answer may be, about 80,000 tickets. The platform can't stream, so memory holds the whole file."""


def export_now(event_id: UUID, kind: Kind, *, with_bom: bool, at_most: int = AT_MOST_BYTES) -> bytes | None:
    """Return the same file as the timer writes, or None as soon as it is larger than `at_most` bytes."""
    file = bytearray()
    with raw_connection(longest_seconds=LONGEST_SECONDS) as connection:
        for chunk in CsvExport(connection, kind, event_id, with_bom=with_bom):
            file += chunk
            if len(file) > at_most:
                return None
    return bytes(file)
