"""Who is admitted (R-ROLE-1 to R-ROLE-3): every route × every role, every kind of wrong token, the team."""

import base64
import json
import time
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from infra.local.services.issuer import Issuer, SigningKey
from infra.local.tokens import ADMIN, claims_for
from tests.architecture.application import registered_routes
from tests.factories import (
    UNKNOWN_ID,
    Evening,
    archive_trail,
    assert_problem,
    at_once,
    bearer,
    create_event,
    event_fields,
    event_state,
    new_email,
    new_key,
    open_evening,
    put_member,
    query,
)

ROLES = ("nobody", "customer", "another event's coordinator", "staff", "coordinator", "super admin")

#                  nobody  customer  other's  staff  coordinator  admin
ANYBODY = dict(zip(ROLES, ("ok", "ok", "ok", "ok", "ok", "ok"), strict=True))
SIGNED_IN = dict(zip(ROLES, ("401", "ok", "ok", "ok", "ok", "ok"), strict=True))
TEAM = dict(zip(ROLES, ("401", "404", "404", "ok", "ok", "ok"), strict=True))
COORDINATORS = dict(zip(ROLES, ("401", "404", "404", "403", "ok", "ok"), strict=True))
SUPER_ADMINS = dict(zip(ROLES, ("401", "403", "403", "403", "403", "ok"), strict=True))
ANY_COORDINATOR = dict(zip(ROLES, ("401", "403", "ok", "403", "ok", "ok"), strict=True))

MAY_CALL = {
    "list_public_events": ANYBODY,
    "get_public_event": ANYBODY,
    "list_public_packages": ANYBODY,
    "place_public_order": ANYBODY,
    "get_public_order": ANYBODY,
    "get_order_page": ANYBODY,
    "create_payment_intent": ANYBODY,
    "confirm_payment": ANYBODY,
    "cancel_public_order": ANYBODY,
    "take_stripe_message": ANYBODY,
    "create_box_office_order": TEAM,
    "list_orders": TEAM,
    "get_order": TEAM,
    "list_order_refunds": TEAM,
    "add_order_note": TEAM,
    "resend_confirmation": TEAM,
    "refund_order_payment": COORDINATORS,
    "cancel_order": COORDINATORS,
    "get_availability": ANYBODY,
    "validate_promo_code": ANYBODY,
    "get_package_availability": TEAM,
    "reorder_packages": COORDINATORS,
    "create_option": COORDINATORS,
    "list_options": TEAM,
    "update_option": COORDINATORS,
    "delete_option": COORDINATORS,
    "reorder_options": COORDINATORS,
    "create_promo_code": COORDINATORS,
    "list_promo_codes": COORDINATORS,
    "get_promo_code": COORDINATORS,
    "update_promo_code": COORDINATORS,
    "delete_promo_code": COORDINATORS,
    "get_promo_code_usage": COORDINATORS,
    "create_event": ANY_COORDINATOR,
    "list_events": SIGNED_IN,
    "get_event": TEAM,
    "update_event": COORDINATORS,
    "publish_event": COORDINATORS,
    "cancel_event": COORDINATORS,
    "list_members": COORDINATORS,
    "put_member": COORDINATORS,
    "remove_member": COORDINATORS,
    "create_package": COORDINATORS,
    "list_packages": TEAM,
    "get_package": TEAM,
    "update_package": COORDINATORS,
    "enable_package": COORDINATORS,
    "disable_package": COORDINATORS,
    "delete_package": COORDINATORS,
    "upload_image": COORDINATORS,
    "create_image_upload_link": COORDINATORS,
    "get_image_upload": TEAM,
    "remove_image": COORDINATORS,
    "get_dashboard": COORDINATORS,
    "get_sales_count": COORDINATORS,
    "get_sales_details": COORDINATORS,
    "get_sales_summary": COORDINATORS,
    "list_audit_trail": COORDINATORS,
    "verify_audit_trail": COORDINATORS,
    "list_audit_archives": COORDINATORS,
    "download_audit_archive": COORDINATORS,
    "list_package_audit_trail": COORDINATORS,
    "list_reports": COORDINATORS,
    "create_report": COORDINATORS,
    "download_report": COORDINATORS,
    "export_sales_csv": COORDINATORS,
    "create_report_schedule": COORDINATORS,
    "list_report_schedules": COORDINATORS,
    "get_report_schedule": COORDINATORS,
    "update_report_schedule": COORDINATORS,
    "delete_report_schedule": COORDINATORS,
    "health_live": ANYBODY,
    "health_ready": ANYBODY,
    "get_metrics": ANYBODY,
    "get_openapi": ANYBODY,
    "get_docs": ANYBODY,
    "get_reconciliation": COORDINATORS,
    "repair_finding": COORDINATORS,
    "list_ticket_keys": ANYBODY,
    "export_personal_data": SUPER_ADMINS,
    "erase_personal_data": SUPER_ADMINS,
    "export_event_personal_data": COORDINATORS,
    "erase_event_personal_data": COORDINATORS,
}

