"""The audit archive (R-AUDIT-1): past months are stored as files, verified, and only then leave the database."""

import gzip
import hashlib
import io
import json
import logging
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql

from infra.local.home import REPOSITORY, free_port
from infra.local.services.azurite import AzuritePorts, AzuriteServer
from shared.kit.actor import Actor
from shared.kit.clock import utc_now
from tests.architecture.application import load
from tests.factories import UNKNOWN_ID, Evening, assert_problem, at_once, new_key, open_evening, query
from tests.harness.shared_services import AZURITE_PROGRAM

ZEROS = "00" * 32
GZIP = "application/gzip"


@dataclass(frozen=True)
class Domain:
    """The application's modules in this process, on the same database and storage as the host."""

    environment: dict[str, str]

    def __getattr__(self, name: str) -> Any:
        area = {"catalog": "shared.domain.catalog.commands", "schemas": "shared.domain.catalog.schemas"}
        kit = {"blobs": "shared.kit.storage.blobs", "unit_of_work": "shared.kit.db.unit_of_work"}
        return load((area | kit).get(name, f"shared.domain.audit.{name}"), self.environment)


@pytest.fixture
def domain(app_environment):
    yield Domain(app_environment)
    load("shared.kit.db.engine", app_environment).engine().dispose()


@dataclass(frozen=True)
class Trail:
    """The audit trail of an event that was created long ago."""

    domain: Domain
    evening: Evening
    database_url: str
    actor: Actor

    @property
    def event_id(self) -> uuid.UUID:
        return self.evening.event_id

    @property
    def path(self) -> str:
        return f"{self.evening.path}/audit-trail"

    def note(self, *moments: str) -> None:
        """Add an entry at each moment, with text and values that are not plain ASCII."""
        for moment in moments:
            change = {"title": (f"Gala “{moment}”", {"é": [1, None, "字"], "a": moment})}
            with self.domain.unit_of_work.UnitOfWork() as unit_of_work:
                self.domain.commands.record(
                    unit_of_work.session,
                    self.event_id,
                    self.domain.rules.Entity.EVENT,
                    self.event_id,
                    change,
                    actor=self.actor,
                    now=at(moment),
                )
                unit_of_work.commit()

    def archive(self, *, now: datetime | None = None) -> int:
        return int(self.domain.archives.archive_event(self.event_id, now=now or utc_now()))

    def prune(self, *, now: datetime | None = None) -> int:
        return int(self.domain.pruning.prune_event(self.event_id, now=now or utc_now()))

    def entries(self) -> list[int]:
        """The numbers of the entries in the database."""
        rows = query(self.database_url, "SELECT seq FROM audit_log WHERE event_id = %s ORDER BY seq", self.event_id)
        return [seq for (seq,) in rows]

    def archives(self) -> dict[str, list[int]]:
        """The archived months, as the coordinator sees them: first and last number."""
        return {item["month"]: [item["first_seq"], item["last_seq"]] for item in self.listed(page_size=100)}

    def listed(self, **params: int) -> list[dict[str, Any]]:
        answer = self.evening.client.get(f"{self.path}/archives", headers=self.evening.headers, params=params)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def chain(self) -> dict[str, Any]:
        report: dict[str, Any] = self.evening.client.get(f"{self.path}/verify", headers=self.evening.headers).json()
        return report

    def faults(self) -> dict[str, str]:
        """The faults found, with their archives."""
        reports = self.domain.archives.verify_archives(self.event_id)
        return {report.month: report.fault for report in reports if report.fault is not None}

    def read(self, month: str, kind: str = "jsonl.gz") -> bytes | None:
        data: bytes | None = self.domain.blobs.get_blob("archive", f"audit/{self.event_id}/{month}.{kind}")
        return data

    def write(self, month: str, data: bytes, kind: str = "jsonl.gz") -> None:
        name = f"audit/{self.event_id}/{month}.{kind}"
        self.domain.blobs.put_blob("archive", name, data, content_type=GZIP)

    def delete(self, month: str, kind: str = "jsonl.gz") -> None:
        self.domain.blobs.delete_blob("archive", f"audit/{self.event_id}/{month}.{kind}")

    def state(self) -> dict[str, Any]:
        """Everything that archiving and pruning could change."""
        tables = ("audit_log", "audit_heads", "audit_archives")
        rows = {
            table: query(self.database_url, f"SELECT * FROM {table} WHERE event_id = %s ORDER BY 1, 2", self.event_id)
            for table in tables
        }
        files = {
            f"{month}.{kind}": self.read(month, kind)
            for (month,) in query(self.database_url, "SELECT DISTINCT to_char(at, 'YYYY-MM') FROM audit_log")
            for kind in ("jsonl.gz", "manifest.json")
        }
        return rows | {"files": files}


