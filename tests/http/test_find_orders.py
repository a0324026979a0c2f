"""The team finds orders: by words, by numbers and by filters, page after page (R-SALES-6)."""

import re
import tempfile
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from shared.domain.orders.search.conditions import nearest, runs_of, slips_between
from shared.domain.orders.search.queries import list_orders
from shared.domain.orders.search.schemas import OrderListQuery
from shared.domain.orders.search.words import forget_words, learn_words, tidy_index
from tests.factories import (
    UNKNOWN_ID,
    Evening,
    assert_problem,
    bearer,
    new_key,
    open_evening,
    order_fields,
    pointers,
    put_member,
    query,
)
from tests.http.test_payments import hold

FIELDS = {"ann": "Ann Lovelace", "bo": "Bo Smith", "cyd": "Cyd Smithers", "joe": "Joe 100% O'Neill"}


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer)


@pytest.fixture(scope="module")
def house(client, issuer, database_url):
    """An event with four orders that no test changes; the search knows the words of their buyers."""
    evening = open_evening(client, issuer)
    package = evening.package()
    orders = {who: buy(evening, package, name, f"{who}@example.com") for who, name in FIELDS.items()}
    with psycopg.connect(database_url, autocommit=True) as connection:
        learn_words(connection)
    return evening, orders


def buy(evening: Evening, package: Any, name: str, email: str, quantity: int = 1, **fields: Any) -> Any:
    return evening.order((package["id"], quantity), customer={"name": name, "email": email}, **fields)


def listed(evening: Evening, **parameters: Any) -> Any:
    answer = evening.client.get(f"{evening.path}/orders", params=parameters, headers=evening.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(evening: Evening, **parameters: Any) -> list[str]:
    return [item["customer_name"] for item in listed(evening, **parameters)["items"]]


def test_an_order_is_listed_with_what_it_has(evening):
    package, other = evening.package(name="Pair", seats_per_package=2), evening.package(name="Table")
    order = evening.order((package["id"], 2), (other["id"], 1), customer={"name": "Ann", "email": "ann@example.com"})
    found = listed(evening)
    assert (found["total"], found["next_cursor"], found["searched_for"]) == (1, None, None)
    [item] = found["items"]
    assert item == {
        "id": order["id"],
        "number": order["number"],
        "status": "paid",
        "channel": "online",
        "payment_method": "test",
        "customer_name": "Ann",
        "customer_email": "ann@example.com",
        "items": [
            {"package_id": package["id"], "description": "Pair", "quantity": 2},
            {"package_id": other["id"], "description": "Table", "quantity": 1},
        ],
        "tickets": 5,
        "currency": "USD",
        "total_cents": 15_000,
        "refunded_cents": 0,
        "promo_code": None,
        "notes": 0,
        "created_at": order["created_at"],
        "paid_at": order["paid_at"],
        "expires_at": None,
    }


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("lovelace", ["ann"]),
        ("LOVE", ["ann"]),
        ("lace", ["ann"]),
        ("bo", ["bo"]),
        ("smith", ["cyd", "bo"]),
        ("smith bo", ["bo"]),
        ("bo@example.com", ["bo"]),
        ("example.com", ["joe", "cyd", "bo", "ann"]),
        ("O'Neill", ["joe"]),
        ("o'n", ["joe"]),
        ("e.c", []),
        ("bo %", []),
        ("100%", ["joe"]),
        ("%", []),
        ("_", []),
        ("s_ith", []),
        ("\\", []),
        ("' OR 1=1 --", []),
        ("%(event_id)s {}", []),
        ("nobody", []),
    ],
)
def test_words_are_found_where_they_stand_and_as_they_are_written(q, found, house):
    evening, _ = house
    assert names(evening, q=q) == [FIELDS[who] for who in found]


@pytest.mark.parametrize(
    ("typed", "found", "meant"),
    [
        ("lovelase", ["ann"], ["lovelace"]),
        ("lvoelace", ["ann"], ["lovelace"]),
        ("smyth", ["cyd", "bo"], ["smith"]),
        ("ann lovelacce", ["ann"], ["ann", "lovelace"]),
        ("bo smithersss", [], None),
        ("xyzzyx", [], None),
    ],
)
def test_a_slip_of_the_pen_is_put_right_and_said(typed, found, meant, house):
    evening, _ = house
    answer = listed(evening, q=typed)
    assert [item["customer_name"] for item in answer["items"]] == [FIELDS[who] for who in found]
    assert answer["searched_for"] == meant


