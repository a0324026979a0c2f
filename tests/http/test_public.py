"""What everybody sees: published events, and what can be bought for them."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import create_engine, event
from sqlalchemy.orm import Session

from shared.domain.catalog import queries
from shared.domain.catalog.schemas import PackageListQuery, PublicPackageListQuery
from shared.kit.pages import Page
from tests.factories import assert_problem, cancel_event, in_days, new_key, open_evening, publish_event


def test_only_a_published_event_is_found_by_its_slug(client, issuer):
    evening = open_evening(client, issuer, published=False, slug=f"gala-{new_key()}", capacity=77)
    path = f"/public/events/{evening.event['slug']}"
    assert_problem(client.get(path), 404, "event_not_found")
    publish_event(client, evening.token, evening.id)
    assert client.get(path).json() == {
        "id": evening.id,
        "title": "Spring Gala",
        "slug": evening.event["slug"],
        "description": None,
        "status": "published",
        "starts_at": evening.event["starts_at"],
        "ends_at": evening.event["ends_at"],
        "timezone": "UTC",
        "currency": "USD",
    }
    cancel_event(client, evening.token, evening.id)
    assert_problem(client.get(path), 404, "event_not_found")


def test_published_events_are_listed_the_next_one_first(client, issuer):
    later = open_evening(client, issuer, title="Later", starts_at=in_days(42), ends_at=in_days(43))
    sooner = open_evening(client, issuer, title="Sooner", starts_at=in_days(40), ends_at=in_days(41))
    draft = open_evening(client, issuer, published=False, starts_at=in_days(41), ends_at=in_days(42))
    pages = -(-client.get("/public/events").json()["total"] // 100)
    listed: list[dict[str, Any]] = []
    for page in range(1, pages + 1):
        listed += client.get(f"/public/events?page_size=100&page={page}").json()["items"]
    starts = [datetime.fromisoformat(found["starts_at"]) for found in listed]
    assert starts == sorted(starts)
    mine = [found["title"] for found in listed if found["id"] in {later.id, sooner.id, draft.id}]
    assert mine == ["Sooner", "Later"]
    assert {found["status"] for found in listed} == {"published"}
    assert not any("created_by" in found for found in listed)


def test_buyers_see_enabled_packages_in_display_order(client, issuer):
    evening = open_evening(client, issuer)
    seat = evening.package(name="Seat", quantity_limit=3, price_cents=2_500)
    off = evening.package(name="Off")
    evening.package(name="Gold", is_sponsorship=True)
    client.post(f"{evening.packages}/{off['id']}/disable", headers=evening.headers)
    path = f"/public/events/{evening.id}/ticket-packages"
    listed = client.get(path).json()
    assert ([package["name"] for package in listed["items"]], listed["total"]) == (["Seat", "Gold"], 2)
    hidden = {"sold_count", "held_count", "quantity_limit", "created_by", "fair_market_value_cents", "version"}
    assert not hidden & listed["items"][0].keys()
    assert listed["items"][0]["remaining"] == 3
    evening.order((seat["id"], 3))
    sold_out = client.get(path).json()["items"][0]
    assert (sold_out["remaining"], sold_out["is_sold_out"]) == (0, True)
    gold = client.get(f"{path}?sponsorships_only=true").json()["items"]
    assert [package["name"] for package in gold] == ["Gold"]


@pytest.mark.parametrize("state", ["draft", "cancelled"])
def test_packages_of_an_event_that_is_not_published_are_not_shown(state, client, issuer):
    evening = open_evening(client, issuer, published=False)
    evening.package()
    if state == "cancelled":
        cancel_event(client, evening.token, evening.id)
    assert_problem(client.get(f"/public/events/{evening.id}/ticket-packages"), 404, "event_not_found")


def test_a_poller_who_has_the_current_list_gets_304(client, issuer):
    evening = open_evening(client, issuer)
    package = evening.package(quantity_limit=2)
    path = f"/public/events/{evening.id}/ticket-packages"
    etag = client.get(path).headers["ETag"]
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 304
    evening.order((package["id"], 1))
    assert client.get(path, headers={"If-None-Match": etag}).json()["items"][0]["remaining"] == 1


def test_lists_take_as_many_statements_for_fifty_packages_as_for_one(client, issuer, database_url):
    """In this process, on the database of the host, where statements can be counted (no N+1)."""
    evening = open_evening(client, issuer)
    engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://", 1))
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda _c, _cursor, statement, *_: statements.append(statement))

    def count(made: int) -> list[int]:
        counts = []
        with Session(engine) as session:
            reads: list[Callable[[], Page[Any]]] = [
                lambda: queries.list_packages(session, evening.event_id, PackageListQuery(page_size=99)),
                # A page size that is not cached.
                lambda: queries.list_public_packages(session, evening.event_id, PublicPackageListQuery(page_size=99)),
            ]
            for read in reads:
                statements.clear()
                listed = read()
                assert len(listed.items) == listed.total == made
                assert {len(package.custom_options) for package in listed.items} == {4}
                counts.append(len(statements))
        return counts

    def package_with_options() -> None:
        options = f"{evening.packages}/{evening.package()['id']}/custom-options"
        for number in range(4):
            body = {"label": f"Question {number}?", "option_type": "text_input"}
            assert client.post(options, json=body, headers=evening.headers).status_code == 201

    try:
        package_with_options()
        for_one = count(1)
        for _ in range(49):
            package_with_options()
        assert count(50) == for_one
        assert max(for_one) <= 3
    finally:
        engine.dispose()
