"""How fast pending orders are paid and paid orders are refunded, with the development provider."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from tests.bench.cases import order_request, request
from tests.bench.leftovers import strike_off_mail
from tests.bench.plans import KEY, LoadPlan
from tests.bench.scenery import Scenery
from tests.bench.system import System
from tests.bench.windows import measure, summary

AT_ONCE = (1, 8)


def measure_money(system: System, scenery: Scenery, *, orders: int) -> dict[str, Any]:
    """Begin and confirm the payment of each of some orders, then refund them; rates are orders a second."""
    return {"orders": orders, "at_once": {str(each): _measure(system, scenery, orders, each) for each in AT_ONCE}}


def _measure(system: System, scenery: Scenery, orders: int, at_once: int) -> dict[str, Any]:
    pending = _hold(system, scenery, orders)
    strike_off_mail(system)
    steps = {
        "payment-intent": (201, [_of(order, "payment-intent") for order in pending]),
        "confirm": (200, [_of(order, "confirm", card="succeeds") for order in pending]),
        "refund": (201, [_refund(scenery, order) for order in pending]),
    }
    figures: dict[str, Any] = {}
    for step, (status, requests) in steps.items():
        plan = LoadPlan(
            concurrency=at_once,
            seconds=0,
            warm_seconds=0,
            port=system.host.port,
            requests=requests,
            expected=[status],
            limit=orders,
        )
        window = measure(system, plan)
        strike_off_mail(system)
        figures[step] = summary([window])
    begun, confirmed = figures["payment-intent"], figures["confirm"]
    figures["pay"] = {
        "rate": round(1 / (1 / begun["rate"] + 1 / confirmed["rate"]), 1),
        "p50": round(begun["p50"] + confirmed["p50"], 2),
        "cpu_ms": {part: begun["cpu_ms"][part] + confirmed["cpu_ms"][part] for part in begun["cpu_ms"]},
        "unexpected": 0,
        "samples": [],
    }
    return figures


def _hold(system: System, scenery: Scenery, orders: int) -> list[dict[str, Any]]:
    body = order_request(scenery, scenery.package_ids[0], payment_method="card").partition("\r\n\r\n")[2]
    path = scenery.orders_path(scenery.event_id)
    with httpx.Client(base_url=system.host.url, timeout=30, trust_env=False) as client, ThreadPoolExecutor(8) as pool:

        def place(number: int) -> dict[str, Any]:
            headers = {"Content-Type": "application/json", "Idempotency-Key": f"held-{id(pool)}-{number}"}
            order: dict[str, Any] = client.post(path, content=body, headers=headers).raise_for_status().json()
            return order

        return list(pool.map(place, range(orders)))


def _of(order: dict[str, Any], what: str, **body: str) -> str:
    path = f"/api/v1/public/orders/{order['id']}/{what}"
    headers = {"X_Order_Token": order["access_token"], "Idempotency_Key": KEY}
    return request("POST", path, body=json.dumps(body), **headers)


def _refund(scenery: Scenery, order: dict[str, Any]) -> str:
    path = f"/api/v1/admin/events/{scenery.event_id}/orders/{order['id']}/refund"
    headers = {"Authorization": f"Bearer {scenery.token}", "Idempotency_Key": KEY}
    return request("POST", path, body=json.dumps({"reason": "Ill"}), **headers)