def test_numbers_are_found_as_they_are_printed_and_in_part(house):
    evening, orders = house
    number, ticket = orders["bo"]["number"], orders["bo"]["tickets"][0]["number"]
    word = number.rpartition("-")[2]
    for q in (number, number.lower(), ticket, word, word.lower(), word[:4], number[:-2], ticket[: -len("01")]):
        assert names(evening, q=q) == ["Bo Smith"], q
    assert names(evening, q=f"{ticket[:-2]}77") == []


def test_another_events_orders_are_found_by_nothing(house, client, issuer):
    _, orders = house
    other = open_evening(client, issuer)
    for q in ("bo", "smith", "smyth", orders["bo"]["number"], orders["bo"]["tickets"][0]["number"], None):
        assert names(other, **({"q": q} if q else {})) == []
    assert names(other, package_id=orders["bo"]["items"][0]["package_id"]) == []


def test_filters_narrow_the_list_and_go_together(evening, issuer):
    cheap, dear = evening.package(price_cents=1_000), evening.package(price_cents=9_000)
    code = {"code": "HALF", "discount_type": "percentage", "discount_value": 50}
    assert evening.client.post(f"{evening.path}/promo-codes", json=code, headers=evening.headers).status_code == 201
    ann = buy(evening, cheap, "Ann", "ann@example.com")
    buy(evening, dear, "Ben", "ben@example.com", promo_code="half")
    both = evening.order(
        (cheap["id"], 1), (cheap["id"], 1), (dear["id"], 1), customer={"name": "Cyd", "email": "c@d.com"}
    )
    hold(evening, (cheap["id"], 1), customer={"name": "Dee", "email": "dee@example.com"})
    till = order_fields([(dear["id"], 1)], payment_method="cash", customer={"name": "Eve", "email": "eve@example.com"})
    headers = evening.headers | {"Idempotency-Key": new_key()}
    assert evening.client.post(f"{evening.path}/orders", json=till, headers=headers).status_code == 201
    refund = evening.headers | {"Idempotency-Key": new_key()}
    path = f"{evening.path}/orders/{ann['id']}/refund"
    assert evening.client.post(path, json={"reason": "Ill"}, headers=refund).status_code == 201
    found = {
        "refunded": names(evening, status="refunded"),
        "pending": names(evening, status="pending"),
        "paid": names(evening, status="paid"),
        "cheap": names(evening, package_id=cheap["id"]),
        "cheap, oldest": names(evening, package_id=cheap["id"], sort="oldest"),
        "dear by name": names(evening, package_id=dear["id"], sort="name"),
        "dear and paid": names(evening, package_id=dear["id"], status="paid", channel="online"),
        "box office": names(evening, channel="box_office"),
        "cash": names(evening, payment_method="cash"),
        "code": names(evening, promo_code="half"),
        "from": names(evening, **{"from": both["created_at"]}),
        "to": names(evening, to=both["created_at"]),
        "to, by total": names(evening, to=both["created_at"], sort="total"),
        "none": names(evening, status="failed", q="ann"),
    }
    assert found == {
        "refunded": ["Ann"],
        "pending": ["Dee"],
        "paid": ["Eve", "Cyd", "Ben"],
        "cheap": ["Dee", "Cyd", "Ann"],
        "cheap, oldest": ["Ann", "Cyd", "Dee"],
        "dear by name": ["Ben", "Cyd", "Eve"],
        "dear and paid": ["Cyd", "Ben"],
        "box office": ["Eve"],
        "cash": ["Eve"],
        "code": ["Ben"],
        "from": ["Eve", "Dee", "Cyd"],
        "to": ["Ben", "Ann"],
        "to, by total": ["Ben", "Ann"],
        "none": [],
    }