REFUSALS = {"401": (401, "unauthenticated"), "403": (403, "permission_missing"), "404": (404, "event_not_found")}


@dataclass(frozen=True)
class Scene:
    """An event with a team and a user in each role; `nobody` has no token."""

    evening: Evening
    emails: dict[str, str | None]

    def headers(self, role: str) -> dict[str, str]:
        email = self.emails[role]
        return bearer(self.evening.issuer.token(email)) if email else {}


def set_the_scene(client: httpx.Client, issuer: Issuer) -> Scene:
    evening = open_evening(client, issuer)
    staff = new_email("staff")
    put_member(client, evening.token, evening.id, staff, "staff")
    other = open_evening(client, issuer).coordinator
    everybody = (None, new_email("customer"), other, staff, evening.coordinator, ADMIN)
    scene = Scene(evening, dict(zip(ROLES, everybody, strict=True)))
    for role in ROLES:  # everybody has signed in once, so that memberships are bound already
        client.get(evening.path, headers=scene.headers(role))
    return scene


def things_in(evening: Evening, path: str, environment: dict[str, str]) -> dict[str, str]:
    """The things that the route's path names; those that must exist are made for this call."""
    things = {"event_id": evening.id, "slug": evening.event["slug"]}
    if "{package_id}" in path:
        things["package_id"] = evening.package()["id"]
    if "{option_id}" in path:
        option = {"label": "Meal", "option_type": "text_input"}
        options = f"{evening.packages}/{things['package_id']}/custom-options"
        things["option_id"] = evening.client.post(options, json=option, headers=evening.headers).json()["id"]
    if "{promo_code_id}" in path:
        promo = {"code": new_key()[:12], "discount_type": "percentage", "discount_value": 10}
        made = evening.client.post(f"{evening.path}/promo-codes", json=promo, headers=evening.headers)
        things["promo_code_id"] = made.json()["id"]
    if "{email}" in path:
        things["email"] = new_email("victim")
        put_member(evening.client, evening.issuer.token(ADMIN), evening.id, things["email"], "staff")
    if "{upload_id}" in path:
        image = {"image": ("stage.jpg", b"not an image", "image/jpeg")}
        uploads = f"{evening.packages}/{things['package_id']}/image"
        things["upload_id"] = evening.client.post(uploads, files=image, headers=evening.headers).json()["upload_id"]
    if "{report_id}" in path:
        made = evening.client.post(f"{evening.path}/reports", json={}, headers=evening.headers)
        things["report_id"] = made.json()["id"]
    if "{schedule_id}" in path:
        made = evening.client.post(
            f"{evening.path}/report-schedules", json={"frequency": "hourly"}, headers=evening.headers
        )
        things["schedule_id"] = made.json()["id"]
    if "{month}" in path:
        things["month"] = archive_trail(environment, evening.id)
    if path.endswith("/resend"):
        things["order_id"] = evening.order((evening.package()["id"], 1))["id"]
    elif "{order_id}" in path:  # an order with a begun payment: it can be paid and cancelled
        order = evening.order((evening.package()["id"], 1), payment_method="card")
        things["order_id"] = order["id"]
        things["token"] = order["access_token"]
        headers = {"X-Order-Token": things["token"], "Idempotency-Key": new_key()}
        begun = evening.client.post(f"/public/orders/{order['id']}/payment-intent", headers=headers)
        assert begun.status_code == 201, begun.text
    if "{finding_id}" in path:
        things["finding_id"] = f"paid_not_issued:{evening.order((evening.package()['id'], 1))['id']}"
    return things


