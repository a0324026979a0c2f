"""What is measured: an event with twenty unlimited packages and a promo code, one with sixty-four of them, the same
rows for the raw floor, and another event with a catalogue of fifty packages that ask four questions each.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg

from tests.bench.system import System

PACKAGES = 20
WIDE_PACKAGES = 64
CATALOGUE_PACKAGES = 50
CATALOGUE_OPTIONS = 4
PROMO_CODE = "MEASURED"
ADMIN = "admin@demo.test"
COORDINATOR = "coordinator@demo.test"
_COPIED = ("users", "events", "stock", "ticket_packages")  # in the order of their foreign keys


@dataclass(frozen=True)
class Scenery:
    """The addresses of the measured things."""

    event_id: str
    package_ids: list[str]
    token: str
    catalogue_id: str
    catalogue_package_ids: list[str]
    wide_id: str
    wide_package_ids: list[str]
    reported_id: str
    reported_package_ids: list[str]
    searched_id: str
    searched_package_ids: list[str]

    @property
    def list_path(self) -> str:
        """The public list of the event's packages."""
        return f"/api/v1/public/events/{self.event_id}/ticket-packages"

    @property
    def catalogue_path(self) -> str:
        """The public list of the fifty packages."""
        return f"/api/v1/public/events/{self.catalogue_id}/ticket-packages?page_size=50"

    def admin_catalogue_path(self, *, page_size: int) -> str:
        """The list of the fifty packages, as their coordinator reads it: never from the cache."""
        return f"/api/v1/admin/events/{self.catalogue_id}/ticket-packages?page_size={page_size}"

    @property
    def package_path(self) -> str:
        """One package, as its coordinator reads it."""
        return f"/api/v1/admin/events/{self.event_id}/ticket-packages/{self.package_ids[0]}"

    def orders_path(self, event_id: str) -> str:
        """The address at which orders are placed."""
        return f"/api/v1/public/events/{event_id}/orders"


def set_scene(system: System) -> Scenery:
    """Create and publish the event through the API, then copy its rows into the floor's database."""
    with _api(system, system.issuer.token(ADMIN)) as api:
        event_id, packages = _add_event(api, "Measured", packages=PACKAGES)
        code = {"code": PROMO_CODE, "discount_type": "percentage", "discount_value": 12.5}
        _ok(api.post(f"/admin/events/{event_id}/promo-codes", json=code))
        wide_id, wide = _add_event(api, "Wide", packages=WIDE_PACKAGES)
        reported_id, reported = _add_event(api, "Reported", packages=WIDE_PACKAGES)
        searched_id, searched = _add_event(api, "Searched", packages=WIDE_PACKAGES)
        catalogue_id, catalogue = _add_event(api, "Catalogue", packages=CATALOGUE_PACKAGES)
        for package_id in catalogue:
            for number in range(CATALOGUE_OPTIONS):
                _add_option(api, catalogue_id, package_id, f"Question {number + 1}?")
    _copy_rows(system)
    return Scenery(
        event_id=event_id,
        package_ids=packages,
        token=system.issuer.token(COORDINATOR),
        catalogue_id=catalogue_id,
        catalogue_package_ids=catalogue,
        wide_id=wide_id,
        wide_package_ids=wide,
        reported_id=reported_id,
        reported_package_ids=reported,
        searched_id=searched_id,
        searched_package_ids=searched,
    )


def _add_event(api: httpx.Client, title: str, *, packages: int) -> tuple[str, list[str]]:
    starts = datetime.now(UTC) + timedelta(days=30)
    times = {"starts_at": starts.isoformat(), "ends_at": (starts + timedelta(hours=3)).isoformat()}
    event_id = str(_ok(api.post("/admin/events", json={"title": title, **times}))["id"])
    made = [_add_package(api, event_id, f"Package {number}") for number in range(packages)]
    _ok(api.post(f"/admin/events/{event_id}/publish"))
    _ok(api.put(f"/admin/events/{event_id}/members/{COORDINATOR}", json={"role": "coordinator"}))
    return event_id, made


def _add_option(api: httpx.Client, event_id: str, package_id: str, label: str) -> None:
    body = {"label": label, "option_type": "multi_select", "choices": ["Fish", "Lamb", "Vegan"], "is_required": False}
    _ok(api.post(f"/admin/events/{event_id}/ticket-packages/{package_id}/custom-options", json=body))


def add_limited_package(system: System, scenery: Scenery, *, limit: int) -> str:
    """Add a package with the quantity limit `limit`; return its id."""
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
