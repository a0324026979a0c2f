"""What the figures should be, on a machine with two cores that runs the whole system."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

ORDERS_PER_SECOND = 750
OF_FLOOR = 0.25
RUSH_SECONDS = {"rush-300": 0.5}
PAST_ORDERS_COST = 1.1
FIND_MS = 50
DASHBOARD_MS = 100
AT_ONCE = "8"
STATEMENTS = 8
IMPORT_MS = 600
WORKER_MB = 120
IMAGE_SECONDS = 0.5
IMAGE_MB = 120
OF_COPY = 0.6
REPORT_SECONDS = 3
REPORT_MB = 100


@dataclass(frozen=True)
class Verdict:
    """An aim, and the measured result."""

    aim: str
    found: str
    met: bool


def judge(results: dict[str, Any]) -> list[Verdict]:
    """Compare the aims with the figures; aims without a figure are left out."""
    return list(_verdicts(results))


def _verdicts(results: dict[str, Any]) -> Iterator[Verdict]:
    load = results.get("load", {})
    for name, where in (("order-hot", "one package"), ("order-spread", "20 packages")):
        if figures := load.get(name, {}).get(AT_ONCE):
            aim = f"{ORDERS_PER_SECOND} orders a second, {AT_ONCE} at once, {where}"
            yield Verdict(aim, f"{figures['rate']:.0f}", figures["rate"] >= ORDERS_PER_SECOND)
    order, floor = (load.get(name, {}).get(AT_ONCE) for name in ("order-hot", "floor-hot"))
    if order and floor:
        share = order["rate"] / floor["rate"]
        yield Verdict(f"{OF_FLOOR} of the raw floor, {AT_ONCE} at once", f"{share:.2f}", share >= OF_FLOOR)
    if count := results.get("statements"):
        total = count["client_per_order"]
        yield Verdict(f"at most {STATEMENTS} SQL statements an order", str(total), total <= STATEMENTS)
    for name, rush in results.get("rushes", {}).items():
        yield Verdict(f"exactly {rush['last']} of the last {rush['last']} sold", str(rush["bought"]), rush["exact"])
        if most := RUSH_SECONDS.get(name):
            aim = f"{rush['buyers']} buyers answered within {most} s"
            yield Verdict(aim, f"{rush['seconds']:.2f}", rush["seconds"] <= most)
    for concurrency, cost in results.get("past-orders", {}).get("cost", {}).items():
        aim = (
            f"an order after a million costs at most {PAST_ORDERS_COST} of one after a thousand, {concurrency} at once"
        )
        yield Verdict(aim, f"{cost:.2f}", cost <= PAST_ORDERS_COST)
    for name, by_concurrency in results.get("order-search", {}).get("searches", {}).items():
        most = DASHBOARD_MS if name == "the dashboard" else FIND_MS
        p95 = by_concurrency["1"]["p95"]
        yield Verdict(f"a million orders, {name}: p95 under {most} ms", f"{p95:.1f} ms", p95 < most)
    if images := results.get("images"):
        aim = f"a photo of 24 megapixels checked within {IMAGE_SECONDS} s and {IMAGE_MB} MB"
        met = images["seconds"] <= IMAGE_SECONDS and images["peak_mb"] <= IMAGE_MB
        yield Verdict(aim, f"{images['seconds']:.2f} s, {images['peak_mb']:.0f} MB", met)
    yield from _report_verdicts(results.get("reports", {}))
    if times := results.get("import"):
        milliseconds = times["median_ms"]
        yield Verdict(f"import under {IMPORT_MS} ms", f"{milliseconds:.0f}", milliseconds < IMPORT_MS)
    for moment, workers in results.get("memory", {}).items():
        most = max(worker["rss_mb"] for worker in workers)
        yield Verdict(f"a worker under {WORKER_MB} MB {moment} (RSS)", f"{most:.1f}", most < WORKER_MB)


def _report_verdicts(reports: dict[str, Any]) -> Iterator[Verdict]:
    for count, report in reports.items():
        aim = f"a report of {int(count):,} at {OF_COPY} of the speed of COPY"
        yield Verdict(aim, f"{report['of_copy']:.2f}", report["of_copy"] >= OF_COPY)
        if count == "100000":
            aim = f"a report of {int(count):,} within {REPORT_SECONDS} s and {REPORT_MB} MB"
            met = report["seconds"] < REPORT_SECONDS and report["peak_mb"] < REPORT_MB
            yield Verdict(aim, f"{report['seconds']:.2f} s, {report['peak_mb']:.0f} MB", met)