def at(moment: str) -> datetime:
    return datetime.fromisoformat(moment).replace(tzinfo=UTC)


@pytest.fixture
def found(domain, client, issuer, database_url):
    """Creates an event at a moment long ago: this is the first entry of its trail."""
    host = open_evening(client, issuer)
    [(user_id,)] = query(database_url, "SELECT id FROM users WHERE email = %s", host.coordinator)
    actor = Actor(user_id=user_id, email=host.coordinator, name="Ada", request_id="request-1")

    trails: list[Trail] = []

    def found(moment: str) -> Trail:
        body = domain.schemas.EventCreate(
            title="Gala", starts_at=at("2031-01-01 20:00"), ends_at=at("2031-01-01 23:00"), slug=f"gala-{new_key()}"
        )
        with domain.unit_of_work.UnitOfWork() as unit_of_work:
            event = domain.catalog.create_event(unit_of_work.session, body, actor=actor, now=at(moment))
            unit_of_work.commit()
        evening = Evening(client, issuer, {"id": str(event.id), "slug": event.slug}, host.coordinator)
        trails.append(Trail(domain, evening, database_url, actor))
        return trails[-1]

    yield found
    with behind_the_triggers(database_url) as connection:  # a broken archive would disturb the runs of later tests
        for table in ("audit_log", "audit_archives", "audit_heads"):
            statement = sql.SQL("DELETE FROM {} WHERE event_id = ANY(%s)").format(sql.Identifier(table))
            connection.execute(statement, [[trail.event_id for trail in trails]])