@pytest.fixture(scope="session")
def routes(app_environment):
    return registered_routes(app_environment)


def test_the_table_speaks_of_every_route_and_of_no_other(routes):
    assert sorted(MAY_CALL) == sorted(routes)


@pytest.fixture(scope="module")
def shared_scene(client, issuer):
    return set_the_scene(client, issuer)


@pytest.mark.parametrize("name", sorted(MAY_CALL))
def test_each_role_may_call_what_is_its_own_and_nothing_else(
    name, routes, shared_scene, client, issuer, database_url, app_environment
):
    route = routes[name]
    scene = set_the_scene(client, issuer) if name == "cancel_event" else shared_scene
    things = things_in(scene.evening, route.path, app_environment)

    def call(role: str) -> httpx.Response:
        headers = {"Idempotency-Key": new_key(), "X-Order-Token": things.get("token", "")} | scene.headers(role)
        # An empty body is refused (415, 422) or changes nothing; this test checks only which roles get that far.
        body: dict[str, Any] = {} if route.body is None else {"json": {}}
        path = route.path.removeprefix("v1/").format(**things)
        return client.request(route.method, f"/{path}", headers=headers, **body)

    before = event_state(database_url, scene.evening.id)
    refused = {role: call(role) for role in ROLES if MAY_CALL[name][role] != "ok"}
    assert event_state(database_url, scene.evening.id) == before
    for role, answer in refused.items():
        assert_problem(answer, *REFUSALS[MAY_CALL[name][role]])
    for role in ROLES:
        if role not in refused:
            answer = call(role)
            # Stripe's messages are admitted by their signature.
            let_in = {400} if name == "take_stripe_message" else {200, 201, 202, 204, 302, 415, 422}
            assert answer.status_code in let_in, f"{role}: {answer.text}"
            if name in {
                "remove_member",
                "delete_option",
                "delete_promo_code",
                "cancel_order",
                "delete_report_schedule",
            }:
                things = things_in(scene.evening, route.path, app_environment)


FITTING_BODIES = {
    "create_option": {"label": "Mine now", "option_type": "text_input"},
    "update_option": {"label": "Mine now"},
    "reorder_options": {"option_ids": [UNKNOWN_ID]},
}


def test_another_events_package_is_not_found_under_my_event(routes, client, issuer, database_url):
    mine, theirs = open_evening(client, issuer), open_evening(client, issuer)
    package = theirs.package()
    before = event_state(database_url, theirs.id)
    crossing = [route for route in routes.values() if "{package_id}" in route.path]
    assert len(crossing) >= 8
    for route in crossing:
        path = route.path.removeprefix("v1/").format(
            event_id=mine.id, package_id=package["id"], upload_id=UNKNOWN_ID, option_id=UNKNOWN_ID
        )
        body: dict[str, Any] = {}
        if route.body is not None:
            body["json"] = FITTING_BODIES.get(route.name, {"name": "Mine now"})
        elif route.file is not None:
            body["files"] = {route.file: ("a.png", b"png", "image/png")}
        query = {"confirm": "true"} if route.method == "DELETE" and route.query else None
        answer = client.request(route.method, f"/{path}", headers=mine.headers, params=query, **body)
        assert (route.name, answer.status_code) == (route.name, 404)
        assert answer.json()["code"] in {"package_not_found", "upload_not_found"}
    assert event_state(database_url, theirs.id) == before


