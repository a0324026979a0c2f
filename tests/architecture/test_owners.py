"""Every table has an owner: the one area that writes it. Others call the owner's commands.

The sources show which area writes a table: in SQL text (`INSERT INTO`, `UPDATE … SET`, `DELETE FROM`), or by the ORM
and Core (`Model(…)`, `insert(Model)`, `update(Model)`, `delete(Model)`, `session.add`). Areas that read another area's
table are listed here with a reason, so anyone who changes a table finds the areas that depend on it.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import shared.models  # noqa: F401 - registers every table
from infra.local.home import REPOSITORY
from shared.kit.db.base import Base

OWNERS = {
    "access": {"users", "event_members"},
    "audit": {"audit_archives", "audit_heads", "audit_log"},
    "catalog": {"custom_options", "events", "ticket_packages"},
    "kit": {"idempotency_keys", "outbox"},
    "ledger": {"ledger", "reconciliations"},
    "orders": {"option_answers", "order_items", "order_notes", "order_words", "order_words_learnt", "orders"},
    "payments": {"payments", "provider_messages", "refunds"},
    "privacy": {"erasures"},
    "promotions": {
        "promo_code_customers",
        "promo_code_packages",
        "promo_code_stock",
        "promo_code_uses",
        "promo_codes",
    },
    "reports": {"report_runs", "report_schedules"},
    "stock": {"stock"},
    "tickets": {"tickets"},
}
OWNER_OF = {table: area for area, tables in OWNERS.items() for table in tables}
TABLE_OF = {model.class_.__name__: model.class_.__tablename__ for model in Base.registry.mappers}

_WRITES = re.compile(r"\b(?:INSERT\s+INTO|UPDATE(?!\s+SET)|DELETE\s+FROM|TRUNCATE)\s+(?:ONLY\s+)?([a-z_]+)")
_READS = re.compile(r"\b(?:FROM|JOIN)\s+(?:ONLY\s+)?([a-z_]+)")


def sources() -> Iterator[tuple[str, str, str]]:
    """Each source: its area (or `kit`, or `functions`), its name for people, and its text."""
    for folder in ("shared/domain", "shared/kit", "functions"):
        for path in sorted((REPOSITORY / folder).rglob("*")):
            if path.suffix in {".py", ".sql"}:
                area = (
                    path.relative_to(REPOSITORY / folder).parts[0] if folder == "shared/domain" else Path(folder).name
                )
                yield area, str(path.relative_to(REPOSITORY)), path.read_text(encoding="utf-8")


def texts_in(source: str, name: str) -> Iterator[str]:
    """The SQL in a source: a `.sql` file without its comments, or every string of a Python file except docstrings."""
    if name.endswith(".sql"):
        yield re.sub(r"--.*", "", source)
        return
    tree = ast.parse(source)
    told = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (told | inside):
            yield node.value


def written(source: str, name: str) -> set[str]:
    """The tables that a source writes."""
    found = {table for text in texts_in(source, name) for table in _WRITES.findall(text)}
    if name.endswith(".py"):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id in TABLE_OF:
                    found.add(TABLE_OF[node.func.id])
                if node.func.id in {"insert", "update", "delete"} and isinstance(node.args[0], ast.Name):
                    found.add(TABLE_OF.get(node.args[0].id, ""))
    return found & OWNER_OF.keys()


def read(source: str, name: str) -> set[str]:
    """The tables that a source reads."""
    found = {table for text in texts_in(source, name) for table in _READS.findall(text)}
    if name.endswith(".py"):
        names = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
        found |= {TABLE_OF[each] for each in names & TABLE_OF.keys()}
    return found & OWNER_OF.keys()


def test_every_table_has_one_owner():
    assert sorted(OWNER_OF) == sorted(table.name for table in Base.metadata.sorted_tables)
    assert sum(map(len, OWNERS.values())) == len(OWNER_OF)


def test_only_owners_write_their_tables():
    wrong = {
        f"{name} writes {table}, which is {OWNER_OF[table]}'s"
        for area, name, source in sources()
        for table in written(source, name)
        if OWNER_OF[table] != area
    }
    assert sorted(wrong) == []


# Reads across areas that are declared: a folder or file, which tables of others it reads, and why. A read model may
# read whatever its own pages or files show, and nothing depends on it.
READ_MODELS = {
    "shared/domain/sales/": "the team's figures",
    "shared/domain/reports/": "the team's files",
    "shared/domain/ledger/": "the books are held against everything that they tell of",
    "shared/domain/privacy/": "an export hands out, and an erasure looks for, whatever is held on somebody",
    "shared/domain/orders/team/timeline.py": "an order's timeline tells what has happened anywhere",
    "functions/metrics.py": "what Prometheus is told",
}
READS = {
    "shared/domain/catalog/": ({"stock"}, "a package is shown and edited with what is left of it"),
    "shared/domain/messaging/models.py": ({"outbox"}, "an index by what most messages are about"),
    "shared/domain/messaging/queries.py": ({"events", "outbox"}, "messages tell in which events something was sold"),
    "shared/domain/orders/paying.py": ({"events"}, "the event limits what one customer may have"),
    "shared/domain/orders/reading.py": ({"payments", "tickets"}, "an order is shown in one statement"),
    "shared/domain/orders/returning.py": ({"events"}, "the event says whether a refund returns promo codes"),
    "shared/domain/orders/search/conditions.py": ({"tickets"}, "an order is found by a ticket's number"),
    "shared/domain/orders/search/words.py": ({"events"}, "the words of names are learnt event by event"),
    "shared/domain/orders/team/commands.py": ({"outbox"}, "what was sent again lately is counted"),
    "shared/domain/payments/facts.py": ({"orders"}, "a payment is about an order, under the order's lock"),
    "shared/domain/stock/sql/stock_claim_for_customer.sql": (
        {"order_items", "orders", "tickets"},
        "what one customer may have is counted in their orders",
    ),
    "shared/domain/tickets/commands.py": ({"order_items"}, "a ticket belongs to a line of an order"),
}


def declared(name: str) -> set[str] | None:
    """What a source may read of others; None for a read model."""
    if any(name.startswith(place) for place in READ_MODELS):
        return None
    return {table for place, (tables, _) in READS.items() if name.startswith(place) for table in tables}


def test_reads_across_areas_are_declared():
    undeclared, met = set(), set()
    for area, name, source in sources():
        allowed = declared(name)
        others = {table for table in read(source, name) if OWNER_OF[table] != area}
        if allowed is not None:
            undeclared |= {f"{name} reads {table}, which is {OWNER_OF[table]}'s" for table in others - allowed}
            met |= {(place, table) for place in READS if name.startswith(place) for table in others}
    assert sorted(undeclared) == []
    known = {(place, table) for place, (tables, _) in READS.items() for table in tables}
    assert sorted(known - met) == [], "a declared read that nobody needs any more"


def test_the_check_sees_every_way_of_writing_and_reading():
    source = '''
from x import Order, Ticket
A = "INSERT INTO refunds (a) SELECT b FROM payments p JOIN stock s ON true"
B = f"UPDATE {x} events e SET a = 1"
def f(session):
    """DELETE FROM users, says the docstring."""
    session.execute(delete(Ticket).where(x))
    session.add(Order(id=1))
    session.execute("update stock set a = 1; DELETE FROM users WHERE true")
'''
    assert written(source, "a.py") == {"refunds", "tickets", "orders", "users"}
    assert read(source, "a.py") == {"payments", "stock", "orders", "tickets", "users"}
    assert written("-- INSERT INTO users\nBEGIN UPDATE stock SET a = 1; END", "a.sql") == {"stock"}
