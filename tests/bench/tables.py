"""The figures as a person reads them."""

from collections.abc import Iterator
from typing import Any

from tests.bench.aims import Verdict
from tests.bench.cases import CASES, CONCURRENCIES

type Figures = dict[str, Any]


def load_table(load: Figures) -> Iterator[str]:
    """Requests a second and their times, by concurrency; for orders also the share of the floor."""
    yield f"{'':<40} {'at once':>7} {'per s':>8} {'p50 ms':>8} {'p95 ms':>8} {'p99 ms':>8} {'of floor':>8}  unexpected"
    for name, case in CASES.items():
        for concurrency in CONCURRENCIES:
            figures = load.get(name, {}).get(str(concurrency))
            if figures is None:
                continue
            title = case.title if concurrency == case.at_once[0] else ""
            floor = load.get(case.floor or "", {}).get(str(concurrency))
            share = f"{figures['rate'] / floor['rate']:.0%}" if floor else ""
            times = " ".join(f"{figures[name]:>8.2f}" for name in ("p50", "p95", "p99"))
            unexpected = f"  {figures['unexpected']}" if figures["unexpected"] else ""
            yield f"{title:<40} {concurrency:>7} {figures['rate']:>8.0f} {times} {share:>8}{unexpected}"
            yield from (f"    unexpected: {sample}" for sample in figures["samples"])


def cpu_table(load: Figures, cores: int) -> Iterator[str]:
    """CPU time a request by part, and how many a second the cores could do at that price: it shows the limit."""
    yield (
        f"{'CPU, ms a request':<40} {'at once':>7} {'workers':>8} {'Postgres':>8} {'backgr.':>8} {'services':>8} "
        f"{'generator':>9} {'all':>7} {'ceiling':>8}  others on the machine"
    )
    for name, case in CASES.items():
        for concurrency, figures in load.get(name, {}).items():
            cpu = figures["cpu_ms"]
            title = case.title if concurrency == str(case.at_once[0]) else ""
            parts = " ".join(f"{cpu[part]:>8.2f}" for part in ("workers", "postgres", "background", "services"))
            total = sum(cpu.values())
            yield (
                f"{title:<40} {concurrency:>7} {parts} {cpu['generator']:>9.2f} {total:>7.2f} "
                f"{cores * 1000 / max(total, 0.001):>8.0f}  {figures['others_cores']:.2f} cores"
            )


def statement_lines(count: Figures) -> Iterator[str]:
    """What the server ran for an order."""
    yield (
        f"SQL statements an order: {count['client_per_order']} from the client, {count['nested_per_order']} nested "
        f"(function bodies, foreign keys); outbox and timers besides: {count['background_per_order']}"
    )
    lists = ", ".join(f"{each} from {what}" for what, each in count["lists"].items())
    yield f"SQL statements a list (with sign-in): {lists}"
    for row in count["statements"]:
        yield f"  {row['per_order']:>6.2f}  {row['from']:<7} {row['statement']}"


def mail_lines(mail: Figures) -> Iterator[str]:
    """How fast confirmations go out."""
    parts = ", ".join(f"{part} {used:.2f}" for part, used in mail["cpu_ms"].items())
    yield f"Confirmations with nothing else to do: {mail['per_second']:.0f} mails per s; CPU, ms a mail: {parts}"
    if mail["left"]:
        yield f"  {mail['left']} were not sent in time"


def rush_lines(rush: Figures) -> Iterator[str]:
    """How the last tickets were sold."""
    yield (
        f"{rush['buyers']:,} buyers, {rush['at_once']} at once, for the last {rush['last']:,}: {rush['bought']:,} "
        f"bought, {rush['told_sold_out']} told sold out, {rush['unexpected']} unexpected, in {rush['seconds']:.2f} s"
    )
    yield f"  in the database: {rush['sold_in_stock']} sold, {rush['orders']} orders, {rush['tickets']} tickets"
    yield from (f"  unexpected: {sample}" for sample in rush["samples"])


def money_lines(money: Figures) -> Iterator[str]:
    """How fast orders are paid and refunded; to pay is to begin the payment and to confirm it."""
    yield f"Payments and refunds of {money['orders']} orders, with the development provider"
    for concurrency, steps in money["at_once"].items():
        for step, figures in steps.items():
            cpu = figures["cpu_ms"]
            yield (
                f"  {step:<14} {concurrency:>2} at once: {figures['rate']:>5.0f} per s, p50 {figures['p50']:>6.2f} ms; "
                f"CPU, ms each: workers {cpu['workers']:.2f}, Postgres {cpu['postgres']:.2f}"
            )
            yield from (f"    unexpected: {sample}" for sample in figures["samples"])


def past_lines(past: Figures) -> Iterator[str]:
    """What an order costs after many others."""
    yield "Orders of an event that has had some already; the floor's database has none, and shows what else has changed"
    for concurrency, by_count in past["at_once"].items():
        for count, figures in by_count.items():
            yield (
                f"  {int(count):>9,} past orders, {concurrency:>2} at once: p50 {figures['p50']:>6.2f} ms, "
                f"floor {figures['floor_p50']:>6.2f} ms"
            )
        yield f"    {past['cost'][concurrency]:.0%} of the cost, {past['floor_cost'][concurrency]:.0%} of the floor's"
        sql = past["sql"][concurrency]
        yield (
            f"    the SQL alone, in turn: p50 {sql['with']:.2f} ms with that past, {sql['without']:.2f} ms without: "
            f"{sql['with'] / sql['without']:.0%}"
        )


