"""Reordering packages (R-PKG-7), and whether a package can be bought (R-PKG-6)."""

from tests.factories import UNKNOWN_ID, assert_problem, at_once, event_state, in_days, open_evening


def shown(evening):
    listed = evening.client.get(evening.packages, headers=evening.headers, params={"page_size": 100}).json()["items"]
    return [package["id"] for package in listed]


def reorder(evening, ids):
    return evening.client.put(f"{evening.packages}/reorder", json={"package_ids": ids}, headers=evening.headers)


def test_packages_are_shown_in_the_order_that_was_asked_for(client, issuer):
    evening = open_evening(client, issuer)
    ids = [evening.package()["id"] for _ in range(5)]
    wanted = [ids[4], ids[0], ids[3], ids[1], ids[2]]
    answer = reorder(evening, wanted)
    assert answer.status_code == 200
    assert [package["id"] for package in answer.json()["items"]] == wanted
    assert [package["display_order"] for package in answer.json()["items"]] == [0, 1, 2, 3, 4]
    assert shown(evening) == wanted


def test_a_list_that_is_not_exactly_the_events_packages_changes_nothing(client, issuer, database_url):
    evening, other = open_evening(client, issuer), open_evening(client, issuer)
    ids, foreign = [evening.package()["id"] for _ in range(3)], other.package()["id"]
    before = event_state(database_url, evening.id)
    for wrong in (ids[:2], [*ids, foreign], [*ids, UNKNOWN_ID], [*ids, ids[0]], [ids[0], ids[0], ids[1]]):
        assert_problem(reorder(evening, wrong), 400, "reorder_mismatch")
    assert event_state(database_url, evening.id) == before


def test_a_package_made_while_others_are_reordered_comes_last(client, issuer):
    evening = open_evening(client, issuer)
    ids = [evening.package()["id"] for _ in range(4)]

    def act(number):
        return reorder(evening, ids[::-1]) if number == 0 else evening.package()

    answer, made = at_once(2, act)
    assert answer.status_code in {200, 400}, "400 where the new package was there first and is missing in the list"
    assert shown(evening)[-1] == made["id"]


def availability(evening, package_id, *, public=False):
    path = f"/public/events/{evening.id}/ticket-packages" if public else evening.packages
    answer = evening.client.get(f"{path}/{package_id}/availability", headers={} if public else evening.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_availability_says_what_is_left(client, issuer):
    evening = open_evening(client, issuer)
    package = evening.package(quantity_limit=8)
    evening.order((package["id"], 3))
    assert availability(evening, package["id"]) == {
        "available": True,
        "sold_count": 3,
        "held_count": 0,
        "quantity_limit": 8,
        "remaining": 5,
        "is_on_sale": True,
        "is_sold_out": False,
        "can_purchase": True,
        "message": "5 left.",
        "percent_sold": 37.5,
    }
    assert availability(evening, package["id"], public=True) == availability(evening, package["id"])


def test_availability_says_why_nobody_can_buy(client, issuer):
    evening = open_evening(client, issuer)
    gone = evening.package(quantity_limit=1)
    evening.order((gone["id"], 1))
    early, late = evening.package(sale_starts_at=in_days(1)), evening.package(sale_ends_at=in_days(-1))
    disabled = evening.package()
    client.post(f"{evening.packages}/{disabled['id']}/disable", headers=evening.headers)
    found = {
        name: availability(evening, package["id"])
        for name, package in {"gone": gone, "early": early, "late": late, "disabled": disabled}.items()
    }
    assert {name: answer["can_purchase"] for name, answer in found.items()} == dict.fromkeys(found, False)
    assert found["gone"]["message"] == "Sold out."
    assert (found["gone"]["is_on_sale"], found["gone"]["is_sold_out"]) == (True, True)
    assert found["early"]["message"].startswith("The sale begins on ")
    assert found["late"]["message"] == "The sale has ended."
    assert found["disabled"]["message"] == "Not for sale."
    client.post(f"{evening.path}/cancel", headers=evening.headers)
    assert availability(evening, gone["id"])["message"] == "The event is cancelled."


def test_the_public_does_not_learn_of_packages_of_drafts(client, issuer):
    evening = open_evening(client, issuer, published=False)
    package = evening.package()
    path = f"/public/events/{evening.id}/ticket-packages/{package['id']}/availability"
    assert_problem(client.get(path), 404, "package_not_found")
