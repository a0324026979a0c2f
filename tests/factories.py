"""Events, teams, packages and orders for tests, made through the API as users make them."""

import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
from psycopg import sql

from infra.local.services.issuer import Issuer
from infra.local.tokens import ADMIN
from tests.architecture.application import load

UNKNOWN_ID = "0199aaaa-bbbb-7ccc-8ddd-eeeeffff0000"
"""An id that belongs to nothing."""


def bearer(token: str) -> dict[str, str]:
    """The header that a signed-in user sends."""
    return {"Authorization": f"Bearer {token}"}


def new_email(who: str = "somebody") -> str:
    """An address that no other test uses."""
    return f"{who}-{uuid.uuid4().hex[:12]}@example.com"


def new_key() -> str:
    """An idempotency key that no other test uses."""
    return uuid.uuid4().hex


def in_days(days: float) -> str:
    """A moment in the future (or the past), as clients write it."""
    moment = datetime.now(UTC) + timedelta(days=days)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def event_fields(**fields: Any) -> dict[str, Any]:
    """What a client sends to create an event; `fields` replace some of it."""
    return {"title": "Spring Gala", "starts_at": in_days(30), "ends_at": in_days(30.125)} | fields


def package_fields(**fields: Any) -> dict[str, Any]:
    """What a client sends to create a package; `fields` replace some of it."""
    return {"name": "Single seat", "description": "One seat.", "price_cents": 5_000} | fields


def order_fields(items: Sequence[tuple[str, int]], /, **fields: Any) -> dict[str, Any]:
    """What a buyer sends for (package id, quantity) pairs; `fields` replace some of it."""
    return {
        "customer": {"name": "Ada Lovelace", "email": "ada@example.com"},
        "items": [{"package_id": package_id, "quantity": quantity} for package_id, quantity in items],
        "payment_method": "test",
    } | fields


def create_event(client: httpx.Client, token: str, **fields: Any) -> dict[str, Any]:
    """Create a draft event."""
    return _made(client.post("/admin/events", json=event_fields(**fields), headers=bearer(token)))


def publish_event(client: httpx.Client, token: str, event_id: str) -> dict[str, Any]:
    """Open an event for sale."""
    return _made(client.post(f"/admin/events/{event_id}/publish", headers=bearer(token)))


def cancel_event(client: httpx.Client, token: str, event_id: str) -> dict[str, Any]:
    """Cancel an event."""
    return _made(client.post(f"/admin/events/{event_id}/cancel", headers=bearer(token)))


def put_member(client: httpx.Client, token: str, event_id: str, email: str, role: str) -> dict[str, Any]:
    """Give an address a role in an event."""
    answer = client.put(f"/admin/events/{event_id}/members/{email}", json={"role": role}, headers=bearer(token))
    return _made(answer)


def create_package(client: httpx.Client, token: str, event_id: str, **fields: Any) -> dict[str, Any]:
    """Add a package to an event."""
    path = f"/admin/events/{event_id}/ticket-packages"
    return _made(client.post(path, json=package_fields(**fields), headers=bearer(token)))


def send_order(
    client: httpx.Client,
    event_id: str,
    items: Sequence[tuple[str, int]],
    /,
    *,
    key: str | None = None,
    token: str | None = None,
    **fields: Any,
) -> httpx.Response:
    """Ask for tickets, as a guest or with a token, and return any answer."""
    headers = {"Idempotency-Key": key or new_key()} | (bearer(token) if token else {})
    return client.post(f"/public/events/{event_id}/orders", json=order_fields(items, **fields), headers=headers)


def place_order(
    client: httpx.Client, event_id: str, items: Sequence[tuple[str, int]], *, token: str | None = None, **fields: Any
) -> dict[str, Any]:
    """Buy tickets and return the order."""
    return _made(send_order(client, event_id, items, token=token, **fields))


def _made(answer: httpx.Response) -> dict[str, Any]:
    assert answer.is_success, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
    made: dict[str, Any] = answer.json()
    return made


@dataclass(frozen=True)
class Evening:
    """An event with its own coordinator; each token is signed when it is asked for, with the present key."""

    client: httpx.Client
    issuer: Issuer
    event: dict[str, Any]
    coordinator: str

    @property
    def id(self) -> str:
        """The event's id."""
        return str(self.event["id"])

    @property
    def event_id(self) -> uuid.UUID:
        """The event's id, as the domain has it."""
        return uuid.UUID(self.id)

    @property
    def path(self) -> str:
        """Where the event's team finds it."""
        return f"/admin/events/{self.id}"

    @property
    def packages(self) -> str:
        """Where the event's team finds its packages."""
        return f"{self.path}/ticket-packages"

    @property
    def token(self) -> str:
        """A token of the coordinator."""
        return self.issuer.token(self.coordinator)

    @property
    def headers(self) -> dict[str, str]:
        """The coordinator's Authorization header."""
        return bearer(self.token)

    def package(self, **fields: Any) -> dict[str, Any]:
        """Add a package."""
        return create_package(self.client, self.token, self.id, **fields)

    def read_package(self, package_id: str) -> dict[str, Any]:
        """The package as the coordinator sees it now."""
        return _made(self.client.get(f"{self.packages}/{package_id}", headers=self.headers))

    def patch_package(self, package_id: str, change: dict[str, Any], **headers: str) -> httpx.Response:
        """Change a package and return any answer."""
        return self.client.patch(f"{self.packages}/{package_id}", json=change, headers=self.headers | headers)

    def order(self, *items: tuple[str, int], **fields: Any) -> dict[str, Any]:
        """Buy tickets as a guest."""
        return place_order(self.client, self.id, items, **fields)


