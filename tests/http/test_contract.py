"""Every operation, called with input that its schema allows or forbids, answers as the reference says (R-OPS-2).

The reference is the one that the running app serves. Real ids and words mostly replace generated ones, so that the
calls get past the first refusal. Each operation that changes something gets its own things, so that an operation that
deletes or cancels does not take them away from the others.
"""

import os
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.factories import archive_trail, query

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
CALLS = int(os.environ.get("CONTRACT_CALLS", "10"))
SUPER_ADMIN = "admin@demo.test"
SIGNED_BY_OTHERS = "/webhooks/stripe"
SOON = datetime.now(UTC) + timedelta(days=30)
# Values that no generator finds: they fit together, or they name exactly an existing thing.
FITTING: dict[str, Any] = {
    "option_type": "text_input",
    "choices": [],
    "max_choices": None,
    "discount_type": "percentage",
    "discount_value": 10,
    "expires_at": None,
    "promo_code": None,
    "frequency": "hourly",
    "local_time": None,
    "weekday": None,
    "notify": [],
}
WORDS = {
    "title": "A night out",
    "name": "Ada",
    "description": "With music.",
    "email": "ada@example.com",
    "phone": "+44 20 7946 0000",
    "timezone": "Europe/London",
    "currency": "USD",
    "starts_at": SOON.isoformat(),
    "ends_at": (SOON + timedelta(hours=3)).isoformat(),
}


@pytest.fixture(scope="module")
def reference(host):
    return read_reference(host.url)


def read_reference(url: str, *, mode: str = "all") -> Any:
    """Return the reference that the app at `url` serves, for schemathesis."""
    document = httpx.get(f"{url}/api/v1/openapi.json", trust_env=False).raise_for_status().json()
    config = schemathesis.Config.from_dict(
        {
            "base-url": url,
            # The tests choose the tokens themselves; the platform refuses a NUL in a path before the app sees it.
            "generation": {"with-security-parameters": False, "allow-x00": False, "mode": mode},
            # Only the links in the reference, no guessed ones.
            "phases": {"stateful": {"inference": {"algorithms": []}}},
        }
    )
    return schemathesis.openapi.from_dict(document, config=config)


@pytest.fixture
def as_super_admin(issuer):
    return {"Authorization": f"Bearer {issuer.token(SUPER_ADMIN)}"}


@pytest.mark.parametrize("caller", ["super admin", "guest"])
def test_every_operation_answers_as_the_reference_says(
    caller, reference, client, as_super_admin, subtests, app_environment
):
    headers = as_super_admin if caller == "super admin" else {}
    operations = [result.ok() for result in reference.get_all_operations()]
    assert operations

    def new_things(*, paid: bool = False) -> dict[str, str]:
        real = real_things(client, as_super_admin, paid=paid)
        return real | {"month": archive_trail(app_environment, real["event_id"])}

    for_all = new_things()
    for operation in operations:
        with subtests.test(operation=operation.label):
            if changes_nothing(operation, caller):
                real = for_all
            else:
                # Refunds and new confirmations need a paid order; all other operations get a pending one.
                real = new_things(paid=operation.path.endswith(("/refund", "/repair", "/resend")))
            if "{finding_id}" in operation.path:
                real = real | {"finding_id": break_something(app_environment, real["order_id"])}
            statuses = hold_to_the_reference(operation, real, headers)
            # Without one success the calls would have tested only the operation's refusals.
            reached = min(statuses) < 400 or operation.path.endswith(SIGNED_BY_OTHERS)
            assert caller == "guest" or reached, sorted(statuses)


def changes_nothing(operation: Any, caller: str) -> bool:
    """Whether it changes nothing: it only reads, or a guest is never allowed to do it."""
    return operation.method == "get" or (caller == "guest" and "/admin/" in operation.path)


def hold_to_the_reference(operation: Any, real: dict[str, str], headers: dict[str, str]) -> set[int]:
    """Call the operation `CALLS` times, the same in every run; check each answer and return their statuses.

    `CONTRACT_CALLS=100` calls more often.
    """
    statuses: set[int] = set()
    modes = [operation.as_strategy(generation_mode=mode) for mode in modes_of(operation)]

    @settings(
        max_examples=CALLS,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=st.one_of(modes).filter(names_its_own_address), known=st.sampled_from([True, True, False]))
    def call(case: Any, known: bool) -> None:
        if known:
            substitute(case, real)
        answer = case.call_and_validate(headers=headers, checks=CHECKS, allow_redirects=False)
        statuses.add(answer.status_code)

    call()
    return statuses


def names_its_own_address(case: Any) -> bool:
    """Whether each path parameter is one segment of the path; otherwise the call goes to another operation."""
    return all(str(value) not in {"", ".", ".."} and "/" not in str(value) for value in case.path_parameters.values())


