"""The minute sales open: never oversold, never refused while stock remains (R-ORD-2, R-PKG-5)."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest

from tests.concurrency.crowd import Answer, connect, order, outcomes, place, place_at_once
from tests.concurrency.ledger import counts, disagreements
from tests.concurrency.sale import open_sale


@pytest.fixture(scope="module")
def admin(issuer):
    return {"Authorization": f"Bearer {issuer.token('admin@demo.test', roles=['super_admin'])}"}


def test_two_hundred_buyers_at_once_for_the_last_fifty(client, host, admin, database_url):
    event_id, (package_id,) = open_sale(client, admin, {"quantity_limit": 50})

    answers = place_at_once(host.url, event_id, [order((package_id, 1))] * 200)

    assert outcomes(answers) == {"201": 50, "409 sold_out": 150}
    assert counts(database_url, event_id) == {"sold": 50, "held": 0, "orders": 50, "packages": 50, "tickets": 50}
    refusals = [answer.body for answer in answers if answer.status == 409]
    assert {refusal["package_id"] for refusal in refusals} == {package_id}
    assert {refusal["remaining"] for refusal in refusals} == {0}
    tickets = [ticket for answer in answers for ticket in answer.body.get("tickets", [])]
    assert len({ticket["code"] for ticket in tickets}) == 50
    assert len({ticket["number"] for ticket in tickets}) == 50


def test_the_last_ticket_goes_to_exactly_one_of_ten_buyers(client, host, admin, database_url):
    event_id, (package_id,) = open_sale(client, admin, {"quantity_limit": 1})

    answers = place_at_once(host.url, event_id, [order((package_id, 1))] * 10)

    assert outcomes(answers) == {"201": 1, "409 sold_out": 9}
    assert counts(database_url, event_id)["tickets"] == 1


def test_nobody_is_refused_while_there_is_enough_for_all(client, host, admin, database_url):
    event_id, (package_id,) = open_sale(client, admin, {"quantity_limit": 120, "seats_per_package": 2})

    answers = place_at_once(host.url, event_id, [order((package_id, 1))] * 120)

    assert outcomes(answers) == {"201": 120}
    assert counts(database_url, event_id) == {"sold": 120, "held": 0, "orders": 120, "packages": 120, "tickets": 240}


def test_orders_of_several_packages_are_all_or_nothing_and_never_deadlock(client, host, admin, database_url):
    event_id, packages = open_sale(client, admin, *[{"quantity_limit": 30}] * 6)
    rng = random.Random(20261120)
    # In the sequence in which the buyer clicked, which differs between buyers.
    orders = [order(*[(package, rng.randint(1, 2)) for package in rng.sample(packages, 3)]) for _ in range(120)]

    answers = place_at_once(host.url, event_id, orders)

    assert set(outcomes(answers)) == {"201", "409 sold_out"}
    assert disagreements(database_url, event_id) == []
    bought = dict.fromkeys(packages, 0)
    for placed, answer in zip(orders, answers, strict=True):
        for item in placed["items"] if answer.status == 201 else []:
            bought[item["package_id"]] += item["quantity"]
    listed = client.get(f"/admin/events/{event_id}/ticket-packages", headers=admin).json()["items"]
    assert {package["id"]: package["sold_count"] for package in listed} == bought
    # Stock only went down, so a refusal was right exactly if the package that it names is still short of that order.
    remaining = {package["id"]: package["remaining"] for package in listed}
    for placed, answer in zip(orders, answers, strict=True):
        if answer.status == 409:
            wanted = {item["package_id"]: item["quantity"] for item in placed["items"]}
            assert remaining[answer.body["package_id"]] < wanted[answer.body["package_id"]]


def test_nothing_is_sold_after_disabling_was_answered(client, host, admin, database_url, poll):
    event_id, (package_id,) = open_sale(client, admin, {"quantity_limit": None})
    disabled_at: list[float] = []
    begun_and_sold: list[tuple[float, Answer]] = []

    def keep_buying() -> None:
        connection = connect(host.url)
        late = 0
        while late < 3:  # tries of this buyer after the disabling
            begun = time.monotonic()
            begun_and_sold.append((begun, place(connection, event_id, order((package_id, 1)))))
            late += bool(disabled_at) and begun > disabled_at[0]
        connection.close()

    with ThreadPoolExecutor(8) as buyers:
        running = [buyers.submit(keep_buying) for _ in range(8)]
        poll(lambda: len(begun_and_sold) >= 100)
        disabled = client.post(f"/admin/events/{event_id}/ticket-packages/{package_id}/disable", headers=admin)
        assert disabled.json()["is_enabled"] is False
        sold_when_answered = counts(database_url, event_id)["sold"]
        disabled_at.append(time.monotonic())
        for buyer in running:
            buyer.result()

    late = [answer.outcome for begun, answer in begun_and_sold if begun > disabled_at[0]]
    assert late == ["409 package_not_on_sale"] * 3 * 8
    assert sold_when_answered >= 100 - 8
    assert counts(database_url, event_id)["sold"] == sold_when_answered
    assert disagreements(database_url, event_id) == []


def test_lowering_the_limit_while_fifty_buy_never_goes_below_what_is_sold(client, host, admin, database_url):
    event_id, (package_id,) = open_sale(client, admin, {"quantity_limit": 50})
    path = f"/admin/events/{event_id}/ticket-packages/{package_id}"
    lowered: list[httpx.Response] = []

    def lower() -> None:
        lowered.extend(client.patch(path, headers=admin, json={"quantity_limit": limit}) for limit in (40, 30, 20, 10))

    editor = threading.Thread(target=lower)
    editor.start()
    answers = place_at_once(host.url, event_id, [order((package_id, 1))] * 50)
    editor.join()

    package = client.get(path, headers=admin).json()
    assert {response.status_code for response in lowered} <= {200, 409}
    assert {response.json()["code"] for response in lowered if response.status_code == 409} <= {"limit_below_sales"}
    assert package["sold_count"] == sum(answer.status == 201 for answer in answers)
    assert package["sold_count"] <= package["quantity_limit"]
    assert set(outcomes(answers)) <= {"201", "409 sold_out"}
    assert disagreements(database_url, event_id) == []


GUARD = "AND terms = known_terms[1] AND (quantity_limit IS NULL OR held + sold + 1 <= quantity_limit)"


@pytest.fixture(scope="module")
def unprotected(start_module_host, module_database):
    """A host on a database that lets stock be oversold."""
    with psycopg.connect(module_database, autocommit=True) as connection:
        connection.execute("ALTER TABLE stock DROP CONSTRAINT ck_stock_never_oversold")
    return start_module_host(http_only=True, DATABASE_URL=module_database)


@pytest.mark.parametrize(("condition", "oversold"), [("", True), (GUARD, False)], ids=["without the guard", "with it"])
def test_positive_control_it_is_the_guard_that_keeps_the_crowd_from_overselling(
    unprotected, module_database, issuer, condition, oversold
):
    """Shows that this harness sees a race: the constraint is removed, and the claim is replaced by a slow one.

    The pause makes sure that several buyers have read the same stock before the first of them claims.
    """
    with psycopg.connect(module_database, autocommit=True) as connection:
        connection.execute(
            f"""
            CREATE OR REPLACE FUNCTION stock_claim(
              the_event uuid, ids uuid[], quantities bigint[], known_terms bigint[], only_hold boolean
            ) RETURNS void LANGUAGE plpgsql AS $$
            BEGIN
              PERFORM pg_sleep(0.1);
              UPDATE stock SET sold = sold + 1
               WHERE event_id = the_event AND id = ids[1] {condition};
              IF NOT FOUND THEN RAISE EXCEPTION 'short' USING ERRCODE = 'BX001'; END IF;
            END $$
            """.encode()
        )
    admin = {"Authorization": f"Bearer {issuer.token('admin@demo.test', roles=['super_admin'])}"}
    with httpx.Client(base_url=f"{unprotected.url}/api/v1", timeout=30, trust_env=False) as client:
        event_id, (package_id,) = open_sale(client, admin, {"quantity_limit": 1})
        answers = place_at_once(unprotected.url, event_id, [order((package_id, 1))] * 40)

    sold = counts(module_database, event_id)["sold"]
    assert sold == sum(answer.status == 201 for answer in answers)
    assert (sold > 1) is oversold
    assert sold >= 1
