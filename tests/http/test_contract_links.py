"""The reference's links can be followed: in each step with values from the answer before it (R-OPS-2).

`test_contract` calls each operation alone. Here an event is made, sold, paid for, refunded and reported on only by
following links. An order names its package in the body, which links don't fill: so each event that is made is published
and gets a package to sell.
"""

import os
import uuid
from collections import Counter
from itertools import pairwise
from typing import Any

import httpx
import hypothesis
import pytest
from hypothesis import HealthCheck, Phase
from hypothesis.errors import FlakyStrategyDefinition
from schemathesis.core.failures import FailureGroup
from schemathesis.generation.stateful.state_machine import normalize_name

from tests.http.test_contract import CHECKS, SUPER_ADMIN, make_acceptable, read_reference

RUNS = int(os.environ.get("CONTRACT_RUNS", "1"))
NO_PACKAGE = str(uuid.UUID(int=0))
# Each operation leads to the next.
WAYS = [
    ("create_event", "create_package", "create_option", "update_option"),
    ("create_event", "create_package", "upload_image", "get_image_upload"),
    ("create_event", "create_promo_code", "get_promo_code_usage"),
    ("create_event", "place_public_order", "create_payment_intent", "confirm_payment"),
    ("create_event", "create_box_office_order", "refund_order_payment", "list_order_refunds"),
    ("create_event", "create_report", "download_report"),
    ("create_event", "create_report_schedule", "update_report_schedule"),
    ("list_events", "get_event"),
]


@pytest.fixture(scope="module")
def reference(host):
    # The other test covers wrong calls: here a walk ends when a call is refused.
    return read_reference(host.url, mode="positive")


@pytest.fixture
def as_super_admin(issuer):
    return {"Authorization": f"Bearer {issuer.token(SUPER_ADMIN)}"}


@pytest.mark.parametrize("way", WAYS, ids="-".join)
def test_a_way_can_be_gone_by_following_links(way, reference, client, as_super_admin):
    followed = go(reference.include(operation_id=list(way)), client, as_super_admin, begin=way[0])
    assert {*pairwise(way)} <= followed.keys()


def test_ways_cross(reference, client, as_super_admin):
    followed = go(reference, client, as_super_admin, begin="create_event", walks=4 * RUNS, steps=20)
    assert len(followed) > 10


def go(
    reference: Any, client: httpx.Client, headers: dict[str, str], *, begin: str, walks: int = RUNS, steps: int = 10
) -> Counter[tuple[str, str]]:
    """Follow the links of `reference` from `begin` on; check each answer, and return which links led to a success.

    Nothing differs from run to run but ids and times. `CONTRACT_RUNS=100` goes on for longer.
    """
    followed: Counter[tuple[str, str]] = Counter()
    failures: list[FailureGroup] = []
    packages: dict[str, str] = {}
    machine = reference.as_state_machine()

    class Walk(machine):  # type: ignore[misc, valid-type]
        def step(self, taken: Any) -> Any:
            case = taken.case
            name_package(case, packages.get(case.path_parameters.get("event_id"), NO_PACKAGE))
            output = super().step(taken)
            if output.response.status_code >= 400:
                return output
            if name_of(case) == "create_event":
                event_id = output.response.json()["id"]
                packages[event_id] = something_to_sell(client, headers, event_id)
            if taken.transition is not None and taken.is_applied:
                source = self.recorder.cases[taken.transition.parent_id].value
                followed[name_of(source), name_of(case)] += 1
            return output

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"headers": headers, "allow_redirects": False}

        def validate_response(self, response: Any, case: Any, **_: Any) -> None:
            try:
                case.validate_response(response, checks=CHECKS)
            except FailureGroup as failure:
                failures.append(failure)
                raise

    beginning = reference.find_operation_by_id(begin).label
    for rule in machine.root_rules - {normalize_name(f"RANDOM -> {beginning}")}:
        setattr(Walk, rule, None)
    settings = hypothesis.settings(
        max_examples=2,  # the simplest walk, and a random one
        stateful_step_count=steps,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    for walk in range(walks):
        try:
            hypothesis.seed(walk)(Walk).run(settings=settings)
        except FlakyStrategyDefinition:
            # Hypothesis began two equal walks and found the system changed, which is allowed. This also happens when it
            # repeats a failure, and then the failure itself must be raised.
            if failures:
                raise failures[0] from None
    return followed


def name_package(case: Any, package_id: str) -> None:
    """Make the body acceptable, and about this package; a public order is paid by card."""
    make_acceptable(case, {"package_id": package_id, "package_ids": package_id, "option_id": ""})
    if isinstance(case.body, dict) and {"customer", "items"} <= case.body.keys():
        case.body["items"] = [{"package_id": package_id, "quantity": 1}]
        if name_of(case) == "place_public_order":
            case.body["payment_method"] = "card"


def name_of(case: Any) -> str:
    """Return the operationId of the call."""
    name: str = case.operation.definition.raw["operationId"]
    return name


def something_to_sell(client: httpx.Client, headers: dict[str, str], event_id: str) -> str:
    """Publish the event and return the id of a package that it sells."""
    path = f"/admin/events/{event_id}"
    table = {"name": "Table", "description": "Ten.", "price_cents": 5_000, "quantity_limit": 1000}
    made = client.post(f"{path}/ticket-packages", headers=headers, json=table).raise_for_status().json()
    client.post(f"{path}/publish", headers=headers).raise_for_status()
    package_id: str = made["id"]
    return package_id
