"""Health, metrics, the reference, and the rules that every answer keeps."""

import re

import httpx
import pytest

from tests.architecture.application import registered_routes
from tests.factories import assert_problem, bearer, open_evening


@pytest.fixture(scope="session")
def routes(app_environment):
    return registered_routes(app_environment)


def metric(client: httpx.Client, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", client.get("/metrics").text, re.MULTILINE)
    assert found, f"no metric {name}"
    return float(found[1])


def test_the_process_says_that_it_lives(client):
    answer = client.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_readiness_names_each_dependency_and_how_long_it_took(client):
    answer = client.get("/health/ready")
    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "ok"
    assert {name: found["state"] for name, found in body["dependencies"].items()} == {
        "database": "up",
        "redis": "up",
        "storage": "up",
    }
    assert all(0 <= found["ms"] < 10_000 for found in body["dependencies"].values())


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/metrics", "/openapi.json", "/docs"])
def test_a_bad_token_does_not_disturb_the_platform(path, client):
    assert client.get(path, headers=bearer("garbage")).status_code == 200


def test_metrics_count_what_was_made_and_sold(client, issuer):
    names = ("ticket_packages_created_total", "ticket_purchases_total", "tickets_sold")
    before = [metric(client, name) for name in names]
    evening = open_evening(client, issuer)
    package = evening.package(seats_per_package=5)
    evening.package()
    evening.order((package["id"], 2))
    after = [metric(client, name) for name in names]
    assert [later - earlier for later, earlier in zip(after, before, strict=True)] == [2, 1, 10]


def test_tickets_sold_stay_sold_when_a_package_gets_more_seats(client, issuer):
    evening = open_evening(client, issuer)
    package = evening.package(seats_per_package=1)
    evening.order((package["id"], 1))
    before = metric(client, "tickets_sold")
    assert evening.patch_package(package["id"], {"seats_per_package": 100}).status_code == 200
    assert metric(client, "tickets_sold") == before


def test_metrics_are_prometheus_text_with_latencies_by_function(client):
    client.get("/public/events")
    answer = client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'boxoffice_http_request_seconds_count{function="list_public_events",status="2xx"}' in answer.text
    assert 'boxoffice_poison_messages{queue="email-poison"}' in answer.text
    assert "boxoffice_outbox_messages" in answer.text


def test_metrics_have_no_labels_that_callers_choose(client):
    client.get("/public/events/a-slug-of-mine-alone")
    assert "a-slug-of-mine-alone" not in client.get("/metrics").text


def test_the_reference_describes_every_route_and_no_other(client, routes):
    document = client.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    described = {
        (operation["operationId"], method.upper(), path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if isinstance(operation, dict) and "operationId" in operation
    }
    assert described == {(route.name, route.method, f"/api/{route.path}") for route in routes.values()}


def test_the_page_of_the_reference_loads_and_runs_nothing(client):
    answer = client.get("/docs")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "<script" not in answer.text
    assert "/api/v1/admin/events" in answer.text


@pytest.mark.parametrize(
    "path", ["/health/live", "/public/events", "/public/events?page=0", "/nowhere", "/admin/events", "/docs"]
)
def test_every_answer_has_a_request_id_and_is_not_to_be_guessed_at(path, client):
    answer = client.get(path)
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", answer.headers["X-Request-Id"])
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_refusals_and_private_answers_are_not_kept_by_caches(client, issuer):
    evening = open_evening(client, issuer)
    assert client.get("/public/events/nothing-here").headers["Cache-Control"] == "no-store"
    assert client.get("/admin/events").headers["Cache-Control"] == "no-store"
    assert client.get(evening.path, headers=evening.headers).headers["Cache-Control"] == "no-cache"


def test_a_head_request_is_told_to_use_get(client):
    answer = client.head("/public/events")
    assert (answer.status_code, answer.headers["Allow"], answer.content) == (405, "GET", b"")


def test_without_a_redis_everything_works(start_host, issuer, poll):
    host = start_host(http_only=True, REDIS_URL=None)
    with httpx.Client(base_url=f"{host.url}/api/v1", timeout=30, trust_env=False) as client:
        ready = client.get("/health/ready").json()
        assert (ready["status"], ready["dependencies"]["redis"]) == ("ok", {"state": "off", "ms": None})
        evening = open_evening(client, issuer)
        evening.order((evening.package(price_cents=700)["id"], 1))
        summary = client.get(f"{evening.packages}/sales-summary", headers=evening.headers).json()
        assert summary["total_revenue_cents"] == 700
        assert_problem(client.get("/public/events/nothing-here"), 404, "event_not_found")