@contextmanager
def behind_the_triggers(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """Run a statement as the owner of the database, who can switch off the triggers."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE audit_log DISABLE TRIGGER USER")
        try:
            yield connection
        finally:
            connection.execute("ALTER TABLE audit_log ENABLE TRIGGER USER")


def start_command(domain: Domain, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """`python -m shared.domain.audit`, as an operator runs it."""
    return subprocess.Popen(
        [sys.executable, "-m", "shared.domain.audit", *arguments],
        env={**os.environ, **domain.environment, **environment},
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_command(domain: Domain, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the same command, and wait until it ends."""
    with start_command(domain, *arguments, **environment) as running:
        stdout, stderr = running.communicate()
    return subprocess.CompletedProcess(arguments, running.returncode, stdout, stderr)


def run_here(domain: Domain, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the same command in this process, which saves the start of another."""
    main = load("shared.domain.audit.__main__", domain.environment).main
    with redirect_stdout(io.StringIO()) as stdout, redirect_stderr(io.StringIO()) as stderr:
        code = main(list(arguments))
    return subprocess.CompletedProcess(arguments, code, stdout.getvalue(), stderr.getvalue())


# --- archiving ------------------------------------------------------------------------------------------------------


def test_closed_months_are_archived_and_the_running_one_stays(found):
    trail = found("2026-01-05 10:00")
    trail.note("2026-01-31 23:59:59.999999", "2026-02-01 00:00", "2026-04-30 12:00", "2026-05-01 09:00")
    assert trail.archive(now=at("2026-05-20")) == 3
    assert trail.archives() == {"2026-04": [4, 4], "2026-02": [3, 3], "2026-01": [1, 2]}
    assert trail.entries() == [1, 2, 3, 4, 5]
    assert trail.chain()["archived"] == 4
    assert trail.faults() == {}


def test_a_month_is_closed_a_day_after_its_end(found):
    trail = found("2026-01-05 10:00")
    assert trail.archive(now=at("2026-02-01 23:59")) == 0
    assert trail.archive(now=at("2026-02-02 00:00")) == 1


def test_the_manifest_says_what_the_file_is_and_where_the_chain_begins_and_ends(found):
    trail = found("2026-01-05 10:00")
    trail.note("2026-01-06", "2026-02-03", "2026-02-04")
    now = at("2026-05-20 03:30")
    trail.archive(now=now)
    hashes = query(trail.database_url, "SELECT hash FROM audit_log WHERE event_id = %s ORDER BY seq", trail.event_id)
    first, second = (json.loads(trail.read(month, "manifest.json")) for month in ("2026-01", "2026-02"))
    file = trail.read("2026-02")
    assert second == {
        "format": "boxoffice-audit/1",
        "event_id": trail.evening.id,
        "month": "2026-02",
        "first_seq": 3,
        "last_seq": 4,
        "rows": 2,
        "bytes": len(file),
        "sha256": hashlib.sha256(file).hexdigest(),
        "previous_hash": hashes[1][0].hex(),
        "last_hash": hashes[3][0].hex(),
        "written_at": "2026-05-20T03:30:00Z",
    }
    assert (first["previous_hash"], first["last_hash"]) == (ZEROS, second["previous_hash"])


def test_anybody_can_compute_the_chain_again_from_the_file_alone(found):
    trail = found("2026-01-05 10:00")
    trail.note("2026-01-06 11:12:13.5", "2026-01-07")
    trail.archive()
    previous = ZEROS
    lines = gzip.decompress(trail.read("2026-01")).decode().splitlines()
    for line in lines:
        entry = json.loads(line)
        entry.pop("id")
        said = entry.pop("hash")
        assert entry.pop("previous_hash") == previous
        text = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert hashlib.sha256(bytes.fromhex(previous) + text.encode()).hexdigest() == said
        previous = said
    assert len(lines) == 3
    assert json.loads(trail.read("2026-01", "manifest.json"))["last_hash"] == previous


def test_an_entry_that_came_late_across_the_border_is_in_the_later_archive(found):
    trail = found("2026-01-31 23:59:58")
    trail.note("2026-02-01 00:00:01", "2026-01-31 23:59:59", "2026-02-02")
    trail.archive(now=at("2026-03-05"))
    assert trail.archives() == {"2026-02": [2, 4], "2026-01": [1, 1]}
    trail.note("2026-02-28 23:59:59", "2026-05-01")  # February has been archived already
    trail.archive(now=at("2026-06-05"))
    assert trail.archives() == {"2026-05": [6, 6], "2026-03": [5, 5], "2026-02": [2, 4], "2026-01": [1, 1]}
    assert trail.faults() == {}


def test_a_second_run_changes_nothing(found, domain):
    trail = found("2026-01-05 10:00")
    trail.note("2026-02-05", "2026-03-05")
    trail.archive()
    before = trail.state()
    assert (trail.archive(), trail.prune()) == (0, 0)
    domain.upkeep.archive_closed_months(now=utc_now())
    domain.upkeep.prune_proven_months(now=utc_now())
    assert trail.state() == before


def test_runs_at_once_make_one_archive(found):
    trail = found("2026-01-05 10:00")
    trail.note("2026-01-06", "2026-02-05", "2026-03-05")
    written = at_once(4, lambda _: trail.archive())
    assert sum(written) >= 3
    assert trail.archives() == {"2026-03": [4, 4], "2026-02": [3, 3], "2026-01": [1, 2]}
    assert trail.faults() == {}
    assert trail.archive() == 0


@pytest.mark.parametrize("dies_at", ["put_stream", "put_blob", "read_stream"])
def test_a_run_that_dies_half_way_is_made_good_by_the_next(dies_at, found, domain, monkeypatch):
    trail = found("2019-01-05 10:00")
    trail.note("2019-01-06", "2019-02-05")

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(domain.blobs, dies_at, die)
        with pytest.raises(KeyboardInterrupt):
            trail.archive()
    assert (trail.archives(), trail.entries(), trail.prune()) == ({}, [1, 2, 3], 0)
    left = trail.read("2019-01")
    assert trail.archive() == 2
    assert left in (None, trail.read("2019-01"))
    assert trail.faults() == {}


def test_a_run_whose_twin_ends_while_it_is_writing_makes_the_same_file(found, domain, monkeypatch):
    trail = found("2026-01-05 10:00")
    trail.note("2026-01-06")
    monkeypatch.setattr(domain.blobs, "_BLOCK_BYTES", 100)
    compressed, twins = domain.archives.compressed, iter([True])

    def meeting_a_twin(event_id, links):
        *pieces, last = compressed(event_id, links)
        yield b"".join(pieces) + last[:-8]
        if next(twins, False):
            trail.archive()
        yield last[-8:]

    monkeypatch.setattr(domain.archives, "compressed", meeting_a_twin)
    trail.archive()
    assert next(twins, "met") == "met"
    assert (trail.archives(), trail.faults()) == ({"2026-01": [1, 2]}, {})


MONTHS = [f"{year}-{month:02}" for year in range(2016, 2019) for month in range(1, 13)]


@pytest.mark.parametrize("doing", ["archiving", "pruning"])
def test_a_process_that_is_killed_loses_nothing_and_the_next_one_goes_on(doing, found, domain, poll):
    trail = found("2016-01-01")
    trail.note(*(f"{month}-02" for month in MONTHS))
    reached = {
        "archiving": "SELECT count(*) FROM audit_archives WHERE event_id = %s",
        "pruning": "SELECT pruned_seq FROM audit_heads WHERE event_id = %s",
    }[doing]
    with start_command(domain, "archive") as running:
        poll(lambda: query(trail.database_url, reached, trail.event_id)[0][0] > 2, pause_at_most=0.01)
        running.kill()
    assert running.returncode == -signal.SIGKILL
    assert (trail.chain()["valid"], trail.faults()) == (True, {})
    done = run_here(domain, "archive")
    assert done.returncode == 0, done.stderr
    assert list(trail.archives()) == MONTHS[::-1]
    assert (trail.entries(), trail.chain()["valid"], trail.faults()) == ([], True, {})


def test_the_same_entries_make_the_same_file(found, database_url):
    trail = found("2026-01-05 10:00")
    trail.note("2026-01-06")
    trail.archive()
    [first] = trail.listed()
    query(database_url, "DELETE FROM audit_archives WHERE event_id = %s RETURNING 1", trail.event_id)
    trail.archive()
    [second] = trail.listed()
    assert (second["sha256"], second["bytes"]) == (first["sha256"], first["bytes"])


def test_a_large_month_is_archived_whole(found, domain, monkeypatch):
    trail = found("2026-01-05 10:00")
    monkeypatch.setattr(domain.queries, "_BATCH", 3)
    monkeypatch.setattr(domain.blobs, "_BLOCK_BYTES", 100)
    trail.note(*(f"2026-01-06 10:00:{second:02}" for second in range(20)))
    trail.archive()
    assert trail.archives() == {"2026-01": [1, 21]}
    assert len(gzip.decompress(trail.read("2026-01")).splitlines()) == 21
    assert trail.faults() == {}


def test_a_trail_that_was_tampered_with_is_not_archived_and_does_not_stop_the_others(found, domain, caplog):
    broken, whole = sorted((found("2026-01-05"), found("2026-01-06")), key=lambda trail: trail.event_id)
    broken.note("2026-01-07", "2026-01-08")
    with behind_the_triggers(broken.database_url) as connection:
        connection.execute("UPDATE audit_log SET new_value = '1' WHERE event_id = %s AND seq = 2", [broken.event_id])
    with caplog.at_level(logging.ERROR):
        outcome = domain.upkeep.archive_closed_months(now=utc_now())
    assert outcome.failed == 1
    assert f"{broken.event_id} is not archived: entry 2: its content has been changed" in caplog.text
    assert (broken.archives(), broken.read("2026-01")) == ({}, None)
    assert whole.archives() == {"2026-01": [1, 1]}


# --- proving --------------------------------------------------------------------------------------------------------


def flip_a_byte(trail: Trail) -> None:
    data = bytearray(trail.read("2019-02") or b"")
    data[len(data) // 2] ^= 1
    trail.write("2019-02", bytes(data))


def drop_a_row(trail: Trail) -> None:
    lines = gzip.decompress(trail.read("2019-02") or b"").splitlines(keepends=True)
    trail.write("2019-02", gzip.compress(b"".join(lines[:-1]), mtime=0))


def forge_all_but_the_chain(trail: Trail) -> None:
    """Change a price in the file, and make the manifest and the database describe the new file."""
    forged = gzip.compress(gzip.decompress(trail.read("2019-02") or b"").replace(b"Gala", b"Ball"), mtime=0)
    trail.write("2019-02", forged)
    digest = hashlib.sha256(forged)
    told = {"bytes": len(forged), "sha256": digest.hexdigest()}
    manifest = json.loads(trail.read("2019-02", "manifest.json") or b"") | told
    trail.write("2019-02", json.dumps(manifest).encode(), "manifest.json")
    statement = (
        "UPDATE audit_archives SET size_bytes = %s, sha256 = %s WHERE event_id = %s AND month = '2019-02' RETURNING 1"
    )
    query(trail.database_url, statement, len(forged), digest.digest(), trail.event_id)


def say_otherwise_in_the_manifest(trail: Trail) -> None:
    manifest = json.loads(trail.read("2019-02", "manifest.json") or b"") | {"last_hash": ZEROS}
    trail.write("2019-02", json.dumps(manifest).encode(), "manifest.json")


def lose_the_archive_before(trail: Trail) -> None:
    statement = "DELETE FROM audit_archives WHERE event_id = %s AND month = '2019-01' RETURNING 1"
    query(trail.database_url, statement, trail.event_id)


SPOILT = {
    "the file has been changed": flip_a_byte,
    "the file has been changed: it is shorter": drop_a_row,
    "the file is missing": lambda trail: trail.delete("2019-02"),
    "the manifest is missing": lambda trail: trail.delete("2019-02", "manifest.json"),
    "the manifest can't be read": lambda trail: trail.write("2019-02", b"{", "manifest.json"),
    "the manifest and the database differ (last_hash)": say_otherwise_in_the_manifest,
    "entry 3: its content has been changed": forge_all_but_the_chain,
    "it does not follow the archive before it": lose_the_archive_before,
}


@pytest.mark.parametrize("fault", SPOILT)
def test_a_spoilt_archive_is_named_and_nothing_of_it_or_after_it_is_pruned(fault, found, domain, caplog):
    trail = found("2019-01-05")
    trail.note("2019-01-06", "2019-02-05", "2019-02-06", "2019-03-05", "2026-01-01")
    trail.archive()
    SPOILT[fault](trail)
    reason = fault.partition(": it is")[0]
    assert trail.faults() == {"2019-02": reason}
    with caplog.at_level(logging.ERROR):
        outcome = domain.upkeep.prune_proven_months(now=utc_now())
    assert outcome.failed == 1
    assert f"{trail.event_id} is not pruned: audit/{trail.event_id}/2019-02.jsonl.gz: {reason}" in caplog.text
    # January was verified, unless it is the month whose archive is recorded nowhere any more.
    kept = [1, 2, 3, 4, 5, 6] if fault == "it does not follow the archive before it" else [3, 4, 5, 6]
    assert trail.entries() == kept
    assert trail.chain()["valid"] is True


def test_a_spoilt_archive_is_written_again_from_the_entries_while_they_are_there(found, domain):
    trail = found("2026-01-05")
    trail.note("2026-02-05", "2026-03-05")
    trail.archive()
    was = trail.read("2026-02")
    trail.write("2026-02", b"rubbish")
    trail.delete("2026-02", "manifest.json")
    domain.archives.rewrite_archive(trail.event_id, "2026-02", now=utc_now())
    assert trail.read("2026-02") == was
    assert trail.faults() == {}


def test_entries_that_are_pruned_or_tampered_with_never_replace_their_archive(found, domain):
    trail = found("2018-01-05")
    trail.note("2019-01-05", "2026-01-05")
    trail.archive()
    trail.prune()
    with behind_the_triggers(trail.database_url) as connection:
        connection.execute("UPDATE audit_log SET new_value = '1' WHERE event_id = %s AND seq = 3", [trail.event_id])
    before = trail.state()
    for month in ("2018-01", "2026-01"):
        with pytest.raises(domain.chain.ChainBroken):
            domain.archives.rewrite_archive(trail.event_id, month, now=utc_now())
    assert trail.state() == before


# --- pruning --------------------------------------------------------------------------------------------------------


def years_ago(years: int, *, days: int = 0) -> datetime:
    now = utc_now()
    return now.replace(year=now.year - years, day=1) - timedelta(days=days)


def test_only_months_that_ended_seven_years_ago_are_pruned(found):
    moments = [years_ago(8), years_ago(7, days=3), years_ago(7, days=-2), years_ago(6)]
    trail = found(f"{moments[0]:%Y-%m-%d}")
    trail.note(*(f"{moment:%Y-%m-%d %H:%M}" for moment in moments[1:]))
    trail.archive()
    head = trail.chain()["head"]
    assert trail.prune() == 2
    assert trail.entries() == [3, 4]
    report = trail.chain()
    assert (report["valid"], report["entries"], report["archived"], report["pruned"]) == (True, 2, 4, 2)
    assert report["head"] == head
    assert [item["pruned_at"] is not None for item in trail.listed()] == [False, False, True, True]
    assert trail.faults() == {}
    assert trail.prune() == 0


def test_what_is_not_archived_is_not_pruned(found, domain):
    trail = found("2018-01-05")
    trail.note("2018-02-05")
    assert trail.prune() == 0
    domain.upkeep.prune_proven_months(now=utc_now())
    assert trail.entries() == [1, 2]


def test_a_trail_goes_on_after_all_of_it_was_pruned(found):
    trail = found("2018-01-05")
    trail.note("2018-01-06")
    trail.archive()
    assert trail.prune() == 1
    assert trail.chain()["valid"] is True
    trail.note("2026-01-05")
    assert trail.archive() == 1
    report = trail.chain()
    assert (report["valid"], report["entries"], trail.entries(), trail.faults()) == (True, 1, [3], {})


def test_prunings_at_once_remove_each_month_once(found):
    trail = found("2018-01-05")
    trail.note("2018-02-05", "2018-03-05", "2026-01-01")
    trail.archive()
    assert sum(at_once(4, lambda _: trail.prune())) == 3
    assert (trail.entries(), trail.chain()["valid"]) == ([4], True)


def test_runs_at_once_that_archive_and_prune_end_as_one_does(found):
    trail = found("2018-01-05")
    trail.note(*(f"2018-{month:02}-06" for month in range(2, 10)), "2026-01-01")
    at_once(4, lambda _: (trail.archive(), trail.prune()))
    assert (trail.entries(), trail.chain()["valid"], trail.faults()) == ([10], True, {})
    assert len(trail.archives()) == 10


def test_the_trigger_lets_go_of_nothing_younger_even_when_the_clock_is_wrong(found):
    trail = found("2026-01-05")
    trail.note("2026-02-05")
    trail.archive()
    before = trail.state()
    with pytest.raises(Exception, match="insert-only: DELETE refused"):
        trail.prune(now=utc_now() + timedelta(days=8 * 366))
    assert trail.state() == before


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_log SET field = 'x'", "DELETE FROM audit_log", "TRUNCATE audit_log"]
)
def test_a_session_that_prunes_may_not_do_anything_else(found, statement):
    trail = found("2018-01-05")
    trail.note("2026-01-05")
    with psycopg.connect(trail.database_url) as connection:
        connection.execute("SET LOCAL boxoffice.prune_audit = 'on'")
        with pytest.raises(psycopg.DatabaseError, match="insert-only"):
            connection.execute(statement)
    assert trail.entries() == [1, 2]


def test_entries_that_are_not_what_was_archived_are_kept_as_evidence(found, domain):
    trail = found("2018-01-05")
    trail.note("2018-01-06", "2026-01-01")
    trail.archive()
    with behind_the_triggers(trail.database_url) as connection:
        connection.execute("UPDATE audit_log SET new_value = '1' WHERE event_id = %s AND seq = 2", [trail.event_id])
    with pytest.raises(domain.chain.ChainBroken, match="entry 2: its content has been changed"):
        trail.prune()
    assert trail.entries() == [1, 2, 3]


REMOVED_BEHIND_THE_TRIGGERS = {
    "entry 2 is missing": "DELETE FROM audit_log WHERE event_id = %s AND seq = 2",
    "entries up to here were removed, and no archive holds them": (
        "WITH gone AS (DELETE FROM audit_log WHERE event_id = %s AND seq = 2 RETURNING *)"
        " UPDATE audit_heads SET pruned_seq = 2, pruned_hash = gone.hash FROM gone"
        " WHERE audit_heads.event_id = gone.event_id"
    ),
    "it stands in a place that is not its own": (
        "INSERT INTO audit_log SELECT event_id, gen_random_uuid(), 1, at, actor_id, actor_name, actor_email,"
        " entity_type, entity_id, field, old_value, new_value, request_id, previous_hash, hash"
        " FROM audit_log WHERE event_id = %s AND seq = 2"
    ),
}


@pytest.mark.parametrize("reason", REMOVED_BEHIND_THE_TRIGGERS)
def test_oldest_entries_that_nobody_pruned_are_missed(reason, found):
    trail = found("2018-01-05")
    trail.note("2018-02-05 10:00", "2026-01-05")
    trail.archive(now=at("2018-02-10"))
    assert trail.prune() == 1
    assert trail.chain()["valid"] is True
    with behind_the_triggers(trail.database_url) as connection:
        connection.execute(REMOVED_BEHIND_THE_TRIGGERS[reason].encode(), [trail.event_id])
    assert (trail.chain()["valid"], trail.chain()["first_broken"]["reason"]) == (False, reason)


# --- the storage is away --------------------------------------------------------------------------------------------


def test_without_the_storage_nothing_is_pruned_and_a_later_run_completes(found, domain, tmp_path, guard):
    trail = found("2018-01-05")
    trail.note("2018-02-05")
    trail.archive()
    trail.note("2018-03-05", "2026-01-05")
    before = trail.state()
    ports = AzuritePorts(*(free_port() for _ in range(3)))
    nobody_there = AzuriteServer(None, program=AZURITE_PROGRAM, log=tmp_path / "log", guard=guard, ports=ports).url()

    away = run_command(domain, "archive", AzureWebJobsStorage=nobody_there)

    assert (away.returncode, away.stdout) == (1, "0 months archived, 0 pruned\n")
    assert away.stderr.count("The storage is out of reach") == 2
    assert trail.state() == before

    back = run_here(domain, "archive")

    assert back.returncode == 0, back.stderr
    assert (trail.entries(), trail.chain()["valid"], trail.faults()) == ([4], True, {})


# --- the command, the timer, the endpoints --------------------------------------------------------------------------


def test_the_command_proves_archives_and_fails_for_a_spoilt_one(found, domain):
    trail = found("2026-01-05")
    trail.note("2026-02-05")
    trail.archive()
    whole = run_command(domain, "verify-archive", trail.evening.id)
    assert (whole.returncode, whole.stdout.splitlines()) == (
        0,
        [f"{trail.evening.id}  {month}  1 entries  whole" for month in ("2026-01", "2026-02")],
    )
    trail.delete("2026-02")
    spoilt = run_here(domain, "verify-archive", trail.evening.id)
    assert (spoilt.returncode, spoilt.stdout.splitlines()[1]) == (
        1,
        f"{trail.evening.id}  2026-02  1 entries  BROKEN: the file is missing",
    )
    assert run_here(domain, "rewrite-archive", trail.evening.id, "2026-02").returncode == 0
    assert run_here(domain, "verify-archive", trail.evening.id).returncode == 0
    assert run_here(domain, "rewrite-archive", trail.evening.id, "2025-02").returncode == 1
    assert run_here(domain, "archives, please").returncode == 2


def test_the_timer_archives_and_prunes(found, host, worker_folder, poll):
    trail = found("2018-01-05")
    trail.note("2018-01-06", "2026-01-05")
    master = json.loads((worker_folder / "functions-keys.json").read_text())["master"]
    run_now = f"{host.url}/admin/functions/archive_audit"
    started = httpx.post(run_now, json={}, headers={"x-functions-key": master}, trust_env=False)
    assert started.status_code == 202
    poll(lambda: trail.entries() == [3])
    assert trail.archives() == {"2026-01": [3, 3], "2018-01": [1, 2]}


def test_archives_are_listed_in_pages_the_newest_month_first(found):
    trail = found("2026-01-05 10:00")
    trail.note("2026-02-05", "2026-02-06", "2026-03-05")
    trail.archive(now=at("2026-05-20 03:30"))
    newest, middle = trail.listed(page_size=2)
    manifest = json.loads(trail.read("2026-02", "manifest.json"))
    shared = {name: value for name, value in manifest.items() if name in middle}
    times = {"written_at": "2026-05-20T03:30:00Z", "proven_at": "2026-05-20T03:30:00Z", "pruned_at": None}
    assert middle == shared | times
    assert (newest["month"], middle["month"], middle["rows"]) == ("2026-03", "2026-02", 2)
    assert [item["month"] for item in trail.listed(page_size=2, page=2)] == ["2026-01"]


def test_an_archive_is_downloaded_by_a_link_that_dies_soon_and_by_nothing_else(found):
    trail = found("2026-01-05 10:00")
    trail.archive()
    path = f"{trail.path}/archives/2026-01/download"
    redirect = trail.evening.client.get(path, headers=trail.evening.headers)
    assert (redirect.status_code, redirect.headers["Cache-Control"]) == (302, "no-store")
    link = redirect.headers["Location"]
    file = httpx.get(link, trust_env=False)
    assert file.content == trail.read("2026-01")
    assert file.headers["Content-Disposition"] == 'attachment; filename="audit-2026-01.jsonl.gz"'
    assert httpx.get(link.partition("?")[0], trust_env=False).status_code in {403, 404, 409}
    assert httpx.delete(link, trust_env=False).status_code == 403


@pytest.mark.parametrize("month", ["2026-02", "2026-1", "2026-13", "x", "٢٠٢٦-٠١", "2026-01%0A"])
def test_a_month_that_is_not_in_the_archive_is_not_found(month, found):
    trail = found("2026-01-05 10:00")
    trail.archive()
    answer = trail.evening.client.get(f"{trail.path}/archives/{month}/download", headers=trail.evening.headers)
    assert_problem(answer, 404, "audit_archive_not_found")


def test_another_events_archive_is_not_found(found, client, issuer):
    trail, stranger = found("2026-01-05 10:00"), open_evening(client, issuer)
    trail.archive()
    for event_id, code in ((trail.evening.id, "event_not_found"), (stranger.id, "audit_archive_not_found")):
        path = f"/admin/events/{event_id}/audit-trail/archives/2026-01/download"
        assert_problem(client.get(path, headers=stranger.headers), 404, code)
    answer = client.get(f"/admin/events/{UNKNOWN_ID}/audit-trail/archives", headers=stranger.headers)
    assert_problem(answer, 404, "event_not_found")
