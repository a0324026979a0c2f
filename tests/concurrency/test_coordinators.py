"""Coordinators at work on one event at the same moment: no edit is lost, nothing fails, and no edits are mixed."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx
import pytest

from tests.concurrency.crowd import keep_buying, order, outcomes
from tests.concurrency.ledger import counts, deadlocks, disagreements
from tests.factories import (
    Evening,
    assert_problem,
    at_once,
    bearer,
    new_email,
    open_evening,
    package_fields,
    put_member,
    query,
)

QUESTION = {"label": "Name", "option_type": "text_input", "is_required": False}


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer)


@dataclass(frozen=True)
class Shelf:
    """Packages or options: the addresses that list and reorder them, and the field for a list of ids."""

    evening: Evening
    path: str
    field: str
    ids: list[str]

    def put(self, ids: list[str]) -> httpx.Response:
        return self.evening.client.put(f"{self.path}/reorder", json={self.field: ids}, headers=self.evening.headers)

    def shown(self) -> list[tuple[str, int]]:
        listed = self.evening.client.get(self.path, params=self.page, headers=self.evening.headers).json()["items"]
        return [(item["id"], item["display_order"]) for item in listed]

    @property
    def page(self) -> dict[str, int]:
        return {"page_size": 100} if self.field == "package_ids" else {}


def add_option(evening: Evening, package_id: str, **fields: Any) -> httpx.Response:
    path = f"{evening.packages}/{package_id}/custom-options"
    return evening.client.post(path, json=QUESTION | fields, headers=evening.headers)


def set_active(evening: Evening, package_id: str, option_id: str, *, active: bool) -> httpx.Response:
    path = f"{evening.packages}/{package_id}/custom-options/{option_id}"
    return evening.client.patch(path, json={"is_active": active}, headers=evening.headers)


def packages(evening: Evening) -> Shelf:
    return Shelf(evening, evening.packages, "package_ids", [evening.package()["id"] for _ in range(10)])


def options(evening: Evening) -> Shelf:
    """Ten options, six of them retired."""
    package_id, ids = evening.package()["id"], []
    for number in range(10):
        ids.append(add_option(evening, package_id).json()["id"])
        if number < 6:
            assert set_active(evening, package_id, ids[-1], active=False).status_code == 200
    return Shelf(evening, f"{evening.packages}/{package_id}/custom-options", "option_ids", ids)


def _put_nth(shelf: Shelf, orders: list[list[str]], number: int) -> httpx.Response:
    return shelf.put(orders[number])


@pytest.mark.parametrize("shelf_of", [packages, options])
def test_two_reorders_at_once_end_in_one_of_the_two_orders(evening, shelf_of: Callable[[Evening], Shelf]):
    shelf = shelf_of(evening)
    rng = random.Random(7)
    for _ in range(20):
        wanted = [rng.sample(shelf.ids, len(shelf.ids)) for _ in range(2)]
        answers = at_once(2, partial(_put_nth, shelf, wanted))
        assert [answer.status_code for answer in answers] == [200, 200]
        assert shelf.shown() in [[(id_, place) for place, id_ in enumerate(ids)] for ids in wanted]


def test_packages_made_and_deleted_while_others_reorder_never_share_a_place(evening, database_url):
    shelf = packages(evening)
    headers = evening.headers
    rng = random.Random(11)
    orders = [rng.sample(range(100), 100) for _ in range(12)]

    def act(number: int) -> list[int]:
        statuses = []
        for turn in range(3):
            if number < 4:
                made = evening.client.post(evening.packages, json=package_fields(), headers=headers)
                statuses.append(made.status_code)
                if turn == 1:
                    path = f"{evening.packages}/{made.json()['id']}?confirm=true"
                    statuses.append(evening.client.delete(path, headers=headers).status_code)
            else:
                present = [id_ for id_, _ in shelf.shown()]
                shuffled = sorted(present, key=lambda id_: orders[number][present.index(id_)])
                statuses.append(shelf.put(shuffled).status_code)
        return statuses

    got = at_once(8, act)
    assert got[:4] == [[201, 201, 204, 201]] * 4
    assert {status for statuses in got[4:] for status in statuses} <= {200, 400}
    places = query(database_url, "SELECT display_order FROM ticket_packages WHERE event_id = %s", evening.id)
    assert len(places) == len(set(places)) == 10 + 4 * 2
    final = [id_ for id_, _ in shelf.shown()][::-1]
    assert shelf.put(final).status_code == 200
    assert shelf.shown() == [(id_, place) for place, id_ in enumerate(final)]


def test_four_questions_are_asked_however_many_are_added_and_asked_again_at_once(evening):
    package_id = evening.package()["id"]
    retired = []
    for _ in range(4):
        retired.append(add_option(evening, package_id).json()["id"])
        set_active(evening, package_id, retired[-1], active=False)
    add_option(evening, package_id)

    def act(number: int) -> httpx.Response:
        if number < 4:
            return set_active(evening, package_id, retired[number], active=True)
        return add_option(evening, package_id)

    answers = at_once(8, act)
    assert Counter(answer.is_success for answer in answers) == {True: 3, False: 5}
    for answer in answers:
        if not answer.is_success:
            assert_problem(answer, 409, "too_many_options")
    path = f"{evening.packages}/{package_id}/custom-options"
    listed = evening.client.get(path, headers=evening.headers).json()["items"]
    assert sum(option["is_active"] for option in listed) == 4
    assert [option["display_order"] for option in listed] == list(range(len(listed)))


def test_of_two_coordinators_who_edit_one_version_one_learns_of_the_other_edit(evening, client, issuer):
    colleague = new_email("colleague")
    put_member(client, evening.token, evening.id, colleague, "coordinator")
    package = evening.package()
    path = f"{evening.packages}/{package['id']}"
    who = [evening.headers, bearer(issuer.token(colleague))]
    for number in range(20):
        etag = client.get(path, headers=who[0]).headers["ETag"]

        def edit(which: int, etag=etag, number=number) -> httpx.Response:
            change = [{"name": f"Name {number}"}, {"price_cents": number}][which]
            return client.patch(path, json=change, headers=who[which] | {"If-Match": etag})

        won, lost = sorted(at_once(2, edit), key=lambda answer: answer.status_code)
        assert (won.status_code, won.json()["version"]) == (200, package["version"] + number + 1)
        assert assert_problem(lost, 412, "stale_version")["current_version"] == won.json()["version"]
        now = client.get(path, headers=who[0])
        assert now.json() == {name: value for name, value in won.json().items() if name != "warnings"}


def test_of_two_coordinators_without_versions_both_keep_their_edits(evening, client, issuer):
    colleague = new_email("colleague")
    put_member(client, evening.token, evening.id, colleague, "coordinator")
    package = evening.package()
    path = f"{evening.packages}/{package['id']}"
    who = [evening.headers, bearer(issuer.token(colleague))]
    for number in range(20):
        changes: list[dict[str, Any]] = [
            {"name": f"Name {number}", "quantity_limit": 100 + number},
            {"price_cents": 100 + number, "description": f"Seat {number}"},
        ]

        def edit(which: int, changes=changes) -> int:
            return client.patch(path, json=changes[which], headers=who[which]).status_code

        assert at_once(2, edit) == [200, 200]
        now = client.get(path, headers=who[0]).json()
        assert now == now | changes[0] | changes[1]
        assert now["version"] == package["version"] + 2 * (number + 1)


def test_thirty_coordinators_at_work_while_tickets_sell_get_no_error(evening, host, database_url, poll):
    """Edits, switches, options, codes, reorders and event edits, while buyers take several packages in any order."""
    ids = [evening.package(name=f"Package {number}", quantity_limit=None)["id"] for number in range(10)]
    headers, client = evening.headers, evening.client
    rng = random.Random(30)
    shuffles = [rng.sample(ids, len(ids)) for _ in range(90)]
    picks = threading.local()

    def basket() -> dict[str, Any]:
        picks.rng = getattr(picks, "rng", None) or random.Random(threading.get_ident())
        return order(*[(package_id, 1) for package_id in picks.rng.sample(ids, 3)])

    def send(method: str, path: str, body: Any = None) -> httpx.Response:
        return client.request(method, path, json=body, headers=headers)

    def work(number: int) -> list[tuple[str, int]]:
        package = f"{evening.packages}/{ids[number % 10]}"
        done: list[tuple[str, httpx.Response]] = []
        for turn in range(3):
            kind = ("package", "reorder", "option", "code", "event")[number % 5] if turn else "package"
            if kind == "package":
                done.append((kind, send("PATCH", package, {"name": f"By {number} in {turn}", "price_cents": number})))
                done.append((kind, send("POST", f"{package}/{('disable', 'enable')[turn % 2]}")))
            elif kind == "reorder":
                body = {"package_ids": shuffles[number * 3 + turn]}
                done.append((kind, send("PUT", f"{evening.packages}/reorder", body)))
            elif kind == "option":
                made = send("POST", f"{package}/custom-options", QUESTION)
                done.append((kind, made))
                if made.is_success:
                    done.append((kind, send("DELETE", f"{package}/custom-options/{made.json()['id']}")))
            elif kind == "code":
                code = {"code": f"CODE{number}T{turn}", "discount_type": "percentage", "discount_value": 10}
                done.append((kind, send("POST", f"{evening.path}/promo-codes", code | {"package_ids": ids[:3]})))
            else:
                done.append((kind, send("PATCH", evening.path, {"title": f"Gala {number}", "capacity": 100 + turn})))
        return [(kind, answer.status_code) for kind, answer in done]

    deadlocks_before = deadlocks(client)
    with keep_buying(host.url, evening.id, basket, buyers=6) as purchases:
        answers = Counter(answer for worker in at_once(30, work) for answer in worker)
        poll(lambda: len(purchases) >= 50)

    assert {status for _, status in answers} <= {200, 201, 204, 409}
    assert {kind for kind, status in answers if status == 409} <= {"option"}, "with sales, or with four already"
    assert set(outcomes([purchase.answer for purchase in purchases])) <= {"201", "409 package_not_on_sale"}
    assert deadlocks(client) == deadlocks_before
    assert disagreements(database_url, evening.id) == []
    assert counts(database_url, evening.id)["orders"] == sum(p.answer.status == 201 for p in purchases)
    listed = client.get(evening.packages, params={"page_size": 100}, headers=headers).json()["items"]
    assert [package["id"] for package in listed] in shuffles
    assert [package["display_order"] for package in listed] == list(range(10))
