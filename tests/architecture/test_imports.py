"""Which modules may import which: the rules that the layers in pyproject.toml (import-linter) can't express."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from infra.local.home import REPOSITORY

DOMAIN = REPOSITORY / "shared" / "domain"
AREAS = {folder.name for folder in DOMAIN.iterdir() if (folder / "__init__.py").exists()}
# What one area shows to the others: its commands, queries, errors and terms, and its use cases by name.
SHOWN = {"commands", "queries", "schemas", "errors", "permissions", "states"}
SHOWN |= {"paying", "releasing", "returning", "redeeming", "mending", "refunds", "facts", "sending", "package_image"}
SHOWN |= {"provider", "providers", "placeholders", "erasing", "removal", "conditions", "words", "kinds", "offers"}
SHOWN |= {"messages", "emails", "message_kind"}
# Exceptions with their reasons, as (importer, imported). A link's secret and a code's signature are each made in one
# place. A caller that writes to the books describes the facts in the ledger's own terms. A package is read with its
# stock. Guests are counted with the key that makes the links of orders. E-mails name their sender.
EXCEPTIONS = {
    ("messaging.emails", "orders.links"),
    ("orders.messages", "messaging.settings"),
    ("payments.messages", "messaging.settings"),
    ("reports.messages", "messaging.settings"),
    ("orders.placing.drafting", "tickets.rules"),
    ("orders.placing.drafting", "ledger.rules"),
    ("orders.placing.records", "ledger.rules"),
    ("orders.paying", "ledger.rules"),
    ("payments.facts", "ledger.rules"),
    ("payments.refunds", "ledger.rules"),
    ("catalog.commands", "stock.models"),
    ("catalog.options", "stock.models"),
    ("catalog.queries", "stock.models"),
    ("promotions.redeeming", "orders.settings"),
}


def imports(source: str) -> Iterator[tuple[str, set[str]]]:
    """Each `import` and `from … import …` of a source text: the module and the names taken from it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, set()
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide who imports whom"
            assert node.module is not None
            yield node.module, {alias.name for alias in node.names}


def crossings(source: str, area: str) -> Iterator[str]:
    """The modules of other areas that a module of `area` imports, as `area.module` or `area.room.module`."""
    for module, names in imports(source):
        parts = module.split(".")
        if parts[:2] != ["shared", "domain"]:
            continue
        is_room = DOMAIN.joinpath(*parts[2:]).is_dir()
        found = [[*parts[2:], name] for name in names] if is_room and names else [parts[2:]]
        for path in found:
            if path and path[0] != area:
                yield ".".join(path)


def modules() -> Iterator[tuple[str, str, Path]]:
    for path in sorted(DOMAIN.rglob("*.py")):
        area, *rest = path.relative_to(DOMAIN).with_suffix("").parts
        if rest:
            yield area, ".".join([area, *rest]), path


def test_the_domain_has_the_areas_that_it_had():
    assert {"access", "catalog", "messaging", "orders", "payments", "sales", "tickets"} <= AREAS
    assert len(list(modules())) > 30


def test_areas_know_each_other_only_through_what_they_show():
    wrong = {
        (name, crossing)
        for area, name, path in modules()
        for crossing in crossings(path.read_text(), area)
        if crossing.rpartition(".")[2] not in SHOWN
    }
    assert wrong - EXCEPTIONS == set()
    assert EXCEPTIONS - wrong == set(), "an exception that nobody needs any more"


def test_the_check_sees_what_it_shall_see():
    source = "from shared.domain.orders import models\nfrom shared.domain.tickets.models import Ticket\n"
    source += "import shared.domain.access.models\nfrom shared.domain.catalog.queries import get_event\n"
    source += "from shared.domain.orders.search import words\n"
    found = ["access.models", "orders.models", "orders.search.words", "tickets.models"]
    assert sorted(crossings(source, "catalog")) == found


def test_the_domain_names_no_http_and_no_azure():
    for _, name, path in modules():
        for module, _ in imports(path.read_text()):
            assert not module.startswith(("azure", "shared.kit.http", "functions", "infra")), f"{name} → {module}"


def test_the_kit_names_no_ticketing():
    for path in (REPOSITORY / "shared" / "kit").rglob("*.py"):
        for module, _ in imports(path.read_text()):
            assert not module.startswith(("shared.domain", "functions", "infra")), f"{path.name} → {module}"


def test_only_the_edge_of_http_knows_requests():
    for path in (REPOSITORY / "functions").rglob("*.py"):
        assert "HttpRequest" not in path.read_text(), path


def test_domain_commands_never_commit():
    """Only the unit of work commits, and each piece of work (a queue message, a blob) has its own unit of work."""
    for area, name, path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in {"commit", "rollback"}:
                owner = node.value
                named = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
                assert named == "unit_of_work", f"{name}: {named}.{node.attr}"
        del area


def test_handlers_leave_audit_entries_keys_and_messages_to_the_command():
    """This way no caller of a command can forget a part of it."""
    ours = {"shared.domain.audit.commands", "shared.kit.outbox.writing"}
    for path in [
        *(REPOSITORY / "functions" / "admin").glob("*.py"),
        *(REPOSITORY / "functions" / "public").glob("*.py"),
    ]:
        source = path.read_text()
        assert {module for module, _ in imports(source)} & ours == set(), path
        assert not re.search(r"\b(record|remember|enqueue|nudge\w*|give_up_later|may)\(", source), path


def test_links_of_orders_are_checked_and_counted_in_one_place():
    found = [path for path in (REPOSITORY / "functions").rglob("*.py") if "x-order-token" in path.read_text()]
    assert found == [REPOSITORY / "functions" / "edge.py"]
