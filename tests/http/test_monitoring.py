"""The metrics for Prometheus; the dashboard and the alerts ask for no others (R-OPS-4)."""

import json
import re
from typing import Any

import psycopg
import pytest
import yaml  # type: ignore[import-untyped]
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from infra.local.home import REPOSITORY
from infra.monitoring import dashboard
from tests.architecture.application import load, registered_routes
from tests.architecture.test_functions import HTTP, TRIGGERS
from tests.factories import open_evening

RULES = REPOSITORY / "infra" / "monitoring" / "prometheus-rules.yaml"
NAME = re.compile(r"\b(?:boxoffice_|ticket_|tickets_|promo_)[a-z_]+")
SELECTOR = re.compile(r"(\b(?:boxoffice_|ticket_|tickets_|promo_)[a-z_]+)\{([^}]*)\}")
MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')
BY = re.compile(r"by \(([^)]*)\)")


def families(text: str) -> dict[str, Any]:
    return {family.name: family for family in text_string_to_metric_families(text)}


def samples_of(told: dict[str, Any]) -> list[Any]:
    return [sample for family in told.values() for sample in family.samples]


@pytest.fixture(scope="module")
def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.fixture
def told(client, issuer):
    evening = open_evening(client, issuer)
    evening.order((evening.package()["id"], 1))
    client.get("/public/events/nothing-here")
    return families(client.get("/metrics").text)


@pytest.fixture
def labels(told, app_environment) -> dict[str, set[str]]:
    """The labels of every series: those reported already, and those that wait for their first event."""
    load("shared.kit.metrics", app_environment)
    known: dict[str, set[str]] = {}
    for sample in samples_of(told):
        known.setdefault(sample.name, set()).update(sample.labels)
    for family in REGISTRY.collect():
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}.get(family.type, [""])
        declared = getattr(REGISTRY._names_to_collectors.get(family.name), "_labelnames", ())
        for suffix in suffixes:
            known.setdefault(f"{family.name}{suffix}", set()).update(declared)
    return known


def allowed_values(app_environment: dict[str, str]) -> dict[str, set[str]]:
    """The values that each label may have: names from the code, never a text that a caller chooses."""
    metrics = load("shared.kit.metrics", app_environment)
    reconciling = load("shared.domain.ledger.reconciling", app_environment)
    ours = load("functions.metrics", app_environment)
    problems = load("tests.architecture.test_refusals", app_environment)
    kinds = [*problems.below(problems.Refusal), *problems.below(problems.EdgeProblem)]
    return {
        "function": {*HTTP, *TRIGGERS},
        "status": set(metrics.STATUS_CLASSES),
        "code": {kind.code for kind in kinds},
        "outcome": {*metrics.OUTCOMES, "done"},
        "reason": set(metrics.REASONS),
        "service": set(metrics.SERVICES),
        "dependency": {"database", "redis", "storage"},
        "state": {"waiting", "failing"},
        "queue": {"email", "payments", *ours.POISON_QUEUES},
        "kind": set(reconciling.KINDS),
    }


def test_labels_are_from_fixed_sets(told, app_environment):
    registered_routes(app_environment)
    allowed = allowed_values(app_environment)
    strange = {
        (sample.name, label, value)
        for sample in samples_of(told)
        for label, value in sample.labels.items()
        if label != "le" and value not in allowed.get(label, set())
    }
    assert strange == set()


def test_what_the_requirements_name_is_told(told):
    for name in ("ticket_packages_created", "ticket_purchases", "promo_codes_redeemed", "boxoffice_stock_drift"):
        assert len(told[name].samples) == 1, name
    for name in ("boxoffice_http_request_seconds", "boxoffice_outbox_oldest_seconds", "boxoffice_poison_messages"):
        assert told[name].samples, name
    up = {sample.labels["dependency"]: sample.value for sample in told["boxoffice_dependency_up"].samples}
    assert up == {"database": 1, "redis": 1, "storage": 1}


def test_the_oldest_message_is_the_oldest_that_is_still_to_be_tried(fresh_database, app_environment):
    metrics = load("functions.metrics", app_environment)
    messages = [
        ("order_confirmation", 1, None, 900),
        ("order_confirmation", 5, None, 9_000),  # given up: on the poison queue
        ("provider_refund", 9, None, 7_200),  # a refund is tried until it is done
        ("order_confirmation", 1, "now()", 99_000),  # done
    ]
    with psycopg.connect(fresh_database) as connection:
        connection.execute("SET session_replication_role = replica")  # messages without events are enough
        for kind, attempts, done_at, age in messages:
            connection.execute(
                "INSERT INTO outbox (event_id, id, kind, payload, created_at, attempts, done_at, last_error) VALUES"
                " (gen_random_uuid(), gen_random_uuid(), %s, '{}', now() - make_interval(secs => %s), %s, %s, 'Ill')",
                [kind, age, attempts, done_at],
            )
        told = connection.execute(metrics._OUTBOX, metrics._TRIED).fetchone()
    assert told is not None
    assert (told[0], told[1]) == (0, 3)
    assert 900 <= told[2] < 910
    assert 7_200 <= told[3] < 7_210


def test_the_dashboard_is_what_its_source_makes(labels):
    assert dashboard.DASHBOARD.read_text() == dashboard.as_text()
    asked = [expression for row in dashboard.ROWS.values() for panel in row for expression, _ in panel.queries]
    assert len(asked) > 15
    for expression in asked:
        assert_asks_for_what_is_told(expression, labels)
    ids = [panel["id"] for panel in json.loads(dashboard.as_text())["panels"]]
    assert len(ids) == len(set(ids))


def test_every_alert_asks_for_what_is_told_and_is_explained(rules, labels, app_environment):
    guide = (REPOSITORY / "docs" / "operators-guide.md").read_text()
    allowed = allowed_values(app_environment)
    assert len({rule["alert"] for rule in rules}) == len(rules) > 10
    for rule in rules:
        assert_asks_for_what_is_told(rule["expr"], labels)
        for _, matchers in SELECTOR.findall(rule["expr"]):
            for label, _, value in MATCHER.findall(matchers):
                assert set(value.split("|")) <= allowed[label], rule["alert"]
        assert rule["annotations"]["summary"]
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert f"`{rule['alert']}`" in guide, rule["alert"]


def assert_asks_for_what_is_told(expression: str, labels: dict[str, set[str]]) -> None:
    names = NAME.findall(expression)
    assert names, expression
    for name in names:
        assert name in labels, f"{name} in {expression}"
    for name, matchers in SELECTOR.findall(expression):
        for label, _, _ in MATCHER.findall(matchers):
            assert label in labels[name], f"{label} of {name}"
    for grouped in BY.findall(expression):
        for label in grouped.split(", "):
            assert any(label in labels[name] or label == "le" for name in names), f"{label} in {expression}"
    assert expression.count("(") == expression.count(")")
