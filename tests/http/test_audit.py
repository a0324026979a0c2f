"""The audit trail (R-AUDIT-1): one entry for each changed field, insert-only, chained so that tampering is found."""

import os
import subprocess
import sys

import psycopg
import pytest

from infra.local.home import REPOSITORY
from tests.factories import assert_problem, at_once, event_state, open_evening, put_member, query


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer)


def trail(evening, **params):
    answer = evening.client.get(f"{evening.path}/audit-trail", headers=evening.headers, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def chain(evening):
    return evening.client.get(f"{evening.path}/audit-trail/verify", headers=evening.headers).json()


def test_a_change_of_two_fields_leaves_two_entries_with_who_when_old_and_new(evening):
    package = evening.package(price_cents=1_000)
    changed = evening.patch_package(package["id"], {"price_cents": 2_000, "name": "Balcony", "min_per_order": 1})
    path = f"{evening.packages}/{package['id']}/audit-trail"
    entries = evening.client.get(path, headers=evening.headers).json()["items"]
    found = {entry["field"]: (entry["old_value"], entry["new_value"]) for entry in entries[:2]}
    assert found == {"price_cents": (1_000, 2_000), "name": ("Single seat", "Balcony")}
    assert entries[2]["field"] == "created"
    assert entries[2]["new_value"]["price_cents"] == 1_000
    assert {entry["actor"]["email"] for entry in entries} == {evening.coordinator}
    assert entries[0]["actor"]["name"]
    assert entries[0]["at"] == changed.json()["updated_at"]
    assert {entry["request_id"] for entry in entries[:2]} == {changed.headers["X-Request-Id"]}


def test_a_change_that_changes_nothing_or_is_refused_leaves_no_entry(evening):
    package = evening.package(quantity_limit=2)
    evening.order((package["id"], 2))
    before = trail(evening)["total"]
    assert evening.patch_package(package["id"], {"name": package["name"]}).status_code == 200
    assert_problem(evening.patch_package(package["id"], {"name": "New", "quantity_limit": 1}), 409, "limit_below_sales")
    assert trail(evening)["total"] == before


def test_everything_that_coordinators_change_is_in_the_trail(evening):
    client, headers = evening.client, evening.headers
    first, second = evening.package(), evening.package()
    option = {"label": "Meal", "option_type": "text_input", "is_required": False}
    options = f"{evening.packages}/{first['id']}/custom-options"
    made = client.post(options, json=option, headers=headers).json()
    client.patch(f"{options}/{made['id']}", json={"label": "Diet"}, headers=headers)
    client.delete(f"{options}/{made['id']}", headers=headers)
    codes = f"{evening.path}/promo-codes"
    promo = {"code": "EARLY10", "discount_type": "percentage", "discount_value": 10}
    code = client.post(codes, json=promo, headers=headers).json()
    client.patch(f"{codes}/{code['id']}", json={"is_active": False, "max_total_uses": 3}, headers=headers)
    client.delete(f"{codes}/{code['id']}", headers=headers)
    client.put(f"{evening.packages}/reorder", json={"package_ids": [second["id"], first["id"]]}, headers=headers)
    client.post(f"{evening.packages}/{first['id']}/disable", headers=headers)
    client.delete(f"{evening.packages}/{second['id']}", params={"confirm": "true"}, headers=headers)
    put_member(client, evening.token, evening.id, "stan@example.com", "staff")
    client.delete(f"{evening.path}/members/stan@example.com", headers=headers)
    client.patch(evening.path, json={"title": "Autumn Gala"}, headers=headers)

    entries = trail(evening, page_size=100)["items"]
    told = [(entry["entity_type"], entry["field"], entry["old_value"], entry["new_value"]) for entry in entries][::-1]
    assert [line[:2] for line in told if line[1] in {"created", "deleted"}] == [
        ("event", "created"),
        ("ticket_package", "created"),
        ("ticket_package", "created"),
        ("custom_option", "created"),
        ("custom_option", "deleted"),
        ("promo_code", "created"),
        ("promo_code", "deleted"),
        ("ticket_package", "deleted"),
    ]
    for line in (
        ("event", "status", "draft", "published"),
        ("event", "title", "Spring Gala", "Autumn Gala"),
        ("custom_option", "label", "Meal", "Diet"),
        ("promo_code", "is_active", True, False),
        ("promo_code", "max_total_uses", None, 3),
        ("ticket_package", "display_order", 1, 0),
        ("ticket_package", "display_order", 0, 1),
        ("ticket_package", "is_enabled", True, False),
        ("member", "role", None, "staff"),
        ("member", "role", "staff", None),
    ):
        assert line in told
    assert chain(evening)["valid"] is True
    assert chain(evening)["entries"] == len(entries)


def test_the_trail_is_filtered_and_paged(evening):
    package = evening.package()
    for price in (1, 2, 3):
        evening.patch_package(package["id"], {"price_cents": price})
    assert trail(evening, field="price_cents", page_size=2)["total"] == 3
    page = trail(evening, field="price_cents", page_size=2, page=2)
    assert [entry["new_value"] for entry in page["items"]] == [1]
    assert trail(evening, entity_type="member")["total"] == 1
    assert trail(evening, entity_id=package["id"])["total"] == 4


def test_changes_at_once_make_one_whole_chain(evening):
    packages = [evening.package() for _ in range(8)]
    answers = at_once(8, lambda number: evening.patch_package(packages[number]["id"], {"name": f"Name {number}"}))
    assert [answer.status_code for answer in answers] == [200] * 8
    report = chain(evening)
    assert (report["valid"], report["entries"]) == (True, trail(evening)["total"])


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_log SET field = 'x'", "DELETE FROM audit_log", "TRUNCATE audit_log", "TRUNCATE audit_log CASCADE"],
)
def test_the_database_refuses_to_change_or_remove_entries(evening, database_url, statement):
    evening.package()
    before = trail(evening)
    with (
        psycopg.connect(database_url) as connection,
        pytest.raises(psycopg.DatabaseError, match="insert-only") as refused,
    ):
        connection.execute(statement)
    assert refused.value.sqlstate == "BX003"
    assert trail(evening) == before


