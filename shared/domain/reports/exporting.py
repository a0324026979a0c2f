"""A report straight into an answer, as long as it is small enough for one."""

from uuid import UUID

from shared.domain.reports.csv_file import LONGEST_SECONDS, CsvExport
from shared.domain.reports.kinds.columns import Kind
from shared.kit.db.unit_of_work import raw_connection

AT_MOST_BYTES = 8 * 1024 * 1024
"""What an answer may hold, some 80,000 tickets: the platform can't stream, so a whole file lies in memory."""


def export_now(event_id: UUID, kind: Kind, *, with_bom: bool, at_most: int = AT_MOST_BYTES) -> bytes | None:
    """Return the file as the timer writes it; None where it is larger, and then it is not read to its end."""
    file = bytearray()
    with raw_connection(longest_seconds=LONGEST_SECONDS) as connection:
        for chunk in CsvExport(connection, kind, event_id, with_bom=with_bom):
            file += chunk
            if len(file) > at_most:
                return None
    return bytes(file)