def test_an_event_that_does_not_exist_and_one_that_is_not_mine_look_the_same(client, issuer):
    theirs, mine = open_evening(client, issuer), open_evening(client, issuer)
    answers = [client.get(f"/admin/events/{event_id}", headers=mine.headers) for event_id in (theirs.id, UNKNOWN_ID)]
    problems = [assert_problem(answer, 404, "event_not_found") for answer in answers]
    assert [problem["detail"] for problem in problems] == [problems[0]["detail"]] * 2


def test_a_super_admin_sees_that_an_event_does_not_exist(client, issuer):
    answer = client.get(f"/admin/events/{UNKNOWN_ID}", headers=bearer(issuer.token(ADMIN)))
    assert_problem(answer, 404, "event_not_found")


# --- tokens ---------------------------------------------------------------------------------------------------------


def unsigned(claims: dict[str, Any], *, header: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def hs256_with_the_public_key(issuer: Issuer) -> str:
    """The classic attack: the public key, which everybody has, is used as the secret of a symmetric signature."""
    public = issuer.key.private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    import hashlib
    import hmac

    header = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": issuer.key.kid, "typ": "JWT"}).encode())
    claims = base64.urlsafe_b64encode(json.dumps(claims_for(ADMIN, issuer=issuer.url)).encode())
    signed = b".".join(part.rstrip(b"=") for part in (header, claims))
    signature = base64.urlsafe_b64encode(hmac.digest(public, signed, hashlib.sha256)).rstrip(b"=")
    return b".".join((signed, signature)).decode()


def admins_claims(issuer: Issuer, **changed: Any) -> dict[str, Any]:
    """The claims of a token that would be allowed everything; a claim changed to None is left out."""
    claims = claims_for(ADMIN, issuer=issuer.url) | changed
    return {name: value for name, value in claims.items() if value is not None}


def now() -> int:
    return int(time.time())


BAD_TOKENS = {
    "expired": lambda issuer: issuer.token(ADMIN, exp=now() - 300),
    "not valid yet": lambda issuer: issuer.token(ADMIN, nbf=now() + 300),
    "issued in the future": lambda issuer: issuer.token(ADMIN, iat=now() + 300),
    "for another audience": lambda issuer: issuer.token(ADMIN, aud="another-app"),
    "of another issuer": lambda issuer: issuer.token(ADMIN, iss="https://elsewhere.example"),
    "of an issuer with a slash more": lambda issuer: issuer.token(ADMIN, iss=f"{issuer.url}/"),
    "without a subject": lambda issuer: issuer.token(ADMIN, sub=None),
    "with an empty subject": lambda issuer: issuer.token(ADMIN, sub=""),
    "with a number as subject": lambda issuer: issuer.token(ADMIN, sub=7),
    "with a subject too long": lambda issuer: issuer.token(ADMIN, sub="x" * 256),
    "with a NUL in the subject": lambda issuer: issuer.token(ADMIN, sub="a\0b"),
    "without an expiry": lambda issuer: issuer.token(ADMIN, exp=None),
    "without an audience": lambda issuer: issuer.token(ADMIN, aud=None),
    "without an issuer": lambda issuer: issuer.token(ADMIN, iss=None),
    "alg none": lambda issuer: unsigned(admins_claims(issuer), header={"alg": "none", "kid": issuer.key.kid}),
    "alg NONE": lambda issuer: unsigned(admins_claims(issuer), header={"alg": "NONE", "kid": issuer.key.kid}),
    "alg a list": lambda issuer: unsigned(admins_claims(issuer), header={"alg": ["ES256"], "kid": issuer.key.kid}),
    "alg missing": lambda issuer: unsigned(admins_claims(issuer), header={"kid": issuer.key.kid}),
    "RS256 said, ES256 published": lambda issuer: unsigned(
        admins_claims(issuer), header={"alg": "RS256", "kid": issuer.key.kid}, signature=b"x" * 256
    ),
    "HS256 with the public key": hs256_with_the_public_key,
    "another key under the known id": lambda issuer: issuer.sign(admins_claims(issuer), key=SigningKey.generate()),
    "no key id": lambda issuer: unsigned(admins_claims(issuer), header={"alg": "ES256"}),
    "a number as key id": lambda issuer: unsigned(admins_claims(issuer), header={"alg": "ES256", "kid": 5}),
    "the signature left out": lambda issuer: issuer.token(ADMIN).rpartition(".")[0] + ".",
    "other claims under the signature": lambda issuer: ".".join(
        part if at != 1 else issuer.token(new_email()).split(".")[1]
        for at, part in enumerate(issuer.token(ADMIN).split("."))
    ),
    "garbage": lambda issuer: "garbage",
    "three dots of garbage": lambda issuer: "a.b.c",
    "not ASCII": lambda issuer: "tøken",
    "a header nested a thousand deep": lambda issuer: (
        base64.urlsafe_b64encode(b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}").decode().rstrip("=") + ".e30.e30"
    ),
}


@pytest.mark.parametrize("fault", BAD_TOKENS)
def test_a_bad_token_opens_nothing(fault, client, issuer, database_url):
    token = BAD_TOKENS[fault](issuer)
    before = query(database_url, "SELECT count(*) FROM events")
    headers = {"Authorization": f"Bearer {token}".encode()}
    problem = assert_problem(client.post("/admin/events", json=event_fields(), headers=headers), 401, "invalid_token")
    assert problem["detail"] != ""
    assert query(database_url, "SELECT count(*) FROM events") == before
    # A public route refuses a bad token too, instead of treating the caller as a guest.
    assert_problem(client.get("/public/events", headers=headers), 401, "invalid_token")


def test_a_refused_token_says_so_in_the_standard_header(client, issuer):
    answer = client.get("/admin/events", headers=bearer(issuer.token(ADMIN, exp=now() - 300)))
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="boxoffice", error="invalid_token"'
    assert client.get("/admin/events").headers["WWW-Authenticate"] == 'Bearer realm="boxoffice"'


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer", "token", "Digest Bearer"])
def test_another_scheme_than_bearer_is_refused(header, client):
    assert_problem(client.get("/admin/events", headers={"Authorization": header}), 401, "unauthenticated")


@pytest.mark.parametrize(
    "clock", [{"exp": -30}, {"nbf": 30}, {"iat": 30}], ids=["expired", "not valid yet", "issued later"]
)
def test_clocks_may_differ_by_half_a_minute(clock, client, issuer):
    token = issuer.token(ADMIN, **{claim: now() + seconds for claim, seconds in clock.items()})
    assert client.get("/admin/events", headers=bearer(token)).status_code == 200


def test_the_scheme_is_read_in_any_case(client, issuer):
    answer = client.get("/admin/events", headers={"Authorization": f"bEaReR   {issuer.token(ADMIN)}"})
    assert answer.status_code == 200


def test_a_token_for_several_audiences_is_accepted_when_ours_is_among_them(client, issuer):
    token = issuer.token(ADMIN, aud=["another-app", "boxoffice"])
    assert client.get("/admin/events", headers=bearer(token)).status_code == 200


def test_a_claim_of_super_admin_counts_only_when_it_has_the_value(client, issuer):
    claims: list[tuple[dict[str, Any], int]] = [
        ({}, 403),
        ({"roles": ["editor"]}, 403),
        ({"roles": "super_administrator"}, 403),
        ({"roles": {"super_admin": True}}, 403),
        ({"roles": "super_admin"}, 201),
        ({"roles": ["editor", "super_admin"]}, 201),
    ]
    for said, status in claims:
        token = issuer.token(new_email(), **said)
        assert client.post("/admin/events", json=event_fields(), headers=bearer(token)).status_code == status, said


def test_keys_rotate_without_a_restart(start_host, poll):
    """It has its own issuer and host, so the tokens of other tests stay valid."""
    issuer = Issuer()
    issuer.start()
    try:
        host = start_host(http_only=True, OIDC_ISSUER=issuer.url)
        with httpx.Client(base_url=f"{host.url}/api/v1", timeout=30.0, trust_env=False) as client:

            def status(token: str) -> int:
                return client.get("/admin/events", headers=bearer(token)).status_code

            before = issuer.token(ADMIN)
            assert status(before) == 200
            stranger = issuer.sign(admins_claims(issuer), key=SigningKey.generate(), headers={"kid": "nobody-knows"})
            assert status(stranger) == 401
            issuer.rotate()
            after = issuer.token(ADMIN)
            poll(lambda: status(after) == 200)
            assert status(before) == 401
            assert status(after) == 200
    finally:
        issuer.stop()


# --- the team -------------------------------------------------------------------------------------------------------


def test_a_member_is_known_by_address_before_the_first_sign_in_and_by_name_after(client, issuer):
    evening, email = open_evening(client, issuer), new_email("stan")
    put_member(client, evening.token, evening.id, email, "staff")

    def team() -> dict[str, Any]:
        items = client.get(f"{evening.path}/members", headers=evening.headers).json()["items"]
        return {member["email"]: (member["name"], member["role"]) for member in items}

    assert team()[email] == (None, "staff")
    assert client.get(evening.path, headers=bearer(issuer.token(email, name="Stan Staff"))).status_code == 200
    assert team()[email] == ("Stan Staff", "staff")


def test_an_address_is_one_whatever_its_case(client, issuer):
    evening, email = open_evening(client, issuer), new_email("stan")
    put_member(client, evening.token, evening.id, email.upper(), "staff")
    token = issuer.sign(claims_for(email, issuer=issuer.url) | {"email": email.title()})
    assert client.get(evening.path, headers=bearer(token)).status_code == 200


def test_an_unconfirmed_address_opens_no_membership(client, issuer, database_url):
    evening, email = open_evening(client, issuer), new_email("stan")
    put_member(client, evening.token, evening.id, email, "coordinator")
    for unconfirmed in ({"email_verified": False}, {"email_verified": None}, {"email_verified": "true"}):
        headers = bearer(issuer.token(email, sub=new_key(), **unconfirmed))
        assert_problem(client.get(evening.path, headers=headers), 404, "event_not_found")
        assert client.get("/admin/events", headers=headers).json()["total"] == 0
    bound = query(database_url, "SELECT user_id FROM event_members WHERE email = %s", email)
    assert bound == [(None,)]


def test_who_has_no_confirmed_address_creates_no_event(client, issuer, database_url):
    before = query(database_url, "SELECT count(*) FROM events")
    token = issuer.token(new_email(), sub=new_key(), email_verified=False, roles=["super_admin"])
    answer = client.post("/admin/events", json=event_fields(), headers=bearer(token))
    assert_problem(answer, 403, "email_unverified")
    assert query(database_url, "SELECT count(*) FROM events") == before


def test_a_membership_stays_with_its_first_user_when_another_user_gets_the_address(client, issuer):
    evening, email = open_evening(client, issuer), new_email("shared")
    put_member(client, evening.token, evening.id, email, "staff")
    first, second = issuer.token(email, sub=new_key()), issuer.token(email, sub=new_key())
    assert client.get(evening.path, headers=bearer(first)).status_code == 200
    assert_problem(client.get(evening.path, headers=bearer(second)), 404, "event_not_found")
    assert client.get(evening.path, headers=bearer(first)).status_code == 200


def test_a_member_stays_one_after_a_change_of_address(client, issuer):
    evening, email, subject = open_evening(client, issuer), new_email("old"), new_key()
    put_member(client, evening.token, evening.id, email, "staff")
    assert client.get(evening.path, headers=bearer(issuer.token(email, sub=subject))).status_code == 200
    moved = issuer.token(new_email("new"), sub=subject)
    assert client.get(evening.path, headers=bearer(moved)).status_code == 200


def test_a_removed_member_is_out_at_once(client, issuer):
    evening, email = open_evening(client, issuer), new_email("stan")
    put_member(client, evening.token, evening.id, email, "staff")
    theirs = bearer(issuer.token(email))
    assert client.get(evening.path, headers=theirs).status_code == 200
    assert client.delete(f"{evening.path}/members/{email}", headers=evening.headers).status_code == 204
    assert_problem(client.get(evening.path, headers=theirs), 404, "event_not_found")
    answer = client.delete(f"{evening.path}/members/{email}", headers=evening.headers)
    assert_problem(answer, 404, "member_not_found")


def test_a_role_is_changed_by_putting_it_again(client, issuer):
    evening, email = open_evening(client, issuer), new_email("stan")
    put_member(client, evening.token, evening.id, email, "staff")
    theirs = bearer(issuer.token(email))
    assert client.get(f"{evening.path}/members", headers=theirs).status_code == 403
    put_member(client, evening.token, evening.id, email, "coordinator")
    assert client.get(f"{evening.path}/members", headers=theirs).status_code == 200


def lone_coordinator(client: httpx.Client, issuer: Issuer) -> Evening:
    """An event whose creator is its only coordinator."""
    founder = new_email("founder")
    event = create_event(client, issuer.token(founder, roles=["super_admin"]))
    return Evening(client, issuer, event, founder)


def test_the_last_coordinator_can_neither_leave_nor_become_staff(client, issuer, database_url):
    evening = lone_coordinator(client, issuer)
    before = event_state(database_url, evening.id)
    myself = f"{evening.path}/members/{evening.coordinator}"
    assert_problem(client.delete(myself, headers=evening.headers), 409, "last_coordinator")
    demoted = client.put(myself, json={"role": "staff"}, headers=evening.headers)
    assert_problem(demoted, 409, "last_coordinator")
    assert event_state(database_url, evening.id) == before


def test_of_two_coordinators_who_remove_each_other_at_once_one_stays(client, issuer, database_url):
    for _ in range(3):
        evening = lone_coordinator(client, issuer)
        both = [evening.coordinator, new_email("second")]
        put_member(client, evening.token, evening.id, both[1], "coordinator")
        for email in both:
            assert client.get(evening.path, headers=bearer(issuer.token(email))).status_code == 200
        tokens = [issuer.token(email) for email in both]

        def remove_the_other(number: int, evening: Evening = evening, both: Any = both, tokens: Any = tokens) -> int:
            path = f"{evening.path}/members/{both[1 - number]}"
            return client.delete(path, headers=bearer(tokens[number])).status_code

        statuses = sorted(at_once(2, remove_the_other))
        left = query(database_url, "SELECT role FROM event_members WHERE event_id = %s", evening.id)
        assert left == [("coordinator",)]
        assert statuses[0] == 204
        assert statuses[1] in {404, 409}  # removed before the request was admitted, or the last coordinator by then


def test_members_need_an_address(client, issuer, database_url):
    evening = open_evening(client, issuer)
    before = event_state(database_url, evening.id)
    for address in ("nobody", "a@", "@b.test", "a b@example.com", "a%00b@example.com", "x" * 300 + "@example.com"):
        answer = client.put(f"{evening.path}/members/{address}", json={"role": "staff"}, headers=evening.headers)
        if address.startswith("a%00"):
            assert answer.status_code in {400, 422}
        else:
            problem = assert_problem(answer, 422, "invalid_input")
            assert [fault["pointer"] for fault in problem["errors"]] == ["/path/email"]
    assert event_state(database_url, evening.id) == before


def test_a_token_with_an_odd_name_is_still_a_token(client, issuer, database_url):
    """A user's name at the sign-in service can't lock them out."""
    evening = open_evening(client, issuer)
    for name in ("\ud800", "a\0b", "x" * 5_000, 7, "", "Zoë 🎭"):
        token = issuer.token(evening.coordinator, name=name)
        assert client.get(evening.path, headers=bearer(token)).status_code == 200, repr(name)


def test_jwt_encodes_lone_surrogates_as_json_does():
    """Otherwise the test above would not send the requests that it describes."""
    token = jwt.encode({"name": "\ud800"}, "secret" * 8, algorithm="HS256")
    assert jwt.decode(token, options={"verify_signature": False})["name"] == "\ud800"
