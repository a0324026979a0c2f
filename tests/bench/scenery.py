"""The event that is measured: published, with twenty unlimited packages, and the same rows for the raw floor."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg

from tests.bench.system import System

PACKAGES = 20
ADMIN = "admin@demo.test"
COORDINATOR = "coordinator@demo.test"
_COPIED = ("users", "events", "ticket_packages", "package_stock")  # in the order of their foreign keys


@dataclass(frozen=True)
class Scenery:
    """Where the measured things are."""

    event_id: str
    package_ids: list[str]
    token: str

    @property
    def list_path(self) -> str:
        """The public list of the event's packages."""
        return f"/api/v1/public/events/{self.event_id}/ticket-packages"

    @property
    def package_path(self) -> str:
        """One package, as its coordinator reads it."""
        return f"/api/v1/admin/events/{self.event_id}/ticket-packages/{self.package_ids[0]}"

    @property
    def orders_path(self) -> str:
        """Where orders are placed."""
        return f"/api/v1/public/events/{self.event_id}/orders"


def set_scene(system: System) -> Scenery:
    """Create and publish the event through the API, then copy its rows into the floor's database."""
    with _api(system, system.issuer.token(ADMIN)) as api:
        starts = datetime.now(UTC) + timedelta(days=30)
        event = _ok(
            api.post(
                "/admin/events",
                json={
                    "title": "Measured",
                    "starts_at": starts.isoformat(),
                    "ends_at": (starts + timedelta(hours=3)).isoformat(),
                },
            )
        )
        packages = [_add_package(api, event["id"], f"Package {number}") for number in range(PACKAGES)]
        _ok(api.post(f"/admin/events/{event['id']}/publish"))
        _ok(api.put(f"/admin/events/{event['id']}/members/{COORDINATOR}", json={"role": "coordinator"}))
    _copy_rows(system)
    return Scenery(event["id"], packages, system.issuer.token(COORDINATOR))


def add_limited_package(system: System, scenery: Scenery, *, limit: int) -> str:
    """Add a package of which there are `limit`; returns its id."""
    with _api(system, scenery.token) as api:
        return _add_package(api, scenery.event_id, f"The last {limit}", quantity_limit=limit)


def _add_package(api: httpx.Client, event_id: str, name: str, **more: Any) -> str:
    body = {"name": name, "description": "A seat and a drink", "price_cents": 2500, **more}
    return str(_ok(api.post(f"/admin/events/{event_id}/ticket-packages", json=body))["id"])


def _api(system: System, token: str) -> httpx.Client:
    return httpx.Client(
        base_url=f"{system.host.url}/api/v1",
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
        trust_env=False,
    )


def _ok(answer: httpx.Response) -> Any:
    if not answer.is_success:
        raise RuntimeError(f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}")
    return answer.json()


def _copy_rows(system: System) -> None:
    with psycopg.connect(system.database_url) as source, psycopg.connect(system.floor_url) as target:
        for table in _COPIED:
            with (
                source.cursor().copy(f"COPY {table} TO STDOUT (FORMAT binary)") as rows,
                target.cursor().copy(f"COPY {table} FROM STDIN (FORMAT binary)") as copied,
            ):
                for block in rows:
                    copied.write(block)
