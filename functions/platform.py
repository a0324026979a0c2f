"""Health, metrics and the API reference."""

import hmac
import time
from functools import lru_cache
from typing import Any, Literal

import orjson
import psycopg
from pydantic import Field
from sqlalchemy import exc

from functions.edge import endpoints
from functions.metrics import business_metrics
from functions.routes import ENDPOINTS
from shared.domain.access.errors import NoSuchEvent, PermissionMissing
from shared.domain.access.permissions import Permission
from shared.kit import metrics
from shared.kit.cache import cache
from shared.kit.db.unit_of_work import ping_database
from shared.kit.fields import Output
from shared.kit.http import openapi, reference
from shared.kit.http.call import Answer, Call, Content
from shared.kit.http.problems import Unauthenticated
from shared.kit.settings.app import app_settings
from shared.kit.settings.group import unresolved_references
from shared.kit.storage.account import StorageDown, ping_storage, storage_errors

VERSION = "0.1.0"
JSON = "application/json"
# The reference is one page that loads no other file and runs no script.
_REFERENCE_POLICY = {"Content-Security-Policy": f"{reference.CONTENT_SECURITY_POLICY}; img-src data:"}

bp = endpoints("Platform")


class Dependency(Output):
    """One service that the app needs."""

    state: Literal["up", "down", "off"]
    ms: float | None = None


class Health(Output):
    """Whether the app can serve: `degraded` without Redis, the storage or a setting, `down` without the database."""

    status: Literal["ok", "degraded", "down"]
    dependencies: dict[str, Dependency]
    unresolved_settings: list[str] = Field(
        description="Settings that are missing because their Key Vault references were not resolved (`degraded`)."
    )


class Alive(Output):
    """The process answers."""

    status: Literal["ok"] = "ok"


@bp.get("v1/health/live", permission=Permission.PUBLIC, takes_tokens=False)
def health_live(call: Call) -> Alive:
    """Check that the process answers."""
    return Alive()


@bp.get("v1/health/ready", permission=Permission.PUBLIC, takes_tokens=False, also=(503,))
def health_ready(call: Call) -> Answer[Health]:
    """Check whether the app can serve, and how its dependencies are. It answers 503 only if the database is down."""
    dependencies = {"database": _database(), "redis": _redis(), "storage": _storage()}
    down = {name for name, dependency in dependencies.items() if dependency.state == "down"}
    unresolved = unresolved_references()
    wanting = down or unresolved
    status: Literal["ok", "degraded", "down"] = "down" if "database" in down else "degraded" if wanting else "ok"
    health = Health(status=status, dependencies=dependencies, unresolved_settings=unresolved)
    return Answer(health, 503 if status == "down" else 200)


def _database() -> Dependency:
    started = time.perf_counter()
    try:
        ping_database()
    except (psycopg.Error, exc.SQLAlchemyError):
        return Dependency(state="down")
    return Dependency(state="up", ms=_since(started))


def _redis() -> Dependency:
    if not cache().configured:
        return Dependency(state="off")
    milliseconds = cache().ping()
    return Dependency(state="down" if milliseconds is None else "up", ms=milliseconds and round(milliseconds, 1))


def _storage() -> Dependency:
    started = time.perf_counter()
    try:
        with storage_errors():
            ping_storage()
    except StorageDown:
        return Dependency(state="down")
    return Dependency(state="up", ms=_since(started))


def _since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 1)


@bp.get(
    "v1/metrics",
    permission=Permission.PUBLIC,
    takes_tokens=False,
    content_type="text/plain",
    refusals=(Unauthenticated,),
)
def get_metrics(call: Call) -> Content:
    """Read the metrics in Prometheus' text format. If `METRICS_KEY` is set, send it as the bearer token."""
    key = app_settings().metrics_key
    if key and not hmac.compare_digest(call.headers.get("authorization", "").encode(), f"Bearer {key}".encode()):
        raise Unauthenticated("The metrics need their own key as the bearer token.")
    return Content(metrics.render(business_metrics), metrics.CONTENT_TYPE)


@bp.get("v1/openapi.json", permission=Permission.PUBLIC, takes_tokens=False, content_type=JSON)
def get_openapi(call: Call) -> Content:
    """Read the machine-readable description of this API (OpenAPI 3.1)."""
    return Content(orjson.dumps(_document()), JSON, headers={"Cache-Control": "public, max-age=300"})


@bp.get("v1/docs", permission=Permission.PUBLIC, takes_tokens=False, content_type="text/html")
def get_docs(call: Call) -> Content:
    """Read the reference of this API as a page."""
    return Content(_reference_page(), "text/html; charset=utf-8", headers=_REFERENCE_POLICY)


@lru_cache(maxsize=1)
def _document() -> dict[str, Any]:
    routes = [route for blueprint in (*ENDPOINTS, bp) for route in blueprint.routes]
    return openapi.document(
        routes,
        title="Boxoffice",
        version=VERSION,
        server_url=app_settings().public_url,
        description="Ticketing that never sells a seat twice.",
        gate_refusals=(PermissionMissing, NoSuchEvent),
    )


@lru_cache(maxsize=1)
def _reference_page() -> bytes:
    return reference.page(_document()).encode()


bp.refuse_all_else([route for blueprint in (*ENDPOINTS, bp) for route in blueprint.routes])
