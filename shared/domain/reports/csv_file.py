"""A report as CSV: one query, written by the server's own COPY in limited memory (R-SALES-3).

The format is RFC 4180: commas, quotes where they are needed, CRLF after each row. It is UTF-8, with a byte order mark
on request. After a kind's own columns come the answers to the packages' options, a column for each label. The oldest
label is on the left, so a new question adds a column on the right and moves no other column.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql

from shared.domain.access.errors import NoSuchEvent
from shared.domain.reports.kinds.columns import Kind, harmless, harmless_sql
from shared.kit.money import MINOR_DIGITS

LONGEST_SECONDS = 180
"""The server stops an export that takes longer, including the time that it waits for the storage."""

_BOM = b"\xef\xbb\xbf"
_CHUNK_BYTES = 64 * 1024
_CURRENCY = "SELECT currency FROM events WHERE id = %(event_id)s"
# Ordered by age (ids are UUIDv7), because the team may reorder its questions at any time.
_OPTIONS = "SELECT id, package_id, label FROM custom_options WHERE event_id = %(event_id)s ORDER BY id"
_ANSWERS: LiteralString = """
WITH answers AS (
  SELECT a.order_item_id, a.ticket_id, jsonb_object_agg(c.place,
           CASE jsonb_typeof(a.value)
             WHEN 'boolean' THEN CASE WHEN a.value = 'true' THEN 'yes' ELSE 'no' END
             WHEN 'array' THEN (SELECT string_agg(choice, '; ' ORDER BY n)
                                  FROM jsonb_array_elements_text(a.value) WITH ORDINALITY AS e(choice, n))
             ELSE a.value #>> '{}' END) AS by_place
    FROM option_answers a
    JOIN unnest(%(option_ids)s::uuid[], %(places)s::int[]) AS c(option_id, place) ON c.option_id = a.option_id
   WHERE a.event_id = %(event_id)s AND a.value IS NOT NULL
   GROUP BY a.order_item_id, a.ticket_id
)
"""
_JOINED_ANSWERS: LiteralString = """
  LEFT JOIN answers item_answers ON item_answers.order_item_id = i.id AND item_answers.ticket_id IS NULL
  LEFT JOIN answers ticket_answers ON ticket_answers.ticket_id = t.id
"""


class CsvExport:
    """An iterator over a report's bytes; at its end, `rows` is the number of rows."""

    def __init__(
        self, connection: psycopg.Connection[Any], kind: Kind, event_id: UUID, *, with_bom: bool = False
    ) -> None:
        """Raises `NoSuchEvent`. Only the export may use the connection until the iteration ends."""
        self._connection = connection
        self._kind = kind
        self._with_bom = with_bom
        self._parameters: dict[str, Any] = {"event_id": event_id}
        currency = connection.execute(_CURRENCY, self._parameters).fetchone()
        if currency is None:
            raise NoSuchEvent
        self._parameters["digits"] = MINOR_DIGITS[currency[0]]
        self._labels = self._read_options() if kind.with_answers else []
        self.rows = 0

    def _read_options(self) -> list[str]:
        """Give each label its column.

        Packages that use the same label share its column. A label that one package uses twice gets two columns.
        """
        options = self._connection.execute(_OPTIONS, self._parameters).fetchall()
        seen: Counter[tuple[UUID, str]] = Counter()
        places: dict[tuple[str, int], int] = {}
        of_option: dict[UUID, int] = {}
        for option_id, package_id, label in options:
            seen[package_id, label] += 1
            of_option[option_id] = places.setdefault((label, seen[package_id, label]), len(places))
        self._parameters |= {"option_ids": list(of_option), "places": list(of_option.values())}
        return [label if count == 1 else f"{label} ({count})" for label, count in places]

    def __iter__(self) -> Iterator[bytes]:
        yield self._header()
        rows: list[memoryview] = []
        size = 0
        for row in self._copied():
            rows.append(row)
            size += len(row)
            if size >= _CHUNK_BYTES:
                yield self._lines(rows)
                rows, size = [], 0
        if rows:
            yield self._lines(rows)

    def _header(self) -> bytes:
        names = {column.name for column in self._kind.columns}
        labels = [f"{label} (answer)" if label in names else harmless(label) for label in self._labels]
        line = io.StringIO()
        csv.writer(line, lineterminator="\r\n").writerow([*(column.name for column in self._kind.columns), *labels])
        return (_BOM if self._with_bom else b"") + line.getvalue().encode()

    def _lines(self, rows: list[memoryview]) -> bytes:
        self.rows += len(rows)
        return b"\r\n".join(rows) + b"\r\n"

    def _copied(self) -> Iterator[memoryview]:
        """Yield the rows as the server writes them, without their line feed: libpq passes them on one at a time."""
        with self._connection.transaction(), self._connection.cursor() as cursor:
            # Longer than a request may take. It is not set per connection, because a pooler may lend that to others.
            cursor.execute(f"SET LOCAL statement_timeout = '{LONGEST_SECONDS}s'".encode())
            # All of an event's rows are read. If its sale has just begun, the planner's statistics are out of date: it
            # expects a few rows, and would read one table again for each row of another.
            cursor.execute("SET LOCAL enable_nestloop = off")
            with cursor.copy(sql.SQL("COPY ({}) TO STDOUT WITH (FORMAT csv)").format(self._query())) as stream:
                for row in stream:
                    yield memoryview(row)[:-1]

    def _query(self) -> sql.SQL:
        kind = self._kind
        columns = [column.expression for column in kind.columns]
        columns += [harmless_sql(_answer(place)) for place in range(len(self._labels))]
        query = (
            f"{_ANSWERS if self._labels else ''} SELECT {', '.join(columns)} FROM {kind.source}"  # noqa: S608 - constants
            f"{_JOINED_ANSWERS if self._labels else ''} WHERE {kind.condition} ORDER BY {kind.order}"
        )
        # COPY takes no parameters; mogrify quotes them.
        return sql.SQL(psycopg.ClientCursor(self._connection).mogrify(query, self._parameters))


def _answer(place: int) -> str:
    return f"coalesce(ticket_answers.by_place->>'{place}', item_answers.by_place->>'{place}')"
