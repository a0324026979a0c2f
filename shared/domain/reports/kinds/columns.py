"""What a report is made of: columns, each written in the one way that its meaning asks for, and where its rows are.

Whoever adds a column says what it means. A text is made harmless for spreadsheets; nothing else may hold what people
have written. What is null is an empty cell.
"""

import re
from dataclasses import dataclass
from typing import LiteralString

from shared.domain.access.permissions import Permission

# What a spreadsheet takes for a formula, in the wide forms of East Asian keyboards as well (OWASP, CSV injection).
# Apostrophes before it count as well, so that one that we have put there can always be told and taken off again.
_FORMULA: LiteralString = r"^'*[=+@\t\r\n＝＋－＠-]"
_FORMULA_IN_SQL: LiteralString = _FORMULA.replace("'", "''")
_IS_FORMULA = re.compile(_FORMULA)


@dataclass(frozen=True, slots=True)
class Column:
    """A column's name, and the SQL of its cells."""

    name: str
    expression: LiteralString


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of report: one query over the rows of an event.

    The query's parameters are `event_id` and `digits`, how many decimal digits the event's currency has. With answers,
    a row is a ticket: its item has the alias `i`, the ticket itself `t`.
    """

    name: str
    permission: Permission
    columns: tuple[Column, ...]
    source: LiteralString
    condition: LiteralString
    order: LiteralString
    with_answers: bool = False


def harmless(text: str) -> str:
    """Return a text as cells have it: with an apostrophe before what a spreadsheet would take for a formula."""
    return f"'{text}" if _IS_FORMULA.match(text) else text


def harmless_sql(expression: LiteralString) -> LiteralString:
    """What `harmless` does, in SQL."""
    return f"CASE WHEN {expression} ~ '{_FORMULA_IN_SQL}' THEN '''' || {expression} ELSE {expression} END"


def text(name: str, expression: LiteralString) -> Column:
    """Somebody's words."""
    return Column(name, harmless_sql(expression))


def word(name: str, expression: LiteralString) -> Column:
    """A word or number of our own making, which no spreadsheet would run."""
    return Column(name, expression)


def yes_or_no(name: str, expression: LiteralString) -> Column:
    """A boolean."""
    return Column(name, f"CASE WHEN {expression} THEN 'yes' ELSE 'no' END")


def amount(name: str, cents: LiteralString) -> Column:
    """Money in the currency's own unit, as `decimal_text` writes it."""
    whole: LiteralString = "FM99999999999990"
    picture = f"CASE %(digits)s WHEN 0 THEN '{whole}' WHEN 3 THEN '{whole}.000' ELSE '{whole}.00' END"
    return Column(name, f"to_char({cents} / power(10::numeric, %(digits)s), {picture})")


def moment(name: str, expression: LiteralString) -> Column:
    """A time, in UTC, to the second."""
    return Column(name, f"to_char({expression} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
