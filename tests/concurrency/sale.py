"""A published event with something to sell."""

import uuid
from typing import Any

import httpx


def open_sale(client: httpx.Client, admin: dict[str, str], *packages: dict[str, Any]) -> tuple[str, list[str]]:
    """Publish an event with the given packages; return the event's id and the packages' ids."""
    event = client.post(
        "/admin/events",
        headers=admin,
        json={
            "title": "Rush",
            "slug": f"rush-{uuid.uuid4().hex[:12]}",
            "starts_at": "2030-05-01T18:00:00Z",
            "ends_at": "2030-05-01T23:00:00Z",
        },
    ).json()
    client.post(f"/admin/events/{event['id']}/publish", headers=admin).raise_for_status()
    made = []
    for number, package in enumerate(packages):
        body = {"name": f"Package {number}", "description": "A seat", "price_cents": 2_500} | package
        made.append(client.post(f"/admin/events/{event['id']}/ticket-packages", headers=admin, json=body).json()["id"])
    return event["id"], made
