"""The timer killed with SIGKILL while it writes a report (R-SALES-4, R-OPS-5): the next run finishes it, once."""

import signal
import subprocess
import sys
from datetime import timedelta

import pytest

from infra.local.home import REPOSITORY
from shared.domain.reports import catalogue, writing
from tests.concurrency.report_timer import IN_ITS_FILE
from tests.factories import add_past_sales
from tests.harness.polling import PATIENCE_SECONDS
from tests.harness.report_desk import open_reports

LEFT = {IN_ITS_FILE: ("running", 0), "after its file": ("running", 1), "after it is shown": ("ready", 1)}
"""The entries of the catalogue, and the number of files."""
ROWS = 1_000


@pytest.fixture
def reports(fresh_database, app_environment):
    with open_reports(fresh_database, app_environment) as reports:
        yield reports


def kill_at(step, now, environment):
    """Run the timer in a separate process, and kill it at the step."""
    command = [sys.executable, "-m", "tests.concurrency.report_timer", step, now.isoformat()]
    with subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True) as timer:
        assert timer.stdout is not None
        assert timer.stdout.readline() == "now\n"
        timer.send_signal(signal.SIGKILL)
        assert timer.wait(PATIENCE_SECONDS) == -signal.SIGKILL


@pytest.mark.parametrize("step", LEFT)
def test_a_timer_killed_half_way_is_finished_by_the_next(step, reports, fresh_database, app_environment):
    package = reports.desk.package(price_cents=100)
    add_past_sales(fresh_database, str(reports.desk.event_id), str(package), ROWS, name="N" * 1_000)
    reports.schedule(notify=[reports.desk.coordinator.email])
    reports.now += timedelta(hours=13)
    kill_at(step, reports.now, {**app_environment, "DATABASE_URL": fresh_database})

    [entry] = catalogue.entries(reports.desk.event_id)
    assert (entry["status"], len(reports.files())) == LEFT[step]
    assert reports.notices() == []
    assert reports.tick() == 0, "the dead one has it until its lease is up"
    assert reports.tick(writing.LEASE) == 1

    [report] = reports.listed()
    assert (report.status, report.rows) == ("ready", ROWS)
    assert len(reports.rows(report)) == ROWS
    reports.assert_catalogue_and_files_agree()
    assert len(reports.notices()) == 1
    assert reports.tick() == 0
