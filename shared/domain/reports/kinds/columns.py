"""The parts of a report: its columns, and where its rows come from.

Each column declares its meaning, and the meaning decides how its cells are written. `text` makes words that people
wrote harmless for spreadsheets; no other kind of column may hold such words. A null is an empty cell.
"""

import re
from dataclasses import dataclass
from typing import LiteralString

from shared.domain.access.permissions import Permission

# What a spreadsheet reads as a formula, also in the wide forms of East Asian keyboards (OWASP, CSV injection).
# Apostrophes before it count as well, so that the apostrophe that we add can always be recognised and removed.
_FORMULA: LiteralString = r"^'*[=+@\t\r\n＝＋－＠-]"
_FORMULA_IN_SQL: LiteralString = _FORMULA.replace("'", "''")
_IS_FORMULA = re.compile(_FORMULA)


@dataclass(frozen=True, slots=True)
class Column:
    """A column's name, and the SQL expression of its cells."""

    name: str
    expression: LiteralString


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of report: one query over the rows of an event.

    The query's parameters are `event_id` and `digits`: how many decimal digits the event's currency has. With answers,
    a row is a ticket: the alias of the order line is `i`, the alias of the ticket is `t`.
    """

    name: str
    permission: Permission
    columns: tuple[Column, ...]
    source: LiteralString
    condition: LiteralString
    order: LiteralString
    with_answers: bool = False


def harmless(text: str) -> str:
    """Return a text for a cell: with an apostrophe before it if a spreadsheet would read it as a formula."""
    return f"'{text}" if _IS_FORMULA.match(text) else text


def harmless_sql(expression: LiteralString) -> LiteralString:
    """Return an SQL expression that does what `harmless` does."""
    return f"CASE WHEN {expression} ~ '{_FORMULA_IN_SQL}' THEN '''' || {expression} ELSE {expression} END"


def text(name: str, expression: LiteralString) -> Column:
    """Words that people wrote."""
    return Column(name, harmless_sql(expression))


def word(name: str, expression: LiteralString) -> Column:
    """A word or number that the app itself made, which no spreadsheet would run."""
    return Column(name, expression)


def yes_or_no(name: str, expression: LiteralString) -> Column:
    """A boolean."""
    return Column(name, f"CASE WHEN {expression} THEN 'yes' ELSE 'no' END")


def amount(name: str, cents: LiteralString) -> Column:
    """An amount in the currency's main unit, as `decimal_text` writes it."""
    whole: LiteralString = "FM99999999999990"
    picture = f"CASE %(digits)s WHEN 0 THEN '{whole}' WHEN 3 THEN '{whole}.000' ELSE '{whole}.00' END"
    return Column(name, f"to_char({cents} / power(10::numeric, %(digits)s), {picture})")


def moment(name: str, expression: LiteralString) -> Column:
    """A time, in UTC, to the second."""
    return Column(name, f"to_char({expression} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
