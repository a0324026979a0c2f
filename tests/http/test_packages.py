"""Ticket packages as coordinators manage them (R-PKG-1 to R-PKG-5)."""

from typing import Any

import httpx
import pytest

from tests.factories import (
    Evening,
    assert_problem,
    at_once,
    bearer,
    event_state,
    in_days,
    new_email,
    open_evening,
    package_fields,
    pointers,
    put_member,
    query,
    send_order,
)


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer)


def names(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [package["name"] for package in answer.json()["items"]]


def test_a_new_package_is_enabled_unsold_and_shown_last(evening, host, client):
    evening.package(name="First")
    fields = package_fields(
        name="Table of ten",
        description="Ten seats.\nWine.",
        price_cents=123_456,
        seats_per_package=10,
        quantity_limit=12,
        is_sponsorship=True,
        min_per_order=2,
        max_per_order=4,
        sale_starts_at="2026-01-01T00:00:00Z",
        sale_ends_at="2027-01-01T00:00:00Z",
        is_transferable=False,
        options_per="ticket",
        fair_market_value_cents=50_000,
        tax_percent=7.5,
        fee_percent=None,
        fee_cents=250,
    )
    answer = client.post(evening.packages, json=fields, headers=evening.headers)
    package = answer.json()
    assert answer.status_code == 201
    assert package == fields | {
        "id": package["id"],
        "event_id": evening.id,
        "currency": "USD",
        "sold_count": 0,
        "held_count": 0,
        "remaining": 12,
        "display_order": 1,
        "image_url": None,
        "thumbnail_url": None,
        "is_enabled": True,
        "is_sold_out": False,
        "custom_options": [],
        "created_by": package["created_by"],
        "created_at": package["created_at"],
        "updated_at": package["created_at"],
        "version": 1,
    }
    assert client.get(f"{host.url}{answer.headers['Location']}", headers=evening.headers).json() == package


def test_a_package_needs_no_more_than_name_description_and_price(evening):
    package = evening.package()
    assert (package["seats_per_package"], package["quantity_limit"], package["remaining"]) == (1, None, None)
    assert (package["min_per_order"], package["max_per_order"]) == (1, None)
    assert (package["is_transferable"], package["is_sponsorship"], package["is_sold_out"]) == (True, False, False)


def test_the_bounds_of_every_field_are_inside(evening):
    least = evening.package(name="x", description="x", price_cents=0, seats_per_package=1, quantity_limit=1)
    most = evening.package(
        name="x" * 100,
        description="x" * 1000,
        price_cents=100_000_000,
        seats_per_package=100,
        quantity_limit=10_000,
        min_per_order=100,
        max_per_order=100,
        fair_market_value_cents=100_000_000,
    )
    assert (least["price_cents"], most["price_cents"]) == (0, 100_000_000)


def test_eight_who_create_at_once_get_eight_places(evening, client):
    headers = evening.headers

    def create(number: int) -> httpx.Response:
        return client.post(evening.packages, json=package_fields(name=f"Package {number}"), headers=headers)

    answers = at_once(8, create)
    assert [answer.status_code for answer in answers] == [201] * 8
    assert sorted(answer.json()["display_order"] for answer in answers) == list(range(8))


def test_packages_are_listed_in_display_order_page_by_page(evening, client):
    for number in range(7):
        evening.package(name=f"Package {number}")
    seen: list[str] = []
    for page in (1, 2, 3, 4):
        listed = client.get(f"{evening.packages}?page={page}&page_size=3", headers=evening.headers)
        body = listed.json()
        assert (body["page"], body["page_size"], body["total"]) == (page, 3, 7)
        seen += names(listed)
    assert seen == [f"Package {number}" for number in range(7)]


def test_an_event_holds_fifty_packages_and_lists_them_whole(evening, client):
    for number in range(51):
        evening.package(name=f"Package {number}")
    first = client.get(evening.packages, headers=evening.headers)
    assert names(first) == [f"Package {number}" for number in range(20)]
    assert first.json()["page_size"] == 20
    whole = client.get(f"{evening.packages}?page_size=100", headers=evening.headers)
    assert names(whole) == [f"Package {number}" for number in range(51)]


def test_lists_can_leave_out_what_is_disabled_or_no_sponsorship(evening, client):
    evening.package(name="Seat")
    evening.package(name="Gold", is_sponsorship=True)
    off = evening.package(name="Silver", is_sponsorship=True)
    client.post(f"{evening.packages}/{off['id']}/disable", headers=evening.headers)

    def listed(**parameters: str) -> list[str]:
        return names(client.get(evening.packages, params=parameters, headers=evening.headers))

    assert listed() == ["Seat", "Gold", "Silver"]
    assert listed(sponsorships_only="true") == ["Gold", "Silver"]
    assert listed(include_disabled="false") == ["Seat", "Gold"]
    assert listed(sponsorships_only="true", include_disabled="false") == ["Gold"]


def test_a_change_of_some_fields_leaves_the_others(evening):
    before = evening.package(quantity_limit=10, max_per_order=3, sale_ends_at="2027-01-01T00:00:00Z")
    answer = evening.patch_package(
        before["id"], {"name": "Renamed", "quantity_limit": None, "max_per_order": None, "sale_ends_at": None}
    )
    after = answer.json()
    assert answer.status_code == 200
    assert after.pop("warnings") == []
    assert after == before | {
        "name": "Renamed",
        "quantity_limit": None,
        "remaining": None,
        "max_per_order": None,
        "sale_ends_at": None,
        "updated_at": after["updated_at"],
        "version": 2,
    }
    assert after["updated_at"] > before["updated_at"]
    assert evening.read_package(before["id"]) == after


def test_a_change_that_changes_nothing_makes_no_new_version(evening, database_url):
    package = evening.package(quantity_limit=3)
    before = event_state(database_url, evening.id)
    for change in ({}, {"name": package["name"]}, {"quantity_limit": 3}):
        assert evening.patch_package(package["id"], change).status_code == 200
    assert event_state(database_url, evening.id) == before


def test_a_change_after_sales_succeeds_and_warns(evening):
    package = evening.package(price_cents=5_000)
    evening.order((package["id"], 1))
    answer = evening.patch_package(package["id"], {"price_cents": 6_000})
    assert (answer.status_code, answer.json()["price_cents"]) == (200, 6_000)
    assert [warning["code"] for warning in answer.json()["warnings"]] == ["package_has_sales"]
    assert evening.order((package["id"], 1))["total_cents"] == 6_000


def test_a_locked_price_stays_once_something_is_sold(client, issuer, database_url):
    evening = open_evening(client, issuer, lock_price_after_sales=True)
    package = evening.package(price_cents=5_000)
    assert evening.patch_package(package["id"], {"price_cents": 5_500}).status_code == 200
    evening.order((package["id"], 1))
    before = event_state(database_url, evening.id)
    refused = evening.patch_package(package["id"], {"name": "Dearer", "price_cents": 6_000})
    assert_problem(refused, 409, "price_locked")
    assert event_state(database_url, evening.id) == before
    renamed = evening.patch_package(package["id"], {"name": "Renamed", "price_cents": 5_500})
    assert (renamed.status_code, renamed.json()["name"]) == (200, "Renamed")


def test_the_limit_never_goes_below_what_is_sold(evening, database_url):
    package = evening.package(quantity_limit=10)
    evening.order((package["id"], 4))
    before = event_state(database_url, evening.id)
    problem = assert_problem(evening.patch_package(package["id"], {"quantity_limit": 3}), 409, "limit_below_sales")
    assert (problem["sold_count"], problem["held_count"]) == (4, 0)
    assert event_state(database_url, evening.id) == before
    exact = evening.patch_package(package["id"], {"quantity_limit": 4}).json()
    assert (exact["remaining"], exact["is_sold_out"]) == (0, True)
    more = evening.patch_package(package["id"], {"quantity_limit": 5}).json()
    assert (more["remaining"], more["is_sold_out"]) == (1, False)


def test_a_limit_that_sinks_while_tickets_are_sold_is_never_broken(evening, client, database_url):
    package = evening.package(quantity_limit=40)
    headers = evening.headers

    def act(number: int) -> int:
        if number == 0:
            path = f"{evening.packages}/{package['id']}"
            return client.patch(path, json={"quantity_limit": 5}, headers=headers).status_code
        return send_order(client, evening.id, [(package["id"], 2)]).status_code

    lowered, *sold = at_once(8, act)
    (limit, count), *_ = query(database_url, "SELECT quantity_limit, sold FROM stock WHERE id = %s", package["id"])
    assert limit == (5 if lowered == 200 else 40)
    assert lowered in {200, 409}
    assert count == 2 * sold.count(201)
    assert count <= limit


# --- versions -------------------------------------------------------------------------------------------------------


def read(evening: Evening, package: dict[str, Any], **headers: str) -> httpx.Response:
    return evening.client.get(f"{evening.packages}/{package['id']}", headers=evening.headers | headers)


def test_a_stale_version_is_refused_with_the_current_one(evening, database_url):
    package = evening.package()
    etag = read(evening, package).headers["ETag"]
    assert evening.patch_package(package["id"], {"name": "Mine"}, **{"If-Match": etag}).status_code == 200
    before = event_state(database_url, evening.id)
    for late in (
        evening.patch_package(package["id"], {"name": "Late"}, **{"If-Match": etag}),
        evening.client.delete(
            f"{evening.packages}/{package['id']}?confirm=true", headers=evening.headers | {"If-Match": etag}
        ),
        evening.client.post(
            f"{evening.packages}/{package['id']}/disable", headers=evening.headers | {"If-Match": etag}
        ),
    ):
        assert assert_problem(late, 412, "stale_version")["current_version"] == 2
    assert event_state(database_url, evening.id) == before


@pytest.mark.parametrize("tag", ['"v2"', '"v999"', '"nonsense"', "v1", '""', "1", 'W/"v2-0123456789abcdef"'])
def test_a_tag_of_another_version_or_of_none_is_refused(tag, evening, database_url):
    package = evening.package()
    before = event_state(database_url, evening.id)
    refused = evening.patch_package(package["id"], {"name": "X"}, **{"If-Match": tag})
    assert assert_problem(refused, 412, "stale_version")["current_version"] == 1
    assert event_state(database_url, evening.id) == before


def test_any_version_will_do_for_a_star(evening):
    package = evening.package()
    assert evening.patch_package(package["id"], {"name": "A"}).status_code == 200
    assert evening.patch_package(package["id"], {"name": "B"}, **{"If-Match": "*"}).json()["name"] == "B"


def test_the_etag_of_an_answer_is_the_key_to_the_next_edit(evening):
    package = evening.package()
    first = evening.patch_package(package["id"], {"name": "A"})
    second = evening.patch_package(package["id"], {"name": "B"}, **{"If-Match": first.headers["ETag"]})
    assert (second.status_code, second.json()["version"]) == (200, 3)


def test_a_sale_changes_what_is_read_but_spoils_no_edit(evening):
    package = evening.package(quantity_limit=5)
    etag = read(evening, package).headers["ETag"]
    assert read(evening, package, **{"If-None-Match": etag}).status_code == 304
    evening.order((package["id"], 1))
    after = read(evening, package, **{"If-None-Match": etag})
    assert (after.status_code, after.json()["sold_count"], after.json()["version"]) == (200, 1, 1)
    edited = evening.patch_package(package["id"], {"name": "Renamed"}, **{"If-Match": etag})
    assert edited.status_code == 200


def test_a_list_that_is_still_current_costs_nothing(evening, client):
    package = evening.package()
    etag = client.get(evening.packages, headers=evening.headers).headers["ETag"]
    headers = evening.headers | {"If-None-Match": f'"other", W/{etag}'}
    assert client.get(evening.packages, headers=headers).status_code == 304
    evening.order((package["id"], 1))
    assert client.get(evening.packages, headers=headers).status_code == 200


def test_different_fields_changed_by_eight_at_once_all_survive(evening):
    package = evening.package()
    changes: list[dict[str, Any]] = [
        {"name": "New name"},
        {"description": "New description"},
        {"price_cents": 7_777},
        {"seats_per_package": 3},
        {"quantity_limit": 99},
        {"max_per_order": 9},
        {"is_transferable": False},
        {"fair_market_value_cents": 1_234},
    ]
    headers, path = evening.headers, f"{evening.packages}/{package['id']}"

    def change(number: int) -> int:
        return evening.client.patch(path, json=changes[number], headers=headers).status_code

    assert at_once(8, change) == [200] * 8
    after = evening.read_package(package["id"])
    for fields in changes:
        assert after | fields == after
    assert after["version"] == 1 + 8


def test_of_eight_who_edit_the_same_version_one_wins(evening):
    package = evening.package()
    headers = evening.headers | {"If-Match": read(evening, package).headers["ETag"]}
    path = f"{evening.packages}/{package['id']}"

    def change(number: int) -> int:
        return evening.client.patch(path, json={"name": f"Name {number}"}, headers=headers).status_code

    statuses = at_once(8, change)
    assert sorted(statuses) == [200] + [412] * 7
    after = evening.read_package(package["id"])
    assert (after["name"], after["version"]) == (f"Name {statuses.index(200)}", 2)


# --- enabling and deleting ------------------------------------------------------------------------------------------


def test_a_disabled_package_is_not_sold_and_stays_in_the_coordinators_view(evening, client, database_url):
    package = evening.package()
    disabled = client.post(f"{evening.packages}/{package['id']}/disable", headers=evening.headers)
    assert (disabled.status_code, disabled.json()["is_enabled"], disabled.json()["version"]) == (200, False, 2)
    assert client.get(f"/public/events/{evening.id}/ticket-packages").json()["items"] == []
    assert names(client.get(evening.packages, headers=evening.headers)) == ["Single seat"]
    before = event_state(database_url, evening.id)
    problem = assert_problem(send_order(client, evening.id, [(package["id"], 1)]), 409, "package_not_on_sale")
    assert problem["package_id"] == package["id"]
    again = client.post(f"{evening.packages}/{package['id']}/disable", headers=evening.headers)
    assert again.json() == disabled.json()
    assert event_state(database_url, evening.id) == before
    enabled = client.post(f"{evening.packages}/{package['id']}/enable", headers=evening.headers)
    assert (enabled.json()["is_enabled"], enabled.json()["version"]) == (True, 3)
    assert evening.order((package["id"], 1))["status"] == "paid"


def test_an_unsold_package_is_deleted_once_it_is_confirmed(evening, client, database_url):
    keep, package = evening.package(name="Keep"), evening.package(name="Gone")
    path = f"{evening.packages}/{package['id']}"
    before = event_state(database_url, evening.id)
    unconfirmed = client.delete(path, headers=evening.headers)
    assert pointers(assert_problem(unconfirmed, 422, "confirmation_required")) == ["/query/confirm"]
    assert event_state(database_url, evening.id) == before
    deleted = client.delete(f"{path}?confirm=true", headers=evening.headers)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert_problem(client.get(path, headers=evening.headers), 404, "package_not_found")
    assert_problem(client.delete(f"{path}?confirm=true", headers=evening.headers), 404, "package_not_found")
    assert names(client.get(evening.packages, headers=evening.headers)) == ["Keep"]
    assert query(database_url, "SELECT 1 FROM stock WHERE id = %s", package["id"]) == []
    assert evening.package(name="Next")["display_order"] > keep["display_order"]


def test_a_package_with_sales_is_not_deleted(evening, client, database_url):
    package = evening.package()
    evening.order((package["id"], 1))
    before = event_state(database_url, evening.id)
    refused = client.delete(f"{evening.packages}/{package['id']}?confirm=true", headers=evening.headers)
    problem = assert_problem(refused, 409, "package_has_sales")
    assert problem["detail"].startswith("Cannot delete packages with sales")
    assert "disable" in problem["detail"].lower()
    assert event_state(database_url, evening.id) == before


def test_a_package_bought_and_deleted_at_once_is_one_or_the_other(evening, client, database_url):
    for _ in range(4):
        package, headers = evening.package(), evening.headers

        def act(number: int, package: Any = package, headers: Any = headers) -> int:
            if number == 0:
                path = f"{evening.packages}/{package['id']}?confirm=true"
                return client.delete(path, headers=headers).status_code
            return send_order(client, evening.id, [(package["id"], 1)]).status_code

        deleted, bought = at_once(2, act)
        stock = query(database_url, "SELECT sold FROM stock WHERE id = %s", package["id"])
        outcomes = {(204, 422): [], (409, 201): [(1,)]}
        assert (deleted, bought) in outcomes
        assert stock == outcomes[deleted, bought]


def test_who_created_a_package_is_kept(client, issuer, evening, database_url):
    second = new_email("second")
    put_member(client, evening.token, evening.id, second, "coordinator")
    made = client.post(evening.packages, json=package_fields(), headers=bearer(issuer.token(second))).json()
    changed = evening.patch_package(made["id"], {"name": "By the first"}).json()
    (user_id,) = query(database_url, "SELECT id FROM users WHERE email = %s", second)[0]
    assert made["created_by"] == changed["created_by"] == str(user_id)


def test_a_sale_window_may_be_moved(evening, client):
    package = evening.package(sale_starts_at=in_days(1))
    assert_problem(send_order(client, evening.id, [(package["id"], 1)]), 409, "package_not_on_sale")
    assert evening.patch_package(package["id"], {"sale_starts_at": in_days(-1)}).status_code == 200
    assert evening.order((package["id"], 1))["status"] == "paid"