def open_evening(client: httpx.Client, issuer: Issuer, *, published: bool = True, **fields: Any) -> Evening:
    """Return an event with its own coordinator, on sale unless `published` is False."""
    event = create_event(client, issuer.token(ADMIN), **fields)
    evening = Evening(client, issuer, event, new_email("coordinator"))
    put_member(client, issuer.token(ADMIN), evening.id, evening.coordinator, "coordinator")
    if published:
        publish_event(client, evening.token, evening.id)
    return evening


def archive_trail(environment: dict[str, str], event_id: str) -> str:
    """Archive an event's audit trail as if this month had ended long ago; return the month."""
    archives = load("shared.domain.audit.archives", environment)
    now = datetime.now(UTC)
    archives.archive_event(uuid.UUID(event_id), now=now + timedelta(days=62))
    load("shared.kit.db.engine", environment).engine().dispose()
    return f"{now:%Y-%m}"


_TABLES = {
    "events": "id",
    "event_members": "event_id",
    "ticket_packages": "event_id",
    "stock": "event_id",
    "custom_options": "event_id",
    "promo_codes": "event_id",
    "promo_code_packages": "event_id",
    "promo_code_stock": "event_id",
    "promo_code_customers": "event_id",
    "promo_code_uses": "event_id",
    "orders": "event_id",
    "order_items": "event_id",
    "order_notes": "event_id",
    "ledger": "event_id",
    "tickets": "event_id",
    "option_answers": "event_id",
    "audit_log": "event_id",
    "erasures": "event_id",
    "idempotency_keys": "event_id",
    "report_schedules": "event_id",
}


def event_state(database_url: str, event_id: str) -> dict[str, Any]:
    """All that the database holds about an event; it is equal before and after a refusal."""
    with psycopg.connect(database_url) as connection:
        state: dict[str, Any] = {
            table: connection.execute(
                sql.SQL("SELECT to_jsonb(t) FROM {} t WHERE {} = %s ORDER BY to_jsonb(t)::text").format(
                    sql.Identifier(table), sql.Identifier(column)
                ),
                [event_id],
            ).fetchall()
            for table, column in _TABLES.items()
        }
        # Whether a message is sent and how far a provider is may change at any time; the rows' existence may not.
        for table in ("payments", "refunds"):
            facts = sql.SQL("SELECT id, order_id, amount_cents FROM {} WHERE event_id = %s ORDER BY id")
            state[table] = connection.execute(facts.format(sql.Identifier(table)), [event_id]).fetchall()
        state["outbox"] = connection.execute(
            "SELECT id, kind, payload FROM outbox WHERE event_id = %s ORDER BY id", [event_id]
        ).fetchall()
        state["number of events"] = connection.execute("SELECT count(*) FROM events").fetchone()
    return state


_PAST_SALES = """
WITH past AS (
  SELECT n, now() - make_interval(days => 1, secs => %(count)s - n) AS at,
         gen_random_uuid() AS order_id, gen_random_uuid() AS item_id
    FROM generate_series(1, %(count)s::bigint) AS n
), placed AS (
  INSERT INTO orders (event_id, id, number, status, customer, customer_name, customer_email, currency, subtotal_cents,
                      discount_cents, fee_cents, tax_cents, total_cents, refunded_cents, payment_method,
                      access_token_hash, created_at, paid_at)
  SELECT %(event)s, order_id, 'ORD-PAST-' || n, 'paid', 'email:' || n, coalesce(%(name)s, 'Bea Buyer ' || n),
         'bea-' || n || '@example.com', 'USD', 100, 0, 0, 0, 100, 0, 'test', sha256(order_id::text::bytea), at, at
    FROM past
), items AS (
  INSERT INTO order_items (event_id, id, order_id, position, kind, package_id, description, quantity,
                           seats_per_package, unit_price_cents, discount_cents, total_cents)
  SELECT %(event)s, item_id, order_id, 0, 'package', %(package)s, 'Seat', 1, 1, 100, 0, 100 FROM past
)
INSERT INTO tickets (event_id, id, order_item_id, number, status, code_revision, created_at)
SELECT %(event)s, gen_random_uuid(), item_id, 'TKT-PAST-' || n, 'valid', 1, at FROM past
"""


def add_past_sales(database_url: str, event_id: str, package_id: str, count: int, *, name: str | None = None) -> None:
    """Write `count` paid orders of one ticket for 1.00 directly to the database, each a second after the last."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        what = {"event": event_id, "package": package_id, "count": count, "name": name}
        connection.execute(_PAST_SALES.encode(), what)


def query(database_url: str, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Return the rows that the database answers."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        return connection.execute(sql.SQL(statement), parameters).fetchall()


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that the answer is one problem document with this status and code; return the document."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    problem: dict[str, Any] = answer.json()
    assert (problem["status"], problem["code"]) == (status, code), problem
    assert problem["title"]
    assert problem["detail"]
    assert problem["type"]
    assert answer.headers["X-Request-Id"] == problem["request_id"]
    return problem


def pointers(problem: dict[str, Any]) -> list[str]:
    """The pointers of the faults, sorted."""
    return sorted(fault["pointer"] for fault in problem["errors"])


def at_once[T](count: int, call: Callable[[int], T]) -> list[T]:
    """The results of `call(0)` to `call(count - 1)`, which as many threads begin at the same moment."""
    barrier = threading.Barrier(count)

    def run(number: int) -> T:
        barrier.wait()
        return call(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))
