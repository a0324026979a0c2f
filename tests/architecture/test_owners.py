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
TABLE_OF = {mapper.class_.__name__: mapper.local_table.name for mapper in Base.registry.mappers}  # type: ignore[attr-defined]

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
