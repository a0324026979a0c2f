"""`python -m tests.bench [--quick] [--only NAME …] [--imports] [--json FILE]`: measures this machine, now."""

import argparse
import json
import os
import platform
import signal
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from infra.local.console import say
from infra.local.services.process import ServiceFailed
from tests.bench import aims, processes, tables
from tests.bench.cases import CASES, Pace
from tests.bench.confirmations import send_confirmations
from tests.bench.image_validation import measure as check_images
from tests.bench.leftovers import strike_off_mail
from tests.bench.money import measure_money
from tests.bench.order_search import measure_order_search
from tests.bench.past_orders import measure_past_orders
from tests.bench.polling import measure_polling
from tests.bench.redis_outage import measure_outage
from tests.bench.report_export import measure_exports
from tests.bench.rush import RUSHES, run_rush
from tests.bench.scenery import Scenery, set_scene
from tests.bench.starts import cold_starts, heaviest_imports, import_seconds, import_without_bytecode
from tests.bench.statement_count import count_statements
from tests.bench.system import System, default_workers, running_system
from tests.bench.windows import Window, measure, summary

OTHERS = (
    *("mail", *RUSHES, "money", "polling", "memory", "statements", "images", "import", "cold", "outage", "reports"),
    *("past-orders", "order-search"),
)
NOT_QUICK = {"order-search"}
"""The parts that a quick run measures only when they are asked for by name."""
FULL = Pace(rounds=3, seconds=3.0, warm_seconds=0.7)
QUICK = Pace(rounds=1, seconds=1.0, warm_seconds=0.5)
ORDERS_COUNTED = 200
ORDERS_CONFIRMED = 400
ORDERS_PAID = 400
PAST_ORDERS = 1_000_000
PAST_ORDERS_QUICK = 20_000
FOUND_AMONG = 1_000_000
FOUND_AMONG_QUICK = 20_000
FRESH_PROCESSES = 5
EXPORTS = 5


