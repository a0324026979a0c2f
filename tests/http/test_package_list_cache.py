"""The public list of packages is cached; a change shows at once, or within two seconds if its drop was lost."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from tests.factories import Evening, open_evening, query


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer)


def listed(evening, **parameters):
    answer = evening.client.get(f"/public/events/{evening.id}/ticket-packages", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def change(evening: Evening, method: str, path: str, status: int = 200, **body: Any) -> Any:
    answer = evening.client.request(method, path, headers=evening.headers, json=body or None)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def test_a_list_that_was_just_read_is_not_asked_of_the_database_again(evening, database_url, redis_url):
    package = evening.package()
    assert [shown["name"] for shown in listed(evening)] == ["Single seat"]
    with redis.Redis.from_url(redis_url) as cache:  # for longer than this test takes, even on a slow machine
        assert cache.pexpire(f"packages:{evening.id}:20:all", 600_000)
    # Directly in the database, so that no entry is dropped.
    renamed = "UPDATE ticket_packages SET name = 'Renamed' WHERE id = %s RETURNING name"
    assert query(database_url, renamed, package["id"]) == [("Renamed",)]
    assert [shown["name"] for shown in listed(evening)] == ["Single seat"]
    assert [shown["name"] for shown in listed(evening, page_size=19)] == ["Renamed"], "other pages are not cached"


def test_a_lost_drop_shows_for_two_seconds_at_most(evening, database_url, redis_url, poll):
    package = evening.package()
    key = f"packages:{evening.id}:20:all"

    def time_to_live() -> int:
        """Return the remaining ms of the list's cache entry; a slow machine may have to read the list again first."""
        listed(evening)
        with redis.Redis.from_url(redis_url) as cache:
            return max(0, cache.pttl(key))

    assert poll(time_to_live) <= 2_000
    query(database_url, "UPDATE ticket_packages SET name = 'Renamed' WHERE id = %s RETURNING 1", package["id"])
    poll(lambda: listed(evening)[0]["name"] == "Renamed")


CHANGES: dict[str, Callable[[Evening, dict[str, Any]], object]] = {
    "a sale": lambda e, p: e.order((p["id"], 1)),
    "an edit": lambda e, p: change(e, "PATCH", f"{e.packages}/{p['id']}", name="Balcony"),
    "a limit": lambda e, p: change(e, "PATCH", f"{e.packages}/{p['id']}", quantity_limit=3),
    "a disabled package": lambda e, p: change(e, "POST", f"{e.packages}/{p['id']}/disable"),
    "a new package": lambda e, p: e.package(name="Box", is_sponsorship=True),
    "a deleted package": lambda e, p: change(e, "DELETE", f"{e.packages}/{p['id']}?confirm=true", 204),
    "an option": lambda e, p: change(
        e, "POST", f"{e.packages}/{p['id']}/custom-options", 201, label="Name?", option_type="text_input"
    ),
    "a new order": lambda e, p: change(
        e,
        "PUT",
        f"{e.packages}/reorder",
        package_ids=[shown["id"] for shown in reversed(listed(e))],
    ),
    "another currency": lambda e, p: change(e, "PATCH", e.path, currency="SEK"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_changes_shows_at_once_in_every_cached_list(what, evening):
    package = evening.package(quantity_limit=9, is_sponsorship=True)
    evening.package(name="Other", is_sponsorship=True)
    queries: list[dict[str, Any]] = [{}, {"page_size": 50}, {"page_size": 100}, {"sponsorships_only": "true"}]
    before = [listed(evening, **parameters) for parameters in queries]
    CHANGES[what](evening, package)
    for parameters, old in zip(queries, before, strict=True):
        fresh = listed(evening, **parameters)
        assert fresh != old, parameters
        assert fresh == listed(evening, **parameters, page=1), "and is cached as it is"


def test_a_cancelled_order_frees_its_tickets_in_the_list_at_once(evening):
    package = evening.package(quantity_limit=1)
    order = evening.order((package["id"], 1), payment_method="card")
    assert listed(evening)[0]["is_sold_out"] is True
    headers = {"X-Order-Token": order["access_token"]}
    assert evening.client.post(f"/public/orders/{order['id']}/cancel", headers=headers).status_code == 200
    assert listed(evening)[0]["remaining"] == 1


def test_a_cancelled_event_has_no_list_any_more(evening):
    evening.package()
    listed(evening)
    change(evening, "POST", f"{evening.path}/cancel")
    assert evening.client.get(f"/public/events/{evening.id}/ticket-packages").status_code == 404
