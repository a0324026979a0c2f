"""Messages: each kind is declared completely in one place, and only the kit writes the outbox."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.home import REPOSITORY
from shared.domain.messaging.kinds import KINDS
from shared.domain.messaging.message_kind import MessageKind, OnceErased, Queue
from shared.kit.outbox.retrying import ATTEMPTS_AT_MOST

NAMES = {kind.name for kind in KINDS}
KIT = REPOSITORY / "shared" / "kit" / "outbox"
# These modules read the outbox in a join with their own tables; numbers and lists of kinds come from the kit.
READERS = {
    "functions/metrics.py",
    "shared/domain/ledger/checks.py",
    "shared/domain/messaging/queries.py",
    "shared/domain/orders/team/commands.py",
    "shared/domain/orders/team/timeline.py",
    "shared/domain/privacy/exporting.py",
    "shared/domain/reports/upkeep.py",
    "shared/domain/sales/dashboard.py",
}
# The demo marks its e-mails as sent long ago, which no command of the app could do.
WRITERS = {"infra/local/demo_season.py"}
READS = re.compile(r"\b(FROM|JOIN)\s+outbox\b", re.IGNORECASE)
WRITES = re.compile(r"\b(INTO|UPDATE|DELETE\s+FROM|TABLE)\s+outbox\b", re.IGNORECASE)


def sources() -> Iterator[tuple[str, str]]:
    """Every source of the product with its path, except migrations: those describe earlier states."""
    for folder in ("functions", "shared", "infra"):
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            if "migrations" not in path.parts and KIT not in path.parents:
                yield str(path.relative_to(REPOSITORY)), path.read_text()


def texts(source: str) -> Iterator[str]:
    """The texts that a source holds, including its docstrings."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def owner(kind: MessageKind) -> str:
    """The module that declares a kind also holds the function that does its work."""
    return str(Path(inspect.getfile(kind.work)).relative_to(REPOSITORY))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_kind_is_declared_whole(kind):
    assert isinstance(kind.queue, Queue)
    assert kind.work.__doc__, "the docstring of the work says what the message does"
    assert kind.timeline is None or re.fullmatch("[a-z]+(_[a-z]+)*", kind.timeline)
    assert isinstance(kind.once_erased, OnceErased)
    if kind.queue is Queue.EMAIL and kind.once_erased is not OnceErased.NOT_CONCERNED:
        assert kind.timeline, "a reader of an order sees what its buyer was sent"
        assert kind.once_erased is OnceErased.DROPPED, "nothing is sent to a person who has been erased"
    assert owner(kind).startswith("shared/domain/")


def test_no_two_kinds_share_a_name_or_a_word_of_the_timeline():
    assert len(NAMES) == len(KINDS) == 6
    words = [kind.timeline for kind in KINDS if kind.timeline]
    assert len(words) == len(set(words))


def test_money_that_is_owed_is_tried_until_it_is_paid_and_e_mails_are_not():
    assert {kind.queue for kind in KINDS if kind.until_done} == {Queue.PAYMENTS}
    for kind in KINDS:
        assert kind.is_given_up(ATTEMPTS_AT_MOST - 1) is False
        assert kind.is_given_up(ATTEMPTS_AT_MOST) is (kind.queue is Queue.EMAIL)


def test_a_kind_is_named_by_its_owner_alone():
    owners = {kind.name: owner(kind) for kind in KINDS}
    named = {
        (name, path)
        for path, source in sources()
        for text in texts(source)
        for name in NAMES
        if re.search(rf"\b{name}\b", text)
    }
    assert named == set(owners.items())


def test_only_the_kit_writes_the_outbox_and_only_declared_readers_read_it():
    found = {path: "\n".join(texts(source)) for path, source in sources()}
    assert {path for path, text in found.items() if WRITES.search(text)} == WRITERS
    assert {path for path, text in found.items() if READS.search(text)} == READERS
    assert any(WRITES.search(path.read_text()) for path in KIT.glob("*.py"))


def test_the_number_of_attempts_is_the_hosts():
    assert f'"maxDequeueCount": {ATTEMPTS_AT_MOST}' in (REPOSITORY / "host.json").read_text()