def polling_lines(polling: Figures) -> Iterator[str]:
    """What watching the sales costs."""
    cores = polling["cores"]
    yield (
        f"{polling['pollers']:,} who poll the summary every {polling['every_seconds']:g} s "
        f"({polling['per_second']} per s, p95 {polling['p95']} ms): "
        f"workers {cores['workers']:.1%} of a core, Postgres {cores['postgres']:.1%}, "
        f"Redis and others {cores['services']:.1%}"
    )
    yield f"  a trivial function asked as often: workers {polling['floor_cores']['workers']:.1%} of a core"
    yield f"  in an event with {polling['sales']:,} sales; the summary computed again: {polling['cold_ms']} ms"
    for what, figures in polling["reads"].items():
        cpu = figures["cpu_ms"]
        yield (
            f"  {what:<20} 8 at once: {figures['rate']:>6.0f} per s, p50 {figures['p50']:>6.2f} ms, "
            f"p95 {figures['p95']:>6.2f} ms; CPU, ms each: workers {cpu['workers']:.2f}, Postgres {cpu['postgres']:.2f}"
        )


def search_lines(search: Figures) -> Iterator[str]:
    """How fast the team finds orders, and what this costs each new order."""
    yield f"Lists and searches by the team among {search['orders']:,} orders of one event, times in ms"
    yardstick = search["yardstick"]
    yield f"  to compare: one package is read in p50 {yardstick['p50']:.2f}, p95 {yardstick['p95']:.2f}, one at a time"
    for name, by_concurrency in search["searches"].items():
        for concurrency, figures in by_concurrency.items():
            title = name if concurrency == "1" else ""
            times = ", ".join(f"{quantile} {figures[quantile]:>7.2f}" for quantile in ("p50", "p95", "p99"))
            yield f"  {title:<26} {concurrency:>2} at once: {times}; {figures['rate']:>5.0f} per s"
            yield from (f"    unexpected: {sample}" for sample in figures["samples"])
    yield "  The SQL of placing an order there, with and without the indexes that orders are found by"
    for name, cost in search["placing"].items():
        yield (
            f"  {name:<26} p50 {cost['p50']:.2f} ms, p99 {cost['p99']:.2f} ms; Postgres {cost['postgres_ms']:.3f} ms"
            f" on a core and {cost['wal_kb']:.1f} kB of log an order"
        )


def outage_lines(outage: Figures) -> Iterator[str]:
    """What a Redis that does not answer costs."""
    yield f"Redis out of reach: a public list of 50 packages, {outage['reads']} reads each, time-out 100 ms"
    for state, times in outage["states"].items():
        yield (
            f"  {state:<24} median {times['median_ms']:>6.2f} ms, slowest {times['slowest_ms']:>7.2f} ms, "
            f"{times['over_100_ms']} over 100 ms"
        )


def memory_lines(memory: Figures) -> Iterator[str]:
    """The memory that HTTP workers take."""
    for moment, workers in memory.items():
        each = ", ".join(f"{worker['rss_mb']:.0f} / {worker['pss_mb']:.0f}" for worker in workers)
        yield f"Memory of the HTTP workers {moment}, RSS / PSS in MB: {each}"


def image_lines(images: Figures) -> Iterator[str]:
    """What it takes to check an upload."""
    yield (
        f"Checking a JPEG of {images['bytes'] / 1e6:.1f} MB and 6000 × 4000 in a fresh process: "
        f"{images['seconds']:.2f} s, of which {images['cpu_seconds']:.2f} s on a core; "
        f"{images['peak_mb']:.0f} MB at its peak (medians of {images['times']})"
    )


def report_lines(reports: Figures) -> Iterator[str]:
    """What it takes to write a report."""
    yield "Sales report to blob storage, from its request to its listing, against a COPY of the same query to nowhere"
    for count, figures in reports.items():
        yield (
            f"  {int(count):>7,} purchases: {figures['seconds']:.2f} s ({figures['rows_per_second']:,} a second), "
            f"COPY alone {figures['copy_seconds']:.2f} s: {figures['of_copy']:.2f} of it; "
            f"{figures['bytes'] / 1e6:.1f} MB; memory {figures['before_mb']:.0f} MB before, "
            f"{figures['peak_mb']:.0f} MB at its peak (medians of {figures['rounds']})"
        )


def start_lines(results: Figures) -> Iterator[str]:
    """What a cold start takes."""
    if "import" in results:
        figures = results["import"]
        yield (
            f"import function_app: {figures['median_ms']:.0f} ms, of which {figures['median_cpu_ms']:.0f} ms on a core "
            f"(medians of {figures['times']} fresh processes); {figures['without_bytecode_ms']:.0f} ms without bytecode"
        )
        for row in figures.get("heaviest", []):
            yield f"  {row['ms']:>7.1f} ms  {row['package']}"
    if "cold" in results:
        figures = results["cold"]
        yield (
            f"Cold start of the host (median of {figures['times']}): first answer after "
            f"{figures['first_answer_seconds']:.2f} s; the first order then took {figures['first_order_seconds']:.2f} s"
        )


def aim_lines(verdicts: list[Verdict]) -> Iterator[str]:
    """Which aims are met."""
    for verdict in verdicts:
        yield f"  {'met' if verdict.met else 'MISSED':<7} {verdict.aim}: {verdict.found}"