def modes_of(operation: Any) -> list[GenerationMode]:
    """An operation without input can't be called wrongly."""
    takes_input = operation.body or any(operation.iter_parameters())
    return [GenerationMode.POSITIVE, GenerationMode.NEGATIVE] if takes_input else [GenerationMode.POSITIVE]


def substitute(case: Any, real: dict[str, str]) -> None:
    """Change the call to real things, in their present version, and to acceptable words."""
    for name in case.path_parameters.keys() & real.keys():
        case.path_parameters[name] = real[name]
    make_acceptable(case, real)


def make_acceptable(case: Any, real: dict[str, str]) -> None:
    """Fill query and body with acceptable values; the address stays the same."""
    if "confirm" in case.query:
        case.query["confirm"] = "true"
    case.headers.pop("If-Match", None)
    case.body = with_real_values(case.body, WORDS | {name: real[name] for name in real if name.endswith("_id")})
    if isinstance(case.body, dict):
        lists = {"package_ids": real["package_ids"].split(), "option_ids": real["option_id"].split()}
        fitting = (
            FITTING
            | lists
            | {
                "code": f"C{uuid.uuid4().hex[:10]}",
                "slug": f"night-{uuid.uuid4().hex[:12]}",
            }
        )
        case.body |= {name: value for name, value in fitting.items() if name in case.body}


def with_real_values(value: Any, real: dict[str, str]) -> Any:
    """Return a JSON value with real ids and words in the text fields that have their names."""
    if isinstance(value, dict):
        return {
            name: real[name] if name in real and isinstance(inner, str) else with_real_values(inner, real)
            for name, inner in value.items()
        }
    return [with_real_values(item, real) for item in value] if isinstance(value, list) else value


def break_something(environment: dict[str, str], order_id: str) -> str:
    """Make a paid order's tickets reserved again, directly in the database; return the finding that names the order."""
    reserved = (
        "UPDATE tickets t SET status = 'reserved' FROM order_items i"
        " WHERE i.id = t.order_item_id AND i.order_id = %s RETURNING 1"
    )
    assert query(environment["DATABASE_URL"], reserved, order_id)
    return f"paid_not_issued:{order_id}"


def real_things(client: httpx.Client, as_super_admin: dict[str, str], *, paid: bool) -> dict[str, str]:
    """Make a published event with a thing of each kind, and return the ids that addresses need."""

    def send(method: str, path: str, key: str | None = None, **content: Any) -> Any:
        headers = as_super_admin | ({"Idempotency-Key": key} if key else {})
        answer = client.request(method, path, headers=headers, **content)
        assert answer.is_success, answer.text
        return answer.json()

    slug = f"gala-{uuid.uuid4().hex[:12]}"
    dates = {name: WORDS[name] for name in ("starts_at", "ends_at")}
    event = send("POST", "/admin/events", json={"title": "Gala", "slug": slug, **dates})
    path = f"/admin/events/{event['id']}"
    table = {"name": "Table", "description": "Ten.", "price_cents": 0, "quantity_limit": 1000}
    unsold, sold = (
        send("POST", f"{path}/ticket-packages", json=table | {"price_cents": price}) for price in (0, 5_000)
    )
    send("POST", f"{path}/publish")
    member = send("PUT", f"{path}/members/ada@example.com", json={"role": "staff"})
    order = send(
        "POST",
        f"/public/events/{event['id']}/orders",
        key=uuid.uuid4().hex,
        json={
            "customer": {"name": "Ada", "email": "ada@example.com"},
            "items": [{"package_id": sold["id"], "quantity": 1}],
            "payment_method": "test" if paid else "card",
        },
    )
    if not paid:
        send("POST", f"/public/orders/{order['id']}/payment-intent", key=uuid.uuid4().hex)
    optional = {"label": "Allergies", "option_type": "text_input", "is_required": False}
    option = send("POST", f"{path}/ticket-packages/{unsold['id']}/custom-options", json=optional)
    tenth = {"code": "TENTHOFF", "discount_type": "percentage", "discount_value": 10}
    promo = send("POST", f"{path}/promo-codes", json=tenth)
    report = send("POST", f"{path}/reports", json={})
    schedule = send("POST", f"{path}/report-schedules", json={"frequency": "hourly"})
    picture = {"image": ("table.png", b"no picture", "image/png")}
    upload = send("POST", f"{path}/ticket-packages/{unsold['id']}/image", files=picture)
    return {
        "event_id": event["id"],
        "package_id": unsold["id"],
        "package_ids": f"{unsold['id']} {sold['id']}",
        "option_id": option["id"],
        "promo_code_id": promo["id"],
        "order_id": order["id"],
        "report_id": report["id"],
        "schedule_id": schedule["id"],
        "upload_id": upload["upload_id"],
        "slug": slug,
        "email": member["email"],
    }
