"""Events: they are made as drafts, published, changed, and cancelled for good."""

import re

import httpx

from infra.local.tokens import ADMIN
from tests.factories import (
    assert_problem,
    at_once,
    bearer,
    create_event,
    event_fields,
    event_state,
    in_days,
    new_email,
    new_key,
    open_evening,
    publish_event,
    query,
    send_order,
)


def test_a_new_event_is_a_draft_and_its_maker_is_the_coordinator(client, issuer, database_url):
    founder = new_email("founder")
    token = issuer.token(founder, roles=["super_admin"])
    fields = event_fields(slug=f"gala-{new_key()}", description="One\n\nTwo", timezone="Europe/London", currency="EUR")
    answer = client.post("/admin/events", json=fields, headers=bearer(token))
    assert answer.status_code == 201
    event = answer.json()
    assert answer.headers["Location"] == f"/api/v1/admin/events/{event['id']}"
    assert answer.headers["ETag"].startswith('"v1-')
    (user_id,) = query(database_url, "SELECT id FROM users WHERE email = %s", founder)[0]
    assert event == fields | {
        "id": event["id"],
        "status": "draft",
        "capacity": None,
        "lock_price_after_sales": False,
        "max_tickets_per_customer": None,
        "tax_percent": 0.0,
        "tax_included": False,
        "fee_percent": 0.0,
        "fee_cents": 0,
        "fee_included": False,
        "order_expiry_minutes": 15,
        "return_promo_uses": True,
        "created_by": str(user_id),
        "created_at": event["created_at"],
        "updated_at": event["created_at"],
        "version": 1,
    }
    team = client.get(f"/admin/events/{event['id']}/members", headers=bearer(issuer.token(founder)))
    assert [(member["email"], member["role"]) for member in team.json()["items"]] == [(founder, "coordinator")]


def test_the_location_of_a_new_event_opens_it(client, issuer, host):
    answer = client.post("/admin/events", json=event_fields(), headers=bearer(issuer.token(ADMIN)))
    found = client.get(f"{host.url}{answer.headers['Location']}", headers=bearer(issuer.token(ADMIN)))
    assert found.json() == answer.json()


def test_a_slug_is_made_from_the_title(client, issuer):
    event = create_event(client, issuer.token(ADMIN), title="Gala at the Zoo – Été!")
    assert re.fullmatch(r"gala-at-the-zoo-ete-[a-z0-9]{6}", event["slug"])
    assert create_event(client, issuer.token(ADMIN), title="東京")["slug"].startswith("event-")


def test_two_events_cannot_have_one_slug(client, issuer, database_url):
    slug = f"gala-{new_key()}"
    first, second = open_evening(client, issuer, slug=slug), open_evening(client, issuer)
    before = event_state(database_url, second.id)
    created = client.post("/admin/events", json=event_fields(slug=slug), headers=second.headers)
    assert_problem(created, 409, "slug_taken")
    renamed = client.patch(second.path, json={"slug": slug}, headers=second.headers)
    assert_problem(renamed, 409, "slug_taken")
    assert event_state(database_url, second.id) == before
    kept = client.patch(first.path, json={"slug": slug}, headers=first.headers)
    assert kept.status_code == 200


def test_of_eight_who_want_a_slug_at_once_one_gets_it(client, issuer, database_url):
    slug, token = f"gala-{new_key()}", issuer.token(ADMIN)

    def create(_: int) -> int:
        return client.post("/admin/events", json=event_fields(slug=slug), headers=bearer(token)).status_code

    assert sorted(at_once(8, create)) == [201] + [409] * 7
    assert query(database_url, "SELECT count(*) FROM events WHERE slug = %s", slug) == [(1,)]


def test_a_change_of_some_fields_leaves_the_others(client, issuer):
    evening = open_evening(client, issuer, description="Long ago.", capacity=100)
    before = client.get(evening.path, headers=evening.headers).json()
    answer = client.patch(
        evening.path, json={"title": "Autumn Gala", "description": None, "capacity": None}, headers=evening.headers
    )
    after = answer.json()
    assert after == before | {
        "title": "Autumn Gala",
        "description": None,
        "capacity": None,
        "version": before["version"] + 1,
        "updated_at": after["updated_at"],
    }
    assert after["updated_at"] > before["updated_at"]
    assert client.get(evening.path, headers=evening.headers).json() == after


def test_a_change_that_changes_nothing_makes_no_new_version(client, issuer, database_url):
    evening = open_evening(client, issuer)
    before = event_state(database_url, evening.id)
    for change in ({}, {"title": evening.event["title"]}):
        assert client.patch(evening.path, json=change, headers=evening.headers).status_code == 200
    assert event_state(database_url, evening.id) == before


def test_a_stale_version_is_refused_with_the_current_one(client, issuer, database_url):
    evening = open_evening(client, issuer)
    read = client.get(evening.path, headers=evening.headers)
    first = client.patch(
        evening.path, json={"title": "A"}, headers=evening.headers | {"If-Match": read.headers["ETag"]}
    )
    assert first.status_code == 200
    before = event_state(database_url, evening.id)
    late = client.patch(evening.path, json={"title": "B"}, headers=evening.headers | {"If-Match": read.headers["ETag"]})
    problem = assert_problem(late, 412, "stale_version")
    assert problem["current_version"] == first.json()["version"]
    assert event_state(database_url, evening.id) == before


