"""What is measured under load, by name."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.bench.plans import KEY, FloorPlan, LoadPlan
from tests.bench.scenery import PROMO_CODE, Scenery
from tests.bench.system import System

CONCURRENCIES = (1, 8, 32)


@dataclass(frozen=True)
class Pace:
    """How long each measurement takes, and how often it is repeated."""

    rounds: int
    seconds: float
    warm_seconds: float


@dataclass(frozen=True)
class Case:
    """One thing to measure; the floor of an order case is the case named in `floor`."""

    title: str
    plan: Callable[[System, Scenery, int, Pace], LoadPlan | FloorPlan]
    floor: str | None = None
    leaves_mail: bool = False
    at_once: tuple[int, ...] = CONCURRENCIES


def request(method: str, path: str, *, body: str = "", **headers: str) -> str:
    """One HTTP/1.1 request as text."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", body])


def order_request(scenery: Scenery, package_id: str, *, event_id: str | None = None, **more: str) -> str:
    """An order for one package, with a new key each time it is sent."""
    path = scenery.orders_path(event_id or scenery.event_id)
    body = {
        "customer": {"name": "Bea Buyer", "email": "bea@demo.test"},
        "items": [{"package_id": package_id, "quantity": 1}],
        "payment_method": "test",
        **more,
    }
    return request("POST", path, body=json.dumps(body), Idempotency_Key=KEY)


def _reads(make: Callable[[Scenery], str]) -> Callable[[System, Scenery, int, Pace], LoadPlan]:
    def plan(system: System, scenery: Scenery, concurrency: int, pace: Pace) -> LoadPlan:
        return _load(system, [make(scenery)], 200, concurrency, pace)

    return plan


def _orders(packages: int, **more: str) -> Callable[[System, Scenery, int, Pace], LoadPlan]:
    def plan(system: System, scenery: Scenery, concurrency: int, pace: Pace) -> LoadPlan:
        requests = [order_request(scenery, package_id, **more) for package_id in scenery.package_ids[:packages]]
        return _load(system, requests, 201, concurrency, pace)

    return plan


def _wide_orders(system: System, scenery: Scenery, concurrency: int, pace: Pace) -> LoadPlan:
    requests = [order_request(scenery, each, event_id=scenery.wide_id) for each in scenery.wide_package_ids]
    return _load(system, requests, 201, concurrency, pace)


def _load(system: System, requests: list[str], status: int, concurrency: int, pace: Pace) -> LoadPlan:
    return LoadPlan(
        concurrency=concurrency,
        seconds=pace.seconds,
        warm_seconds=pace.warm_seconds,
        port=system.host.port,
        requests=requests,
        expected=[status],
    )


def _floor(packages: int) -> Callable[[System, Scenery, int, Pace], FloorPlan]:
    def plan(system: System, scenery: Scenery, concurrency: int, pace: Pace) -> FloorPlan:
        return FloorPlan(
            concurrency=concurrency,
            seconds=pace.seconds,
            warm_seconds=pace.warm_seconds,
            url=system.floor_url,
            event_id=scenery.event_id,
            package_ids=scenery.package_ids[:packages],
        )

    return plan


def _wide_floor(system: System, scenery: Scenery, concurrency: int, pace: Pace) -> FloorPlan:
    return replace(
        _floor(0)(system, scenery, concurrency, pace), event_id=scenery.wide_id, package_ids=scenery.wide_package_ids
    )


def authorised(scenery: Scenery, path: str) -> str:
    """A read by the coordinator."""
    return request("GET", path, Authorization=f"Bearer {scenery.token}")


ALL = 1_000
CASES = {
    "live": Case("trivial function (GET health/live)", _reads(lambda _: request("GET", "/api/v1/health/live"))),
    "list": Case("list 20 packages (public)", _reads(lambda scenery: request("GET", scenery.list_path))),
    "list-50": Case("list 50 packages with 4 options (public)", _reads(lambda s: request("GET", s.catalogue_path))),
    "list-50-admin": Case(
        "list 50 packages with 4 options (admin)", _reads(lambda s: authorised(s, s.admin_catalogue_path(page_size=50)))
    ),
    "read": Case("read one package (admin, bearer token)", _reads(lambda s: authorised(s, s.package_path))),
    "order-hot": Case("place an order, one package", _orders(1), floor="floor-hot", leaves_mail=True),
    "order-spread": Case("place an order, 20 packages", _orders(ALL), floor="floor-spread", leaves_mail=True),
    "order-promo": Case(
        "place an order with a promo code", _orders(1, promo_code=PROMO_CODE), floor="floor-hot", leaves_mail=True
    ),
    "order-64": Case("place an order, 64 packages", _wide_orders, floor="floor-64", leaves_mail=True, at_once=(8, 32)),
    "floor-hot": Case("floor: the order's SQL, one package", _floor(1)),
    "floor-spread": Case("floor: the order's SQL, 20 packages", _floor(ALL)),
    "floor-64": Case("floor: the order's SQL, 64 packages", _wide_floor, at_once=(8, 32)),
    "commit": Case("floor: insert one short row and commit", _floor(0)),
}
