"""An event's reports inside the test's own process: the domain on its own database, at any chosen time."""

import csv
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest import mock
from uuid import UUID

from shared.domain.access.permissions import OF_ROLE, Role
from shared.domain.reports import catalogue, commands, queries, schemas, upkeep
from shared.kit.actor import Actor
from shared.kit.db import unit_of_work
from shared.kit.db.engine import make_engine
from shared.kit.settings.database import DatabaseSettings
from shared.kit.settings.group import load
from shared.kit.storage import blobs
from tests.harness.desk import NOW, Desk, know_settings

EVERY = timedelta(minutes=15)
LONDON = {"timezone": "Europe/London", "starts_at": NOW + timedelta(days=200), "ends_at": NOW + timedelta(days=201)}


class Reports:
    """An event's reports, the timer, and the timer's clock."""

    def __init__(self, desk: Desk) -> None:
        coordinator = desk.coordinator
        self.desk, self.now = desk, NOW
        self.actor = Actor(coordinator.user_id, coordinator.email, "Coordinator", permissions=OF_ROLE[Role.COORDINATOR])

    def schedule(self, frequency: str = "daily", **fields: Any) -> UUID:
        if frequency in {"daily", "weekly"}:
            fields = {"local_time": "07:00"} | fields
        body = schemas.ScheduleCreate.model_validate({"frequency": frequency} | fields)
        with self.desk.session() as session:
            return commands.create_schedule(session, self.desk.event_id, body, actor=self.actor, now=self.now)

    def change(self, schedule_id: UUID, **fields: Any) -> None:
        body = schemas.SchedulePatch.model_validate(fields)
        with self.desk.session() as session:
            commands.update_schedule(
                session, self.desk.event_id, schedule_id, body, actor=self.actor, if_match=None, now=self.now
            )

    def delete(self, schedule_id: UUID) -> None:
        with self.desk.session() as session:
            commands.delete_schedule(session, self.desk.event_id, schedule_id, actor=self.actor, now=self.now)

    def next_run(self, schedule_id: UUID) -> str | None:
        with self.desk.session() as session:
            due = queries.get_schedule(session, self.desk.event_id, schedule_id).next_run_at
        return None if due is None else f"{due:%m-%dT%H:%M}"

    def tick(self, later: timedelta | None = None) -> int:
        """Run the timer, `later` than the run before."""
        self.now += later or timedelta(0)
        return upkeep.keep_reports(sales_every=EVERY, clock=lambda: self.now)

    def listed(self) -> list[Any]:
        """The event's reports, the oldest first."""
        with self.desk.session() as session:
            query = schemas.ReportListQuery(page_size=100)
            page = queries.list_reports(session, self.desk.event_id, query, actor=self.actor)
        return list(reversed(page.items))

    def shown(self) -> list[tuple[str, str]]:
        return [(report.kind, report.status) for report in self.listed()]

    def files(self) -> set[str]:
        found, _ = blobs.list_page("reports", prefix=f"{self.desk.event_id}/", size=1_000, marker=None)
        return {blob.name for blob in found}

    def assert_catalogue_and_files_agree(self) -> None:
        """Check that each listed report has a complete file, and that each file is listed."""
        ready = [entry for entry in catalogue.entries(self.desk.event_id) if entry["status"] == "ready"]
        assert {entry["blob"] for entry in ready} == self.files()
        for entry in ready:
            info = blobs.blob_info("reports", entry["blob"])
            assert info is not None
            assert info.size == entry["bytes"]

    def rows(self, report: Any) -> list[dict[str, str]]:
        entry = catalogue.find(self.desk.event_id, report.id)
        assert entry is not None
        file = blobs.get_blob("reports", entry["blob"])
        assert file is not None
        return list(csv.DictReader(io.StringIO(file.decode("utf-8-sig"), newline="")))

    def notices(self) -> list[dict[str, Any]]:
        rows = self.desk.rows("SELECT payload FROM outbox WHERE kind = 'report_notice' ORDER BY id")
        return [payload for (payload,) in rows]


@contextmanager
def open_reports(database_url: str, environment: Mapping[str, str]) -> Iterator[Reports]:
    """An event in London, half a year from now; meanwhile this process's units of work use `database_url`."""
    know_settings(environment)
    engine = make_engine(load(DatabaseSettings, {**environment, "DATABASE_URL": database_url}))
    reading = engine.execution_options(isolation_level="AUTOCOMMIT")
    desk = Desk(database_url, **LONDON)
    with (
        mock.patch.object(unit_of_work, "engine", return_value=engine),
        mock.patch.object(unit_of_work, "autocommit_engine", return_value=reading),
    ):
        yield Reports(desk)
    desk.close()
    engine.dispose()
