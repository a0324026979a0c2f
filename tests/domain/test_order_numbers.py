"""The random part of an order's number collides once in 700 million draws: rare, but not for a large event."""

import uuid
from datetime import UTC, datetime
from itertools import chain, repeat

import psycopg
import pytest

from tests.architecture.application import load
from tests.harness.desk import Desk, know_settings

NOW = datetime(2026, 11, 20, 18, tzinfo=UTC)


@pytest.fixture
def sale(fresh_database):
    """A connection to a database with one package on sale, and the ids of event and package."""
    event_id, package_id, user_id = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO users (id, issuer, subject, is_super_admin, created_at) VALUES (%s, 'i', 's', false, %s)",
            [user_id, NOW],
        )
        connection.execute(
            """INSERT INTO events (id, title, slug, status, starts_at, ends_at, timezone, currency,
                                   lock_price_after_sales, created_by, created_at, updated_at, version)
               VALUES (%s, 'Gala', 'gala', 'published', %s, %s::timestamptz + interval '1 hour', 'UTC', 'USD',
                       false, %s, %s, %s, 1)""",
            [event_id, NOW, NOW, user_id, NOW, NOW],
        )
        connection.execute(
            "INSERT INTO stock (event_id, id, held, sold, terms) VALUES (%s, %s, 0, 0, 1)",
            [event_id, package_id],
        )
        connection.execute(
            """INSERT INTO ticket_packages (event_id, id, name, description, price_cents, seats_per_package,
                                            display_order, is_enabled, is_sponsorship, min_per_order, is_transferable,
                                            created_by, created_at, updated_at, version)
               VALUES (%s, %s, 'Seat', 'A seat', 1000, 2, 0, true, false, 1, true, %s, %s, %s, 1)""",
            [event_id, package_id, user_id, NOW, NOW],
        )
        yield connection, event_id, package_id


def test_an_order_whose_number_is_taken_draws_another_one(sale, app_environment, monkeypatch):
    placing = load("shared.domain.orders.placing.commands", app_environment)
    drafting = load("shared.domain.orders.placing.drafting", app_environment)
    connection, event_id, package_id = sale
    words = chain(repeat("SAMEAA", 3), repeat("FRESHB"))
    monkeypatch.setattr(drafting, "random_word", lambda length: next(words))

    numbers = [
        placing.place_order(
            connection,
            event_id,
            placing.OrderPlace.model_validate(
                {
                    "customer": {"name": "Bo", "email": "bo@example.test"},
                    "items": [{"package_id": package_id, "quantity": 1}],
                    "payment_method": "test",
                }
            ),
            actor=placing.Actor(user_id=None, email=None, name=None),
            idempotency=placing.Idempotency(event_id, uuid.uuid4().bytes * 2, bytes(32)),
            channel=placing.SalesChannel(paid_at_once=frozenset({"test"})),
            now=NOW,
        ).number
        for _ in range(2)
    ]

    assert numbers == ["ORD-20261120-SAMEAA", "ORD-20261120-FRESHB"]
    assert connection.execute("SELECT sold FROM stock").fetchone() == (2,)
    assert connection.execute("SELECT count(*) FROM tickets").fetchone() == (4,)


def test_the_numbers_of_an_orders_tickets_are_of_one_width(fresh_database, app_environment):
    know_settings(app_environment)
    desk = Desk(fresh_database)
    try:
        package = desk.package()
        for quantity, first, last in ((9, "01", "09"), (99, "01", "99"), (100, "001", "100")):
            numbers = [ticket.number for ticket in desk.place({package: quantity}, by="test").tickets]
            ends = [number.rpartition("-")[2] for number in numbers]
            assert (len(ends), ends[0], ends[-1]) == (quantity, first, last)
    finally:
        desk.close()
