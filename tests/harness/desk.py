"""A sale inside the test's own process: the domain on a real database, without HTTP, at any chosen time."""

import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock
from uuid import UUID

import psycopg
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from shared.domain.catalog import commands as catalog
from shared.domain.catalog.schemas import EventCreate, EventPatch, PackageCreate, PackagePatch
from shared.domain.orders import cancelling
from shared.domain.orders.placing.basket import SalesChannel
from shared.domain.orders.placing.commands import place_order
from shared.domain.orders.releasing import release_all_overdue
from shared.domain.orders.schemas import OrderPlace, PlacedOrderOut
from shared.domain.payments.facts import take_note
from shared.domain.payments.provider import Facts, PaymentStatus
from shared.domain.payments.refund_rules import Wish
from shared.domain.payments.refunds import refund_order
from shared.domain.promotions.commands import create_promo_code
from shared.domain.promotions.schemas import PromoCodeCreate
from shared.kit.actor import GUEST, Actor
from shared.kit.db.idempotency import Idempotency
from shared.settings import read_settings

NOW = datetime(2026, 11, 20, 18, tzinfo=UTC)
ONLINE = SalesChannel(paid_at_once=frozenset({"test"}), paid_later=frozenset({"card"}))


class Desk:
    """A published event, and everything that can be done with its orders."""

    def __init__(self, database_url: str, **event: Any) -> None:
        self.connection = psycopg.connect(database_url, autocommit=True)
        self.engine: Engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://", 1))
        self.coordinator = Actor(uuid.uuid4(), f"{uuid.uuid4().hex}@example.com", "Coordinator", request_id="test")
        self.connection.execute(
            "INSERT INTO users (id, issuer, subject, is_super_admin, created_at) VALUES (%s, 'i', %s, false, %s)",
            [self.coordinator.user_id, str(self.coordinator.user_id), NOW],
        )
        times = {"starts_at": NOW + timedelta(days=30), "ends_at": NOW + timedelta(days=31)}
        body = EventCreate.model_validate({"title": "Gala"} | times | event)
        with self.session() as session:
            self.event_id = catalog.create_event(session, body, actor=self.coordinator, now=NOW).id
            catalog.publish_event(session, self.event_id, actor=self.coordinator, now=NOW)

    def close(self) -> None:
        self.connection.close()
        self.engine.dispose()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session whose work is committed if nothing is raised."""
        with Session(self.engine) as session:
            yield session
            session.commit()

    def package(self, **fields: Any) -> UUID:
        body = PackageCreate.model_validate({"name": "Seat", "description": "One", "price_cents": 1_000} | fields)
        with self.session() as session:
            made = catalog.create_package(session, self.event_id, body, actor=self.coordinator, now=NOW)
            return made[0].id

    def code(self, code: str, **fields: Any) -> UUID:
        body = PromoCodeCreate.model_validate(
            {"code": code, "discount_type": "percentage", "discount_value": 10} | fields
        )
        with self.session() as session:
            return create_promo_code(session, self.event_id, body, actor=self.coordinator, now=NOW)

    def change_event(self, **fields: Any) -> None:
        body, actor = EventPatch.model_validate(fields), self.coordinator
        with self.session() as session:
            catalog.update_event(session, self.event_id, body, actor=actor, if_match=None, now=NOW)

    def change_package(self, package_id: UUID, **fields: Any) -> None:
        body, actor = PackagePatch.model_validate(fields), self.coordinator
        with self.session() as session:
            catalog.update_package(session, self.event_id, package_id, body, actor=actor, if_match=None, now=NOW)

    def enable(self, package_id: UUID, *, enabled: bool) -> None:
        actor = self.coordinator
        with self.session() as session:
            catalog.set_enabled(
                session, self.event_id, package_id, enabled=enabled, actor=actor, if_match=None, now=NOW
            )

    def place(
        self,
        items: Mapping[UUID, int] | Sequence[tuple[UUID, int]],
        *,
        by: str = "card",
        email: str | None = None,
        promo_code: str | None = None,
        now: datetime = NOW,
    ) -> PlacedOrderOut:
        """Buy: `test` pays at once, `card` holds. Pairs may name a package on several lines."""
        lines = items.items() if isinstance(items, Mapping) else items
        body = OrderPlace.model_validate(
            {
                "customer": {"name": "Bo", "email": email or f"{uuid.uuid4().hex}@example.com"},
                "items": [{"package_id": package_id, "quantity": quantity} for package_id, quantity in lines],
                "payment_method": by,
                "promo_code": promo_code,
            }
        )
        key = self.new_key()
        return place_order(self.connection, self.event_id, body, actor=GUEST, channel=ONLINE, idempotency=key, now=now)

    def new_key(self) -> Idempotency:
        """A key that no other request has."""
        return Idempotency(self.event_id, uuid.uuid4().bytes * 2, bytes(32))

    def begin_payment(self, order: PlacedOrderOut, *, now: datetime = NOW, **differing: Any) -> str:
        """Begin a payment and return its reference."""
        reference = f"test_{uuid.uuid4().hex}"
        amount: dict[str, Any] = {"amount_cents": order.total_cents, "currency": order.currency} | differing
        self.hear(Facts(reference, PaymentStatus.CREATED, order=(self.event_id, order.id), **amount), now=now)
        return reference

    def hear(self, facts: Facts, *, now: datetime = NOW) -> None:
        """Apply a message of the provider."""
        with self.connection.transaction():
            take_note(self.connection, "test", facts, now=now)

    def pay(self, order: PlacedOrderOut, *, now: datetime = NOW) -> str:
        """Pay by card and return the payment's reference."""
        reference = self.begin_payment(order, now=now)
        self.hear(Facts(reference, PaymentStatus.SUCCEEDED), now=now)
        return reference

    def expire(self, *, now: datetime) -> None:
        """Do the timer's work."""
        release_all_overdue(self.connection, now=now)

    def cancel(self, order_id: UUID, *, now: datetime = NOW) -> None:
        with self.session() as session:
            cancelling.cancel(session, self.event_id, order_id, actor=self.coordinator, now=now)

    def refund(self, order_id: UUID, wish: Wish | None = None, *, now: datetime = NOW) -> None:
        with self.session() as session:
            refund_order(
                session,
                self.event_id,
                order_id,
                wish or Wish(),
                reason="Ill",
                actor=self.coordinator,
                idempotency=self.new_key(),
                now=now,
            )

    def rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return the rows that the database answers."""
        return self.connection.execute(statement.encode(), parameters).fetchall()

    def value(self, statement: str, *parameters: Any) -> Any:
        """Return the one value that the database answers."""
        ((value,),) = self.rows(statement, *parameters)
        return value

    def status(self, order_id: UUID) -> str:
        return str(self.value("SELECT status FROM orders WHERE id = %s", order_id))

    def stock(self, package_id: UUID) -> tuple[int, int]:
        """How many packages are held, and how many sold."""
        ((held, sold),) = self.rows("SELECT held, sold FROM stock WHERE id = %s", package_id)
        return held, sold


def know_settings(environment: Mapping[str, str]) -> None:
    """Have this process read the application's settings, as the application does at its start."""
    with mock.patch.dict(os.environ, environment):
        read_settings()