@pytest.mark.parametrize("sort", ["newest", "oldest", "total", "name"])
def test_pages_neither_repeat_nor_miss_an_order_while_others_buy(sort, evening):
    package = evening.package(price_cents=1_000)
    # Pairs of equal totals and of equal names, which only the id tells apart.
    bought = [buy(evening, package, f"Ann {n // 2}", "ann@example.com", 1 + n // 2) for n in range(7)]
    expected = {
        "newest": bought[::-1],
        "oldest": bought,
        "total": bought[::-1],
        "name": bought,
    }[sort]
    page = listed(evening, sort=sort, page_size=3, q="ann")
    seen = [item["id"] for item in page["items"]]
    assert page["total"] == 7
    meanwhile = 0
    while page["next_cursor"]:
        buy(evening, package, "Ann Meanwhile", "ann@example.com", 1)
        meanwhile += 1
        assert meanwhile < 9, seen
        page = listed(evening, sort=sort, page_size=3, q="ann", cursor=page["next_cursor"])
        seen += [item["id"] for item in page["items"]]
    mine = {order["id"] for order in bought}
    assert len(seen) == len(set(seen))
    assert [each for each in seen if each in mine] == [order["id"] for order in expected]
    assert meanwhile >= 2


def test_pages_of_a_misspelt_search_go_on_where_they_ended(evening, database_url):
    package = evening.package()
    bought = [buy(evening, package, "Ada Lovelace", f"ada{n}@example.com")["id"] for n in range(3)]
    with psycopg.connect(database_url, autocommit=True) as connection:
        learn_words(connection)
    first = listed(evening, q="lovelase", page_size=2)
    second = listed(evening, q="lovelase", page_size=2, cursor=first["next_cursor"])
    assert [item["id"] for page in (first, second) for item in page["items"]] == bought[::-1]
    assert (second["searched_for"], second["next_cursor"]) == (["lovelace"], None)


def test_what_makes_no_sense_is_refused(evening):
    cursor = "WyJuZXdlc3QiLG51bGwsZmFsc2Vd"  # the right form, but without an id
    refused: list[tuple[dict[str, str], str]] = [
        ({"cursor": "x"}, "/query/cursor"),
        ({"cursor": cursor}, "/query/cursor"),
        ({"cursor": "bnVsbA"}, "/query/cursor"),
        ({"sort": "id; drop table orders"}, "/query/sort"),
        ({"status": "lost"}, "/query/status"),
        ({"q": "  "}, "/query/q"),
        ({"q": "x" * 101}, "/query/q"),
        ({"q": "a\0b"}, "/query/q"),
        ({"promo_code": "\0"}, "/query/promo_code"),
        ({"from": "yesterday"}, "/query/from"),
        ({"page_size": "101"}, "/query/page_size"),
        ({"page": "2"}, "/query/page"),
    ]
    for parameters, pointer in refused:
        answer = evening.client.get(f"{evening.path}/orders", params=parameters, headers=evening.headers)
        assert pointers(assert_problem(answer, 422, "invalid_input")) == [pointer], parameters


def test_a_cursor_of_one_order_of_the_list_does_not_fit_another(evening):
    package = evening.package()
    for _ in range(2):
        evening.order((package["id"], 1))
    cursor = listed(evening, page_size=1)["next_cursor"]
    answer = evening.client.get(f"{evening.path}/orders?sort=total&cursor={cursor}", headers=evening.headers)
    assert pointers(assert_problem(answer, 422, "invalid_input")) == ["/query/cursor"]


def test_the_list_takes_as_many_statements_for_many_orders_as_for_one(evening, database_url):
    """The statements are counted in this process."""
    package = evening.package()
    buy(evening, package, "Ann Lovelace", "ann@example.com")
    few = statements_of(database_url, evening, package)
    for _ in range(12):
        buy(evening, package, "Ann Lovelace", "ann@example.com")
    assert statements_of(database_url, evening, package) == few
    assert (max(few.values()), few["signs"]) == (6, 0)


def statements_of(database_url: str, evening: Evening, package: Any) -> dict[str, int]:
    queries: dict[str, dict[str, Any]] = {
        "all": {},
        "search": {"q": "lovelace"},
        "slip": {"q": "lovelase"},
        "slip, of a package": {"q": "lovelase", "package_id": UUID(package["id"])},
        "signs": {"q": "%"},
    }
    engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://", 1))
    counts = {}
    try:
        with Session(engine.execution_options(isolation_level="AUTOCOMMIT")) as session:
            driver = session.connection().connection.driver_connection
            assert isinstance(driver, psycopg.Connection)
            learn_words(driver)
            for name, parameters in queries.items():
                with tempfile.TemporaryFile("w+") as trace:
                    driver.pgconn.trace(trace.fileno())
                    found = list_orders(session, evening.event_id, OrderListQuery(**parameters)).items
                    driver.pgconn.untrace()
                    trace.seek(0)
                    counts[name] = len(re.findall(r"\tF\t\d+\t(?:Execute|Query)\t", trace.read()))
                assert bool(found) == (counts[name] > 0) == (name != "signs")
    finally:
        engine.dispose()
    return counts


def test_among_more_orders_than_are_looked_at_one_by_one_the_index_finds_the_rare(
    evening, client, issuer, database_url
):
    other = open_evening(client, issuer)
    buy(other, other.package(), "Zoe Quixote", "zoe@example.com")
    package = evening.package()
    rare = [buy(evening, package, "Zoe Quixote", "zoe@example.com")["id"] for _ in range(2)]
    many = """
      INSERT INTO orders (event_id, id, number, status, customer, customer_name, customer_email, currency,
                          subtotal_cents, discount_cents, fee_cents, tax_cents, total_cents, refunded_cents,
                          payment_method, access_token_hash, created_at, paid_at)
      SELECT event_id, overlay(gen_random_uuid()::text placing left(id::text, 13) || '-7' from 1 for 15)::uuid,
             'ORD-20200101-' || lpad(n::text, 6, '0'), 'paid', 'c', 'Ann Many', 'ann@example.com', 'USD',
             100, 0, 0, 0, 100, 0, 'cash', access_token_hash, created_at, paid_at
        FROM orders, generate_series(1, 3500) AS n WHERE id = %s RETURNING 1
    """
    assert len(query(database_url, many, rare[-1])) == 3_500
    newest = buy(evening, package, "Zoe Quixote", "zoe@example.com")
    last = newest["id"]
    everything = {"q": "quixote", "page_size": 2}
    first = listed(evening, **everything)
    assert first["total"] == 3
    second = listed(evening, **everything, cursor=first["next_cursor"])
    found = [item["id"] for page in (first, second) for item in page["items"]]
    assert found == [last, *rare[::-1]]
    assert second["next_cursor"] is None
    assert (listed(evening)["total"], listed(evening, q="many")["total"]) == (None, None)
    assert [item["id"] for item in listed(evening, q="zoe", sort="total", page_size=3)["items"]] == found
    # When sorted by name they come after all others, by any plan of the database.
    for filters in ({"package_id": package["id"]}, {"payment_method": "test"}, {"q": "zoe", "channel": "online"}):
        for sort in ("name", "total"):
            by_sort = listed(evening, **filters, sort=sort)
            expected = found if sort == "total" else found[::-1]
            assert ([item["id"] for item in by_sort["items"]], by_sort["total"]) == (expected, 3), (filters, sort)
    since = {"from": newest["created_at"]}
    for sort in ("name", "total", "oldest"):
        assert [item["id"] for item in listed(evening, **since, sort=sort)["items"]] == [last]
    second = listed(evening, sort="name", package_id=package["id"], page_size=2)
    rest = listed(evening, sort="name", package_id=package["id"], page_size=2, cursor=second["next_cursor"])
    assert [item["id"] for page in (second, rest) for item in page["items"]] == found[::-1]
    assert listed(evening, package_id=UNKNOWN_ID, sort="name")["items"] == []
    with psycopg.connect(database_url, autocommit=True) as connection:
        tidy_index(connection)
    assert names(evening, q="quixote", status="paid", package_id=package["id"]) == ["Zoe Quixote"] * 3


def test_forgotten_words_are_learnt_anew_from_what_the_orders_say(evening, database_url):
    order = buy(evening, evening.package(), "Ada Lovelace", "ada@example.com")
    words = "SELECT word FROM order_words WHERE event_id = %s ORDER BY word"
    with psycopg.connect(database_url, autocommit=True) as connection:
        for _ in range(2):
            learn_words(connection)
        known = query(database_url, words, evening.id)
        assert known == [("ada",), ("com",), ("example",), ("lovelace",)]
        connection.execute("UPDATE orders SET customer_name = 'Erased' WHERE id = %s", [order["id"]])
        with connection.transaction():
            forget_words(connection, evening.event_id)
        learn_words(connection)
    assert query(database_url, words, evening.id) == [("ada",), ("com",), ("erased",), ("example",)]


def test_staff_find_orders_too(evening, issuer):
    evening.order((evening.package()["id"], 1))
    put_member(evening.client, evening.token, evening.id, "till@example.com", "staff")
    answer = evening.client.get(f"{evening.path}/orders", headers=bearer(issuer.token("till@example.com")))
    assert (answer.status_code, answer.json()["total"]) == (200, 1)
    missing = evening.client.get(f"/admin/events/{UNKNOWN_ID}/orders", headers=evening.headers)
    assert_problem(missing, 404, "event_not_found")


def test_slips_are_counted_letter_by_letter():
    pairs = {("john", "jonh"): 1, ("smith", "smyth"): 1, ("ann", "anna"): 1, ("anna", "ann"): 1, ("", "ab"): 2}
    assert {pair: slips_between(*pair) for pair in pairs} == pairs
    assert slips_between("lovelace", "lovelace") == 0
    assert nearest("jonh", ["john", "joan", "jane"]) == ["john"]
    assert nearest("john", ["john", "joan"]) == ["john"]
    assert nearest("mary", ["martha"]) == []
    assert runs_of("Éva O'Neill, eva.2@x.com éva") == ["éva", "neill", "eva", "com"]
