"""The links between the app's own operations: each can be followed, and the most important ones exist."""

from typing import Any

import pytest

from tests.architecture.application import load

EVENT = {"event_id": "$request.path.event_id"}
# From an operation to the next one, with the values that the link passes on.
WAYS = [
    ("create_event", "publish_event", {"event_id": "$response.body#/id"}),
    ("create_event", "create_package", {"event_id": "$response.body#/id"}),
    ("create_event", "place_public_order", {"event_id": "$response.body#/id"}),
    ("create_package", "create_option", EVENT | {"package_id": "$response.body#/id"}),
    ("create_package", "upload_image", EVENT | {"package_id": "$response.body#/id"}),
    ("create_package", "get_availability", EVENT | {"package_id": "$response.body#/id"}),
    (
        "create_option",
        "update_option",
        EVENT | {"package_id": "$request.path.package_id", "option_id": "$response.body#/id"},
    ),
    (
        "upload_image",
        "get_image_upload",
        EVENT | {"package_id": "$request.path.package_id", "upload_id": "$response.body#/upload_id"},
    ),
    ("create_promo_code", "get_promo_code_usage", EVENT | {"promo_code_id": "$response.body#/id"}),
    (
        "place_public_order",
        "create_payment_intent",
        {"order_id": "$response.body#/id", "X-Order-Token": "$response.body#/access_token"},
    ),
    (
        "create_payment_intent",
        "confirm_payment",
        {"order_id": "$request.path.order_id", "X-Order-Token": "$request.header.X-Order-Token"},
    ),
    ("place_public_order", "refund_order_payment", EVENT | {"order_id": "$response.body#/id"}),
    ("create_box_office_order", "refund_order_payment", EVENT | {"order_id": "$response.body#/id"}),
    ("refund_order_payment", "list_order_refunds", EVENT | {"order_id": "$request.path.order_id"}),
    ("create_report", "download_report", EVENT | {"report_id": "$response.body#/id"}),
    ("create_report_schedule", "delete_report_schedule", EVENT | {"schedule_id": "$response.body#/id"}),
    ("list_orders", "get_order", EVENT | {"order_id": "$response.body#/items/0/id"}),
    ("list_audit_archives", "download_audit_archive", EVENT | {"month": "$response.body#/items/0/month"}),
    ("get_reconciliation", "repair_finding", EVENT | {"finding_id": "$response.body#/findings/0/id"}),
]


@pytest.fixture(scope="module")
def document(app_environment):
    return load("functions.platform", app_environment)._document()


def operations(document: Any) -> dict[str, Any]:
    return {told["operationId"]: told for methods in document["paths"].values() for told in methods.values()}


def resolve(document: Any, schema: Any) -> Any:
    """The schema that a `$ref` points at; the first one if there are several."""
    while "$ref" in schema or "anyOf" in schema:
        if "anyOf" in schema:
            schema = schema["anyOf"][0]
            continue
        found = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def parameters(document: Any, operation: Any) -> dict[str, Any]:
    told = (resolve(document, parameter) for parameter in operation.get("parameters", ()))
    return {parameter["name"]: parameter for parameter in told}


def links(document: Any) -> list[tuple[str, str, Any]]:
    """Every (operation, status, link)."""
    return [
        (name, status, link)
        for name, operation in operations(document).items()
        for status, answer in operation["responses"].items()
        for link in answer.get("links", {}).values()
    ]


@pytest.mark.parametrize(("source", "target", "values"), WAYS, ids=[f"{way[0]}-{way[1]}" for way in WAYS])
def test_the_ways_that_matter_are_linked(document, source, target, values):
    found = [link["parameters"] for name, _, link in links(document) if (name, link["operationId"]) == (source, target)]
    assert found == [values]


def test_a_link_gives_its_operation_everything_that_the_path_needs_and_nothing_that_it_does_not_take(document):
    known = operations(document)
    assert links(document)
    for source, status, link in links(document):
        taken = parameters(document, known[link["operationId"]])
        assert status[0] == "2", source
        assert link["parameters"].keys() <= taken.keys(), link
        assert {name for name, told in taken.items() if told["in"] == "path"} <= link["parameters"].keys(), link


def test_every_value_of_a_link_is_in_the_request_or_always_in_the_answer(document):
    for source, status, link in links(document):
        operation = operations(document)[source]
        schema = operation["responses"][status]["content"]["application/json"]["schema"]
        for value in link["parameters"].values():
            where, _, name = value.removeprefix("$").partition("#" if "#" in value else ".")
            if where == "request":
                place, _, name = name.partition(".")
                assert parameters(document, operation)[name]["in"] == place, link
                continue
            assert where == "response.body", link
            at = resolve(document, schema)
            for part in name.removeprefix("/").split("/"):
                if part == "0":
                    at = resolve(document, at["items"])
                else:
                    assert part in at["required"], link
                    at = resolve(document, at["properties"][part])
            assert at["type"] == "string", link


def test_nobody_is_led_to_a_secret_link_without_the_secret(document):
    known = operations(document)
    led = [
        link for _, _, link in links(document) if "X-Order-Token" in parameters(document, known[link["operationId"]])
    ]
    assert led
    assert all("X-Order-Token" in link["parameters"] for link in led)


def test_an_idempotency_key_is_never_handed_on(document):
    assert not [link for _, _, link in links(document) if "Idempotency-Key" in link["parameters"]]
