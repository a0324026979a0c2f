from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest

from shared.kit.actor import GUEST
from shared.kit.fields import Input, Output
from shared.kit.http.blueprint import Blueprint
from shared.kit.http.call import Call, Content, Redirect, Rendered
from shared.kit.http.links import links_of
from shared.kit.http.openapi import document
from shared.kit.pages import Page


class Permission(StrEnum):
    PUBLIC = "public"
    STALLS_WRITE = "stalls:write"


class StallIn(Input):
    pass


class StallOut(Output):
    id: UUID
    fair_id: UUID
    key: str


class SignOut(Output):
    sign_id: UUID


class BillOut(Output):
    id: UUID


class FairOut(Output):
    id: UUID
    slug: str


class Checked(Output):
    faults: list[BillOut]
    seen: list[str]


def let_in(session, identity, permission, event_id):
    return GUEST


fair = Blueprint("Fair", gate=let_in, public=Permission.PUBLIC)
MAY = Permission.STALLS_WRITE
KEY = {"X-Stall-Key": "The stall's `key`."}
STALLS = "v1/fairs/{fair_id}/stalls"


@fair.post(STALLS, permission=MAY, status=201, location="/api/v1/stalls/{id}", header_fields={"X-Stall-Key": "key"})
def rent_stall(call: Call, fair_id: UUID, body: StallIn) -> StallOut:
    raise NotImplementedError


@fair.get(STALLS, permission=MAY)
def list_stalls(call: Call, fair_id: UUID) -> Page[StallOut]:
    raise NotImplementedError


@fair.get(f"{STALLS}/{{stall_id}}", permission=MAY)
def get_stall(call: Call, fair_id: UUID, stall_id: UUID) -> StallOut:
    raise NotImplementedError


@fair.post(f"{STALLS}/{{stall_id}}/bills", permission=MAY, status=201)
def bill_stall(call: Call, fair_id: UUID, stall_id: UUID) -> BillOut:
    raise NotImplementedError


@fair.post(f"{STALLS}/{{stall_id}}/close", permission=MAY)
def close_stall(call: Call, fair_id: UUID, stall_id: UUID) -> StallOut:
    raise NotImplementedError


@fair.get("v1/stalls/{stall_id}", permission=Permission.PUBLIC, headers=KEY)
def show_stall(call: Call, stall_id: UUID) -> StallOut:
    raise NotImplementedError


@fair.post("v1/stalls/{stall_id}/visits", permission=Permission.PUBLIC, status=201, headers=KEY)
def visit_stall(call: Call, stall_id: UUID) -> BillOut:
    raise NotImplementedError


@fair.post(
    f"{STALLS}/{{stall_id}}/sign", permission=MAY, status=202, location=f"/api/{STALLS}/{{stall_id}}/{{sign_id}}"
)
def paint_sign(call: Call, fair_id: UUID, stall_id: UUID) -> SignOut:
    raise NotImplementedError


@fair.get(f"{STALLS}/{{stall_id}}/{{sign_id}}/photo", permission=MAY)
def photograph_sign(call: Call, fair_id: UUID, stall_id: UUID, sign_id: UUID) -> Redirect:
    raise NotImplementedError


@fair.get("v1/fairs", permission=Permission.PUBLIC)
def list_fairs(call: Call) -> Rendered[Page[FairOut]]:
    raise NotImplementedError


@fair.get("v1/fairs/{slug}", permission=Permission.PUBLIC)
def show_fair(call: Call, slug: str) -> FairOut:
    raise NotImplementedError


@fair.post("v1/fairs/{fair_id}/finds", permission=MAY, status=201, location="/api/v1/stalls/{id}")
def find_stall(call: Call, fair_id: UUID) -> BillOut:
    raise NotImplementedError


@fair.post(f"{STALLS}/{{stall_id}}/bell", permission=MAY, status=202)
def ring_bell(call: Call, fair_id: UUID, stall_id: UUID) -> Content:
    raise NotImplementedError


@fair.get("v1/faults", permission=MAY)
def check_fairs(call: Call) -> Checked:
    raise NotImplementedError


@fair.post("v1/faults/{fault_id}/mend", permission=MAY)
def mend_fault(call: Call, fault_id: str) -> None:
    raise NotImplementedError


def links(name: str) -> dict[str, dict[str, Any]]:
    (route,) = (route for route in fair.routes if route.name == name)
    return {target: link["parameters"] for target, link in links_of(route, fair.routes).items()}


def test_a_thing_made_leads_to_whatever_takes_its_id_in_every_branch_of_the_api():
    inside = {"fair_id": "$request.path.fair_id", "stall_id": "$response.body#/id"}
    outside = {"stall_id": "$response.body#/id", "X-Stall-Key": "$response.body#/key"}
    assert links("rent_stall") == {
        "get_stall": inside,
        "bill_stall": inside,
        "close_stall": inside,
        "show_stall": outside,
        "visit_stall": outside,
        "paint_sign": inside,
        "ring_bell": inside,
    }


def test_nothing_leads_to_a_header_that_nobody_has():
    assert links("find_stall").keys() == {"get_stall", "bill_stall", "close_stall", "paint_sign", "ring_bell"}


def test_what_has_no_address_of_its_own_leads_back_to_the_thing_it_was_made_for():
    stall = {"fair_id": "$request.path.fair_id", "stall_id": "$request.path.stall_id"}
    assert links("bill_stall") == {"get_stall": stall, "close_stall": stall, "paint_sign": stall, "ring_bell": stall}


def test_a_header_that_was_given_is_handed_on():
    passed = {"stall_id": "$request.path.stall_id", "X-Stall-Key": "$request.header.X-Stall-Key"}
    assert links("visit_stall") == {"show_stall": passed}


def test_a_location_may_name_another_field_than_id():
    stall = {"fair_id": "$request.path.fair_id", "stall_id": "$request.path.stall_id"}
    assert links("paint_sign") == {"photograph_sign": stall | {"sign_id": "$response.body#/sign_id"}}


def test_a_list_leads_to_the_nearest_of_its_first_item():
    first = {"fair_id": "$request.path.fair_id", "stall_id": "$response.body#/items/0/id"}
    assert links("list_stalls") == {"get_stall": first}
    assert links("list_fairs") == {"show_fair": {"slug": "$response.body#/items/0/slug"}}
    assert links("check_fairs") == {"mend_fault": {"fault_id": "$response.body#/faults/0/id"}}


@pytest.mark.parametrize(
    "name", ["get_stall", "close_stall", "show_fair", "photograph_sign", "mend_fault", "ring_bell"]
)
def test_an_answer_that_tells_no_new_id_leads_nowhere(name):
    assert links(name) == {}


def test_the_document_has_the_links_with_the_successful_answer_alone():
    doc = document(fair.routes, title="", version="", server_url="", description="")
    answers = doc["paths"]["/api/v1/stalls/{stall_id}/visits"]["post"]["responses"]
    assert answers["201"]["links"]["show_stall"]["operationId"] == "show_stall"
    assert [status for status, answer in answers.items() if "links" in answer] == ["201"]
    assert "links" not in doc["paths"]["/api/v1/fairs/{slug}"]["get"]["responses"]["200"]