TAMPERING = {
    "its content has been changed": (
        "UPDATE audit_log SET new_value = '99' WHERE event_id = %s AND field = 'price_cents'"
    ),
    "entry 5 is missing": "DELETE FROM audit_log WHERE event_id = %s AND field = 'price_cents'",
    "entries are missing at the end": "DELETE FROM audit_log WHERE event_id = %s AND field = 'name'",
    "it does not follow the entry before it": (
        "UPDATE audit_log SET previous_hash = sha256('x') WHERE event_id = %s AND field = 'price_cents'"
    ),
}


@pytest.mark.parametrize("reason", TAMPERING)
def test_a_change_by_the_owner_of_the_database_without_the_triggers_is_found(client, issuer, database_url, reason):
    evening = open_evening(client, issuer)
    package = evening.package()
    evening.patch_package(package["id"], {"price_cents": 7})
    evening.patch_package(package["id"], {"name": "Last"})
    assert chain(evening)["valid"] is True
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE audit_log DISABLE TRIGGER USER")
        try:
            connection.execute(TAMPERING[reason].encode(), [evening.id])
        finally:
            connection.execute("ALTER TABLE audit_log ENABLE TRIGGER USER")
    report = chain(evening)
    assert (report["valid"], report["first_broken"]["reason"]) == (False, reason)


def test_the_command_verifies_a_trail_and_fails_for_a_broken_one(evening, app_environment, database_url):
    evening.package()

    def verify():
        command = [sys.executable, "-m", "shared.domain.audit", evening.id]
        environment = {**os.environ, **app_environment}
        return subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=False)

    whole = verify()
    assert (whole.returncode, whole.stdout.split()[-1]) == (0, "whole"), whole.stderr
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("UPDATE audit_heads SET hash = sha256('x') WHERE event_id = %s", [evening.id])
    broken = verify()
    assert (broken.returncode, "BROKEN" in broken.stdout) == (1, True)


def test_a_change_and_its_entry_stand_or_fall_together(evening, database_url):
    package = evening.package()
    before = event_state(database_url, evening.id)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "ALTER TABLE audit_log ADD CONSTRAINT no_entry_for_now CHECK (new_value IS DISTINCT FROM '31') NOT VALID"
        )
        try:
            assert evening.patch_package(package["id"], {"price_cents": 31}).status_code == 500
        finally:
            connection.execute("ALTER TABLE audit_log DROP CONSTRAINT no_entry_for_now")
    assert event_state(database_url, evening.id) == before
    assert query(database_url, "SELECT count(*) FROM audit_log WHERE new_value = '31'") == [(0,)]