def test_a_read_that_is_still_current_costs_nothing(client, issuer):
    evening = open_evening(client, issuer)
    read = client.get(evening.path, headers=evening.headers)
    again = client.get(evening.path, headers=evening.headers | {"If-None-Match": read.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == read.headers["ETag"]
    assert again.headers["X-Request-Id"]
    client.patch(evening.path, json={"title": "Other"}, headers=evening.headers)
    changed = client.get(evening.path, headers=evening.headers | {"If-None-Match": read.headers["ETag"]})
    assert (changed.status_code, changed.json()["title"]) == (200, "Other")


def test_publishing_twice_is_publishing_once(client, issuer):
    evening = open_evening(client, issuer, published=False)
    first = publish_event(client, evening.token, evening.id)
    assert (first["status"], first["version"]) == ("published", 2)
    assert publish_event(client, evening.token, evening.id) == first


def test_publishing_or_cancelling_an_older_version_is_refused(client, issuer, database_url):
    evening = open_evening(client, issuer, published=False)
    stale = evening.headers | {"If-Match": client.get(evening.path, headers=evening.headers).headers["ETag"]}
    client.patch(evening.path, json={"title": "Other"}, headers=evening.headers)
    before = event_state(database_url, evening.id)
    for step in ("publish", "cancel"):
        assert_problem(client.post(f"{evening.path}/{step}", headers=stale), 412, "stale_version")
    assert event_state(database_url, evening.id) == before


def test_cancelling_is_final(client, issuer, database_url):
    evening = open_evening(client, issuer)
    package = evening.package()
    cancelled = client.post(f"{evening.path}/cancel", headers=evening.headers)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    before = event_state(database_url, evening.id)
    assert client.post(f"{evening.path}/cancel", headers=evening.headers).json() == cancelled.json()
    published = client.post(f"{evening.path}/publish", headers=evening.headers)
    assert_problem(published, 409, "event_cancelled")
    assert_problem(send_order(client, evening.id, [(package["id"], 1)]), 409, "event_cancelled")
    assert event_state(database_url, evening.id) == before


def test_the_currency_stays_once_something_is_sold(client, issuer, database_url):
    evening = open_evening(client, issuer, currency="EUR")
    package = evening.package()
    changed = client.patch(evening.path, json={"currency": "JPY"}, headers=evening.headers)
    assert changed.json()["currency"] == "JPY"
    assert evening.read_package(package["id"])["currency"] == "JPY"
    evening.order((package["id"], 1))
    before = event_state(database_url, evening.id)
    refused = client.patch(evening.path, json={"currency": "EUR", "title": "X"}, headers=evening.headers)
    assert_problem(refused, 409, "currency_locked")
    assert event_state(database_url, evening.id) == before
    assert client.patch(evening.path, json={"currency": "JPY"}, headers=evening.headers).status_code == 200


def test_a_coordinator_lists_their_own_events_the_next_one_first(client, issuer):
    coordinator = new_email("busy")
    token = issuer.token(coordinator, roles=["super_admin"])
    later = create_event(client, token, title="Later", starts_at=in_days(60), ends_at=in_days(61))
    sooner = create_event(client, token, title="Sooner", starts_at=in_days(5), ends_at=in_days(6))
    open_evening(client, issuer)
    headers = bearer(issuer.token(coordinator))
    listed = client.get("/admin/events", headers=headers).json()
    assert [event["id"] for event in listed["items"]] == [sooner["id"], later["id"]]
    assert (listed["page"], listed["page_size"], listed["total"]) == (1, 20, 2)
    second = client.get("/admin/events?page=2&page_size=1", headers=headers).json()
    assert [event["id"] for event in second["items"]] == [later["id"]]
    assert (second["page"], second["page_size"], second["total"]) == (2, 1, 2)


def test_a_coordinator_of_one_event_may_open_another(client, issuer):
    evening = open_evening(client, issuer)
    another = create_event(client, evening.token, title="Another")
    assert client.get(f"/admin/events/{another['id']}", headers=evening.headers).json()["title"] == "Another"


def test_different_fields_changed_by_eight_at_once_all_survive(client, issuer):
    evening = open_evening(client, issuer)
    changes: list[dict[str, object]] = [
        {"title": "New title"},
        {"description": "New description"},
        {"capacity": 77},
        {"max_tickets_per_customer": 8},
        {"lock_price_after_sales": True},
        {"timezone": "Asia/Tokyo"},
        {"currency": "JPY"},
        {"slug": f"new-{new_key()}"},
    ]
    headers = evening.headers

    def change(number: int) -> httpx.Response:
        return client.patch(evening.path, json=changes[number], headers=headers)

    assert [answer.status_code for answer in at_once(8, change)] == [200] * 8
    after = client.get(evening.path, headers=headers).json()
    for fields in changes:
        assert after | fields == after
    assert after["version"] == 2 + 8
