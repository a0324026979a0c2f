"""What a sales report takes, compared with a COPY of the same query to nowhere (R-SALES-3); in new processes.

`python -m tests.bench.report_export export|copy EVENT` does it once, with the settings of its environment.
"""

import json
import subprocess
import sys
import time
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING, Any
from uuid import UUID

from infra.local.home import REPOSITORY
from tests.bench.image_validation import peak_mb

if TYPE_CHECKING:  # the new processes must hold nothing that a worker does not hold
    from tests.bench.scenery import Scenery
    from tests.bench.system import System

COUNTS = (10_000, 100_000)


def measure_exports(system: "System", scenery: "Scenery", *, rounds: int) -> dict[str, Any]:
    """Write the report of an event with so many orders, and copy the same rows to nowhere, in turn; medians."""
    from tests.bench.past_orders import add_past_orders

    # The other events have past orders, too.
    scenery = replace(scenery, event_id=scenery.reported_id, package_ids=scenery.reported_package_ids)
    found: dict[str, Any] = {}
    before = 0
    for count in COUNTS:
        add_past_orders(system, scenery, first=before + 1, last=count)
        before = count
        times: dict[str, list[dict[str, Any]]] = {"export": [], "copy": []}
        for _ in range(rounds):
            for what, results in times.items():
                results.append(_in_fresh_process(what, scenery.event_id, system.environment))
        assert {result["rows"] for results in times.values() for result in results} == {count}
        export, copy = (median(result["seconds"] for result in times[what]) for what in times)
        found[str(count)] = {
            "rounds": rounds,
            "seconds": round(export, 3),
            "rows_per_second": round(count / export),
            "copy_seconds": round(copy, 3),
            "of_copy": round(copy / export, 2),
            "bytes": times["export"][0]["bytes"],
            "peak_mb": round(median(result["peak_mb"] for result in times["export"]), 1),
            "before_mb": round(median(result["before_mb"] for result in times["export"]), 1),
        }
    return found


def _in_fresh_process(what: str, event_id: str, environment: dict[str, str]) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.bench.report_export", what, event_id]
    done = subprocess.run(command, env=environment, capture_output=True, check=True, cwd=REPOSITORY)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _export(event_id: UUID) -> dict[str, Any]:
    """Ask for a report and write it, as the API does: run, query, file, catalogue and all.

    A small report is written first, because a worker already has its imports and connections.
    """
    from shared.domain.reports.commands import ask_for_report
    from shared.domain.reports.queries import report_of
    from shared.domain.reports.schemas import ReportCreate
    from shared.domain.reports.writing import write
    from shared.kit.actor import Actor
    from shared.kit.clock import utc_now
    from shared.kit.db.unit_of_work import UnitOfWork

    somebody = Actor(None, None, None, is_super_admin=True)
    before_mb = seconds = 0.0
    for wanted in (ReportCreate(kind="promo_codes"), ReportCreate(kind="sales")):
        before_mb = peak_mb()
        with UnitOfWork() as unit_of_work:
            started = time.perf_counter()
            run = ask_for_report(unit_of_work.session, event_id, wanted, actor=somebody, now=utc_now())
            unit_of_work.commit()
            write(run)
            report = report_of(unit_of_work.session, run)
            seconds = time.perf_counter() - started
        assert report.status == "ready", report.error
    return {"seconds": seconds, "rows": report.rows, "bytes": report.bytes, "before_mb": before_mb}


def _copy(event_id: UUID) -> dict[str, Any]:
    """Let the server write the same rows, and read them without parsing them."""
    from shared.domain.reports.csv_file import CsvExport
    from shared.domain.reports.kinds.sales import SALES
    from shared.kit.db.unit_of_work import raw_connection

    with raw_connection() as connection:
        query = CsvExport(connection, SALES, event_id)._query()
        started, rows = time.perf_counter(), 0
        with connection.cursor() as cursor:
            with cursor.copy(b"COPY (" + query.as_bytes(connection) + b") TO STDOUT WITH (FORMAT csv)") as stream:
                for _ in stream:
                    rows += 1
            return {"seconds": time.perf_counter() - started, "rows": rows}


if __name__ == "__main__":
    done = {"export": _export, "copy": _copy}[sys.argv[1]](UUID(sys.argv[2]))
    print(json.dumps(done | {"peak_mb": peak_mb()}))
