"""The sales as CSV, streamed by the server's own COPY in bounded memory (R-SALES-3).

A row is a ticket. An item's price is split over its tickets to the cent, so the column adds up to the revenue.
"""

from collections.abc import Iterator
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg import sql

COLUMNS = (
    "package_name",
    "purchaser_name",
    "purchaser_email",
    "purchase_date",
    "guest_name",
    "guest_email",
    "promo_code",
    "discount_applied",
    "final_price",
)


def _harmless(column: LiteralString) -> LiteralString:
    """A cell that a spreadsheet would take for a formula gets an apostrophe before it (OWASP, CSV injection)."""
    return f"CASE WHEN {column} ~ '^[=+@\\t\\r\\n-]' THEN '''' || {column} ELSE {column} END"


def _share(column: LiteralString) -> LiteralString:
    """A ticket's part of an item's cents, the first tickets taking the cents that are left over."""
    return (
        f"(i.{column} / (i.quantity * i.seats_per_package)"
        f" + (t.place <= i.{column} %% (i.quantity * i.seats_per_package))::int)"
    )


def _decimal(cents: LiteralString) -> LiteralString:
    """An amount in the currency's own unit, as `decimal_text` writes it."""
    picture = "CASE %(digits)s WHEN 0 THEN 'FM999999999990' WHEN 3 THEN 'FM999999990.000' ELSE 'FM999999990.00' END"
    return f"to_char({cents} / power(10::numeric, %(digits)s), {picture})"


_ROWS: LiteralString = f"""
SELECT {_harmless("i.description")} AS package_name,
       {_harmless("o.customer_name")} AS purchaser_name,
       {_harmless("o.customer_email")} AS purchaser_email,
       to_char(o.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS purchase_date,
       {_harmless("coalesce(t.holder_name, '')")} AS guest_name,
       {_harmless("coalesce(t.holder_email, '')")} AS guest_email,
       coalesce(o.promo_code, '') AS promo_code,
       {_decimal(_share("discount_cents"))} AS discount_applied,
       {_decimal(_share("total_cents"))} AS final_price
  FROM orders o
  JOIN order_items i ON i.event_id = o.event_id AND i.order_id = o.id
  JOIN LATERAL (
    SELECT k.*, row_number() OVER (ORDER BY k.number) AS place
      FROM tickets k WHERE k.event_id = i.event_id AND k.order_item_id = i.id
  ) AS t ON true
 WHERE o.event_id = %(event_id)s AND o.status IN ('paid', 'partially_refunded', 'refunded')
 ORDER BY o.created_at, o.id, i.position, t.place
"""  # noqa: S608 - constants of this module


class SalesCsv:
    """An iterator over the export's bytes that knows, at its end, how many rows went by."""

    def __init__(self, connection: psycopg.Connection[Any], event_id: UUID, *, digits: int) -> None:
        """`digits` is how many decimal digits the event's currency has."""
        self._connection = connection
        self._parameters = {"event_id": event_id, "digits": digits}
        self.rows = 0

    def __iter__(self) -> Iterator[bytes]:
        with self._connection.cursor() as cursor:
            query = psycopg.ClientCursor(self._connection).mogrify(_ROWS, self._parameters)
            copy = sql.SQL("COPY ({}) TO STDOUT WITH (FORMAT csv, HEADER)").format(_composed(query))
            with cursor.copy(copy) as stream:
                for chunk in stream:
                    yield bytes(chunk)
            self.rows = max(0, cursor.rowcount)


def _composed(query: str) -> sql.SQL:
    return sql.SQL(query)  # COPY takes no parameters; mogrify has quoted them