def main() -> int:
    """Measure the parts that were asked for; the exit code is 1 if an answer was wrong."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started = time.monotonic()
    results: dict[str, Any] = {"machine": _machine(), "workers": default_workers(), "load": {}, "rushes": {}}
    failed = False
    try:
        with running_system(lambda step: say(f"  [{time.monotonic() - started:5.1f} s] {step}")) as system:
            results.update(_measure(system, options, results["rushes"]))  # part by part
    except KeyboardInterrupt:
        return 130
    except ServiceFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    except Exception:  # noqa: BLE001 - the earlier figures must not be lost
        traceback.print_exc()
        say("  A part of the benchmark has failed; these are the figures until then.")
        failed = True
    results["seconds"] = round(time.monotonic() - started)
    _show(results)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    return 0 if _all_as_expected(results) and not failed else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    names = [*CASES, *OTHERS]
    parser.add_argument("--quick", action="store_true", help="one short round, for a first impression")
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--imports", action="store_true", help="list the ten heaviest imports")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures for machines as well")
    options = parser.parse_args()
    options.only = options.only or [name for name in names if not (options.quick and name in NOT_QUICK)]
    return options


type Part = tuple[str, Any]


def _measure(system: System, options: argparse.Namespace, rushes: dict[str, Any]) -> Iterator[Part]:
    """Measure the parts that were asked for and yield them one by one; the figures of each rush go into `rushes`."""
    wanted: list[str] = options.only
    pace = QUICK if options.quick else FULL
    yield "pace", vars(pace)
    memory = "memory" in wanted and processes.AVAILABLE
    at_rest = _memory(system) if memory else []
    scenery = set_scene(system)
    yield "load", _load(system, scenery, [name for name in CASES if name in wanted], pace)
    yield from _sell(system, scenery, options, rushes)
    if memory:
        yield "memory", {"at rest": at_rest, "after load": _memory(system)}
    if "polling" in wanted:
        say("  a thousand pollers")
        yield "polling", measure_polling(system, scenery, pace)
    if "past-orders" in wanted:  # these come last with this host, because they make the database large
        most = PAST_ORDERS_QUICK if options.quick else PAST_ORDERS
        yield "past-orders", measure_past_orders(system, scenery, pace, most=most)
    if "order-search" in wanted:
        most = FOUND_AMONG_QUICK if options.quick else FOUND_AMONG
        yield "order-search", measure_order_search(system, scenery, pace, most=most)
    system.host.stop()
    strike_off_mail(system)
    yield from _measure_at_rest(system, scenery, options)


def _sell(system: System, scenery: Scenery, options: argparse.Namespace, rushes: dict[str, Any]) -> Iterator[Part]:
    """Sell in other ways than at an even pace."""
    wanted: list[str] = options.only
    if "mail" in wanted:
        say("  confirmations")
        yield "mail", send_confirmations(system, scenery, orders=ORDERS_CONFIRMED)
    for name in (name for name in RUSHES if name in wanted):
        say(f"  {RUSHES[name].buyers:,} buyers for the last {RUSHES[name].last:,}")
        rushes[name] = run_rush(system, scenery, RUSHES[name])
        strike_off_mail(system)
    if "money" in wanted:
        say("  payments and refunds")
        yield "money", measure_money(system, scenery, orders=100 if options.quick else ORDERS_PAID)


def _measure_at_rest(system: System, scenery: Scenery, options: argparse.Namespace) -> Iterator[Part]:
    """Measure the parts that start their own hosts, or none."""
    wanted: list[str] = options.only
    if "statements" in wanted:
        say("  counting statements")
        yield "statements", count_statements(system, scenery, orders=ORDERS_COUNTED)
    if "images" in wanted:
        say("  images")
        yield "images", check_images(times=1 if options.quick else 5)
    if "import" in wanted:
        say("  imports")
        yield "import", _imports(system, listed=options.imports)
    if "cold" in wanted:
        say("  cold starts")
        yield "cold", cold_starts(system, scenery, times=1 if options.quick else 3)
    if "outage" in wanted:
        say("  Redis out of reach")
        yield "outage", measure_outage(system, scenery)
    if "reports" in wanted:
        say("  reports")
        yield "reports", measure_exports(system, scenery, rounds=1 if options.quick else EXPORTS)


def _load(system: System, scenery: Scenery, names: list[str], pace: Pace) -> dict[str, Any]:
    """Measure all cases round after round, so that other load on the machine affects all of them equally."""
    windows: defaultdict[tuple[str, int], list[Window]] = defaultdict(list)
    for number in range(1, pace.rounds + 1):
        for name in names:
            case = CASES[name]
            for concurrency in case.at_once:
                window = measure(system, case.plan(system, scenery, concurrency, pace))
                windows[name, concurrency].append(window)
                if window.unexpected:
                    say(f"  UNEXPECTED {window.unexpected} times: {window.samples[0]}")
                if case.leaves_mail:
                    strike_off_mail(system)
            rates = " / ".join(f"{windows[name, concurrency][-1].rate:.0f}" for concurrency in case.at_once)
            say(f"  round {number} of {pace.rounds}  {case.title:<40} {rates} per s")
    return {
        name: {str(concurrency): summary(windows[name, concurrency]) for concurrency in CASES[name].at_once}
        for name in names
    }


def _memory(system: System) -> list[dict[str, float]]:
    pids = processes.http_workers(system.host.process.pid)
    processes.wait_until_idle(pids)
    return [{name: round(mb, 1) for name, mb in vars(processes.memory_of(pid)).items()} for pid in pids]


def _imports(system: System, *, listed: bool) -> dict[str, Any]:
    times = import_seconds(system, times=FRESH_PROCESSES)
    figures: dict[str, Any] = {
        "median_ms": round(median(wall for wall, _ in times) * 1000, 1),
        "median_cpu_ms": round(median(cpu for _, cpu in times) * 1000, 1),
        "without_bytecode_ms": round(import_without_bytecode(system) * 1000, 1),
        "times": len(times),
    }
    return figures | ({"heaviest": heaviest_imports(system)} if listed else {})


def _machine() -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _show(results: dict[str, Any]) -> None:
    machine = results["machine"]
    say()
    say(
        f"{machine['date']}, {machine['cores']} cores (load {machine['load_before']} before), "
        f"Python {machine['python']}, {results['workers']} HTTP workers; {results['seconds']} s in all"
    )
    if results["load"]:
        _say_all(tables.load_table(results["load"]))
        if processes.AVAILABLE:
            _say_all(tables.cpu_table(results["load"], machine["cores"]))
    for rush in results["rushes"].values():
        _say_all(tables.rush_lines(rush))
    for name, lines in (
        ("mail", tables.mail_lines),
        ("money", tables.money_lines),
        ("polling", tables.polling_lines),
        ("past-orders", tables.past_lines),
        ("order-search", tables.search_lines),
        ("memory", tables.memory_lines),
        ("outage", tables.outage_lines),
        ("statements", tables.statement_lines),
        ("images", tables.image_lines),
        ("reports", tables.report_lines),
    ):
        if name in results:
            _say_all(lines(results[name]))
    _say_all(tables.start_lines(results))
    say()
    say("Aims")
    for line in tables.aim_lines(aims.judge(results)):
        say(line)


def _say_all(lines: Iterable[str]) -> None:
    say()
    for line in lines:
        say(line)


def _all_as_expected(results: dict[str, Any]) -> bool:
    measured = [figures for by_concurrency in results["load"].values() for figures in by_concurrency.values()]
    measured += [
        figures for by in results.get("order-search", {}).get("searches", {}).values() for figures in by.values()
    ]
    measured += [
        figures for steps in results.get("money", {}).get("at_once", {}).values() for figures in steps.values()
    ]
    measured += results.get("polling", {}).get("reads", {}).values()
    return all(rush["exact"] for rush in results["rushes"].values()) and not any(
        figures["unexpected"] for figures in measured
    )


if __name__ == "__main__":
    sys.exit(main())
