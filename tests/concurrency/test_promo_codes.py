"""Promo codes in a rush: never redeemed too often, nor on terms that no longer hold (R-PROMO-2, -3 and -6)."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice, pairwise
from typing import Any

import psycopg
import pytest

from tests.concurrency.crowd import keep_buying, order, outcomes
from tests.concurrency.ledger import counts, disagreements, wait_for_locks
from tests.factories import (
    Evening,
    assert_problem,
    at_once,
    bearer,
    new_email,
    open_evening,
    pointers,
    query,
    send_order,
)


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer)


def added(evening: Evening, **fields: Any) -> dict[str, Any]:
    body = {"code": "EARLY10", "discount_type": "percentage", "discount_value": 10} | fields
    answer = evening.client.post(f"{evening.path}/promo-codes", json=body, headers=evening.headers)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def patch(evening: Evening, promo: dict[str, Any], **change: Any) -> dict[str, Any]:
    path = f"{evening.path}/promo-codes/{promo['id']}"
    answer = evening.client.patch(path, json=change, headers=evening.headers)
    assert answer.status_code == 200, answer.text
    changed: dict[str, Any] = answer.json()
    return changed


def redeemed(database_url: str, promo: dict[str, Any]) -> tuple[Any, ...]:
    """Uses by the code's count, by its customers' counts and by its noted orders, and the discount of those orders."""
    (found,) = query(
        database_url,
        """
        SELECT (SELECT uses FROM promo_code_stock WHERE promo_code_id = %s),
               (SELECT coalesce(sum(uses), 0)::int FROM promo_code_customers WHERE promo_code_id = %s),
               (SELECT count(*)::int FROM promo_code_uses WHERE promo_code_id = %s),
               (SELECT coalesce(sum(discount_cents), 0)::int FROM promo_code_uses WHERE promo_code_id = %s)
        """,
        *[promo["id"]] * 4,
    )
    return found


def buyer(number: int = 0) -> dict[str, str]:
    return {"name": f"Buyer {number}", "email": new_email("buyer")}


def test_of_twenty_buyers_one_has_the_last_use_and_the_others_have_bought_nothing(evening, database_url):
    package = evening.package(quantity_limit=50, price_cents=5_000)
    promo = added(evening, max_total_uses=1)

    def buy(number: int) -> str:
        answer = send_order(evening.client, evening.id, [(package["id"], 1)], promo_code="early10", customer=buyer())
        return f"{answer.status_code} {answer.json().get('code')}"

    assert Counter(at_once(20, buy)) == {"201 None": 1, "422 promo_code_used_up": 19}
    assert redeemed(database_url, promo) == (1, 1, 1, 500)
    assert counts(database_url, evening.id) == {"sold": 1, "held": 0, "orders": 1, "packages": 1, "tickets": 1}
    for table in ("idempotency_keys", "outbox"):
        assert query(database_url, f"SELECT count(*) FROM {table} WHERE event_id = %s", evening.id) == [(1,)]
    assert disagreements(database_url, evening.id) == []


def test_a_code_with_seven_uses_left_is_used_seven_times_by_forty(evening, database_url):
    package = evening.package(quantity_limit=50)
    promo = added(evening, max_total_uses=9)
    for _ in range(2):
        evening.order((package["id"], 1), promo_code="EARLY10")

    def buy(number: int) -> int:
        items = [(package["id"], 1)]
        return send_order(evening.client, evening.id, items, promo_code="EARLY10", customer=buyer()).status_code

    assert Counter(at_once(40, buy)) == {201: 7, 422: 33}
    assert redeemed(database_url, promo)[:3] == (9, 9, 9)
    assert disagreements(database_url, evening.id) == []


@pytest.mark.parametrize("signed_in", [False, True], ids=["guest", "signed in"])
def test_one_customer_at_ten_tills_uses_a_code_twice(evening, issuer, database_url, signed_in):
    """A guest is recognised by the mailbox, however it is written; a signed-in buyer only by the account."""
    package, mailbox = evening.package(), new_email("keen")
    promo = added(evening, max_uses_per_customer=2, max_total_uses=100)
    token = issuer.token(mailbox) if signed_in else None
    local, _, domain = mailbox.partition("@")
    spellings = [mailbox, mailbox.upper(), f"{local}+gala@{domain}", f"{local.title()}+{{}}@{domain.upper()}"]

    def buy(number: int) -> str:
        written = new_email(f"other-{number}") if signed_in else spellings[number % 4].format(number)
        customer = {"name": "Keen", "email": written}
        items = [(package["id"], 1)]
        answer = send_order(evening.client, evening.id, items, promo_code="EARLY10", customer=customer, token=token)
        return f"{answer.status_code} {answer.json().get('code')}"

    assert Counter(at_once(10, buy)) == {"201 None": 2, "422 promo_code_used_by_customer": 8}
    assert redeemed(database_url, promo)[:3] == (2, 2, 2)
    assert counts(database_url, evening.id) == {"sold": 2, "held": 0, "orders": 2, "packages": 2, "tickets": 2}
    path = f"/public/events/{evening.id}/promo-codes/validate"
    basket = {"code": "EARLY10", "items": [{"package_id": package["id"], "quantity": 1}], "email": mailbox}
    seen = evening.client.post(path, json=basket, headers=bearer(token) if token else {}).json()
    assert (seen["valid"], seen["reason"]) == (False, "promo_code_used_by_customer")
    somebody_else = send_order(
        evening.client, evening.id, [(package["id"], 1)], promo_code="EARLY10", customer=buyer(), token=None
    )
    assert somebody_else.status_code == 201


def test_a_discount_has_the_terms_from_before_an_edit_or_from_after_it(evening, host, database_url, poll):
    """Kind, amount and packages change together; a percentage off one package, or an amount off both, is a mix."""
    dear, cheap = evening.package(price_cents=10_000), evening.package(price_cents=5_000)
    terms: list[tuple[dict[str, Any], list[int]]] = [
        ({"discount_type": "percentage", "discount_value": 10, "package_ids": []}, [1_000, 500]),
        ({"discount_type": "fixed_amount", "discount_value": 2_500, "package_ids": [dear["id"]]}, [2_500, 0]),
    ]
    promo = added(evening, **terms[0][0])
    edits: list[tuple[float, float, list[int]]] = []
    wanted = order((dear["id"], 1), (cheap["id"], 1)) | {"promo_code": "EARLY10"}

    with keep_buying(host.url, evening.id, lambda: wanted) as purchases:
        for change, off in islice(cycle(terms[::-1]), 12):
            so_far, sent = len(purchases), time.monotonic()
            patch(evening, promo, **change)
            edits.append((sent, time.monotonic(), off))
            poll(lambda so_far=so_far: len(purchases) >= so_far + 20)

    assert outcomes([purchase.answer for purchase in purchases]) == {"201": len(purchases)}
    seen = [[item["discount_cents"] for item in purchase.answer.body["items"]] for purchase in purchases]
    assert {tuple(off) for off in seen} == {tuple(off) for _, off in terms}
    for (_, answered, now), (sent, _, _) in pairwise(edits):
        between = [off for off, purchase in zip(seen, purchases, strict=True) if purchase.within(answered, sent)]
        assert all(off == now for off in between)
    assert redeemed(database_url, promo) == (*[len(purchases)] * 3, sum(map(sum, seen)))


def test_a_code_is_redeemed_only_while_it_is_active(evening, host, database_url, poll):
    package = evening.package()
    promo = added(evening)
    windows: list[tuple[float, float, str]] = []
    began = time.monotonic()
    wanted = order((package["id"], 1)) | {"promo_code": "EARLY10"}

    with keep_buying(host.url, evening.id, lambda: wanted) as purchases:
        for active, until_now in islice(cycle([(False, "201"), (True, "422 promo_code_inactive")]), 6):
            so_far = len(purchases)
            poll(lambda so_far=so_far: len(purchases) >= so_far + 30)
            windows.append((began, time.monotonic(), until_now))
            patch(evening, promo, is_active=active)
            began = time.monotonic()

    assert set(outcomes([purchase.answer for purchase in purchases])) == {"201", "422 promo_code_inactive"}
    for start, end, expected in windows:
        within = [purchase.answer for purchase in purchases if purchase.within(start, end)]
        assert within
        assert outcomes(within) == {expected: len(within)}
    sold = sum(purchase.answer.status == 201 for purchase in purchases)
    assert redeemed(database_url, promo)[:3] == (sold, sold, sold)
    assert counts(database_url, evening.id)["orders"] == sold


def test_a_code_deleted_in_a_rush_is_gone_unused_or_stays_and_everybody_has_used_it(evening, client, database_url):
    package = evening.package()
    for number in range(6):
        code = f"RUSH{number}"
        promo, headers = added(evening, code=code), evening.headers
        before = counts(database_url, evening.id)

        def act(who: int, promo=promo, headers=headers, first=number, code=code) -> str:
            if who == first:
                answer = client.delete(f"{evening.path}/promo-codes/{promo['id']}", headers=headers)
            else:
                items = [(package["id"], 1)]
                answer = send_order(client, evening.id, items, promo_code=code, customer=buyer())
            return f"{answer.status_code} {answer.json().get('code')}" if answer.content else "204"

        answers = at_once(21, act)
        deleted = answers.pop(number)
        if deleted == "204":
            assert Counter(answers) == {"422 promo_code_unknown": 20}
            assert counts(database_url, evening.id) == before
            assert redeemed(database_url, promo) == (None, 0, 0, 0)
        else:
            assert deleted == "409 promo_code_redeemed"
            assert Counter(answers) == {"201 None": 20}
            assert redeemed(database_url, promo)[:3] == (20, 20, 20)


def test_a_total_that_rises_and_sinks_in_a_rush_is_kept_and_spurns_nobody(evening, database_url):
    package = evening.package()
    promo = added(evening, max_total_uses=10)
    headers = evening.headers

    def act(number: int) -> tuple[int, str | None]:
        if number % 5 == 0:
            path = f"{evening.path}/promo-codes/{promo['id']}"
            answer = evening.client.patch(path, json={"max_total_uses": 5 + number}, headers=headers)
        else:
            items = [(package["id"], 1)]
            answer = send_order(evening.client, evening.id, items, promo_code="EARLY10", customer=buyer())
        return answer.status_code, None if answer.is_success else answer.json()["code"]

    got = at_once(30, act)
    edits, bought = got[::5], [answer for number, answer in enumerate(got) if number % 5]
    assert set(edits) <= {(200, None), (409, "uses_below_redeemed")}
    assert set(bought) <= {(201, None), (422, "promo_code_used_up")}
    used = bought.count((201, None))
    assert redeemed(database_url, promo)[:3] == (used, used, used)
    patch(evening, promo, max_total_uses=used + 3)
    items = [(package["id"], 1)]
    late = at_once(
        5,
        lambda _: send_order(evening.client, evening.id, items, promo_code="EARLY10", customer=buyer()).status_code,
    )
    assert sorted(late) == [201] * 3 + [422] * 2


def test_a_code_made_for_a_package_that_is_being_deleted_is_refused(evening, database_url, poll):
    """The deletion is held open while the code is made: the code's package still exists then, but not later."""
    package_id, headers = evening.package()["id"], evening.headers
    body = {"code": "FORTHIS", "discount_type": "percentage", "discount_value": 10, "package_ids": [package_id]}
    promo = added(evening)

    def make() -> Any:
        return evening.client.post(f"{evening.path}/promo-codes", json=body, headers=headers)

    def limit() -> Any:
        path = f"{evening.path}/promo-codes/{promo['id']}"
        return evening.client.patch(path, json={"package_ids": [package_id]}, headers=headers)

    with psycopg.connect(database_url) as deletion, ThreadPoolExecutor(2) as coordinators:
        deletion.execute("DELETE FROM ticket_packages WHERE id = %s", [package_id])
        answers = [coordinators.submit(make), coordinators.submit(limit)]
        wait_for_locks(database_url, 2, poll)
        deletion.commit()
    for answer in answers:
        assert pointers(assert_problem(answer.result(), 422, "invalid_input")) == ["/package_ids/0"]
    listed = evening.client.get(f"{evening.path}/promo-codes", headers=headers).json()["items"]
    assert [(code["code"], code["package_ids"], code["version"]) for code in listed] == [("EARLY10", [], 1)]
