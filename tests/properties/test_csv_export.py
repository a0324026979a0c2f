"""Any text that the API accepts survives a report: the server writes it, Python's csv reader reads it (R-SALES-3)."""

import csv
import io
import json
import re
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared.domain.orders.schemas import Text500
from shared.domain.reports import csv_file
from shared.domain.reports.csv_file import CsvExport
from shared.domain.reports.kinds.all import KINDS
from shared.domain.reports.kinds.columns import Kind
from shared.domain.reports.kinds.sales import SALES
from shared.kit.fields import Name
from tests.factories import add_past_sales
from tests.harness import databases
from tests.harness.desk import Desk, know_settings
from tests.properties.strategies import texts

NAME: TypeAdapter[Any] = TypeAdapter(Name)
ANSWER: TypeAdapter[Any] = TypeAdapter(Text500)
# Characters that are special to spreadsheets, CSV or our own apostrophe, in front of any text.
awkward = st.builds("{}{}".format, st.text("'=+-@＝＋－＠\",;\n\r\t\\%{}.", min_size=1, max_size=6), texts)


def accepted(adapter: TypeAdapter[Any], text: str) -> str | None:
    try:
        kept: str = adapter.validate_json(json.dumps(text))
    except ValidationError:
        return None
    return kept


def as_it_was(cell: str) -> str:
    """Remove the apostrophe that a report puts before a text that a spreadsheet would run."""
    return cell[1:] if re.match(r"'+[=+@\t\r\n＝＋－＠-]", cell) else cell


def would_run(cell: str) -> bool:
    """Whether a spreadsheet takes the cell for a formula, or for a formula after space."""
    return cell[:1] in set("=+-@＝＋－＠\t\r\n")


class Sale:
    """One ticket with an answered question, and the report of it."""

    def __init__(self, database_url: str) -> None:
        self.database_url, self.desk = database_url, Desk(database_url)
        desk = self.desk
        package = desk.package()
        desk.place({package: 1}, by="test")
        option, item = uuid4(), desk.value("SELECT id FROM order_items")
        desk.connection.execute(
            "INSERT INTO custom_options (event_id, id, package_id, label, option_type, choices, is_required, is_active,"
            " display_order, created_at) VALUES (%s, %s, %s, 'Wishes', 'text_input', '{}', false, true, 0, now())",
            [desk.event_id, option, package],
        )
        desk.connection.execute(
            "INSERT INTO option_answers (event_id, id, order_item_id, option_id, position, label, value)"
            " VALUES (%s, %s, %s, %s, 1, 'Wishes', '\"none\"')",
            [desk.event_id, uuid4(), item, option],
        )

    def write(self, *, name: str, answer: str, label: str) -> None:
        with self.desk.connection.transaction():
            self.desk.connection.execute(
                "UPDATE orders SET customer_name = %s WHERE event_id = %s", [name, self.desk.event_id]
            )
            self.desk.connection.execute("UPDATE custom_options SET label = %s", [label])
            self.desk.connection.execute("UPDATE option_answers SET value = to_jsonb(%s::text)", [answer])

    def report(self, kind: Kind = SALES, *, with_bom: bool = False) -> bytes:
        return b"".join(CsvExport(self.desk.connection, kind, self.desk.event_id, with_bom=with_bom))


@pytest.fixture(scope="module")
def sale(shared_service, app_environment):
    know_settings(app_environment)
    url = databases.clone(shared_service("template"), f"test_{uuid4().hex}")
    sale = Sale(url)
    yield sale
    sale.desk.close()
    databases.drop(url)


@given(
    name=(texts | awkward).map(lambda text: accepted(NAME, text)),
    answer=(texts | awkward).map(lambda text: accepted(ANSWER, text)),
    label=(texts | awkward).map(lambda text: accepted(NAME, text)),
    with_bom=st.booleans(),
)
@example(name="=1+1", answer="'=1", label="''-a", with_bom=True)
@example(name="a\\b", answer="\\.", label="promo_code", with_bom=False)
@example(name="－1", answer="a\r\nb\n", label='"', with_bom=False)
def test_any_text_survives_and_none_is_a_formula(sale, name, answer, label, with_bom):
    name, answer, label = name or "Ada", answer or "none", label or "Wishes"
    sale.write(name=name, answer=answer, label=label)
    file = sale.report(with_bom=with_bom)
    assert file.startswith(b"\xef\xbb\xbf") is with_bom
    header, row = csv.reader(io.StringIO(file.decode("utf-8-sig" if with_bom else "utf-8"), newline=""), strict=True)
    own = [column.name for column in SALES.columns]
    assert header[:-1] == own
    assert as_it_was(header[-1]) == (f"{label} (answer)" if label in own else label)
    assert (as_it_was(row[1]), as_it_was(row[-1])) == (name, answer)
    assert not any(would_run(cell) for cell in header + row)


def test_an_export_that_is_left_half_way_leaves_its_connection_as_it_was(sale, monkeypatch):
    desk = Desk(sale.database_url)
    add_past_sales(sale.database_url, str(desk.event_id), str(desk.package()), 2_000)
    monkeypatch.setattr(csv_file, "_CHUNK_BYTES", 1)
    export = CsvExport(desk.connection, SALES, desk.event_id)
    rows = iter(export)
    assert [len(chunk.splitlines()) for chunk in (next(rows), next(rows), next(rows))] == [1, 1, 1]
    rows.close()  # type: ignore[attr-defined]
    assert export.rows == 2
    assert desk.connection.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
    assert desk.value("SELECT 1") == 1
    desk.close()


@pytest.mark.parametrize("kind", KINDS)
def test_with_outdated_statistics_each_row_of_an_event_is_read_a_few_times_at_most(kind, sale):
    """The planner's statistics are older than the sale: it believes that the event has almost no rows."""
    desk, count = Desk(sale.database_url), 1_000
    package = desk.package()
    desk.connection.execute("ANALYZE orders, order_items, tickets, ledger")
    add_past_sales(sale.database_url, str(desk.event_id), str(package), count)
    before = rows_read(desk)
    export = CsvExport(desk.connection, KINDS[kind], desk.event_id)
    assert b"".join(export)
    assert kind in {"promo_codes", "ledger"} or export.rows == count
    rows_there = sum(desk.value(f"SELECT count(*) FROM {table}") for table in ("orders", "order_items", "tickets"))
    assert rows_read(desk) - before <= 3 * rows_there
    desk.close()


def rows_read(desk: Desk) -> int:
    """How many rows (or entries of indexes) have been looked at so far, as the server counts them."""
    desk.value("SELECT pg_stat_force_next_flush()::text")
    return int(
        desk.value(
            "SELECT (SELECT sum(seq_tup_read) FROM pg_stat_user_tables)"
            " + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes)"
        )
    )
