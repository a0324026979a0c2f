"""What the database says of an event after the crowd has gone, and whether it agrees with itself."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row


def counts(database_url: str, event_id: str) -> dict[str, int]:
    """Packages sold and held by the stock rows, and orders, packages and tickets by the rows of the orders."""
    return _one(
        database_url,
        """
        SELECT (SELECT sum(sold)::int FROM package_stock WHERE event_id = %(event)s) AS sold,
               (SELECT sum(held)::int FROM package_stock WHERE event_id = %(event)s) AS held,
               (SELECT count(*)::int FROM orders WHERE event_id = %(event)s) AS orders,
               (SELECT coalesce(sum(quantity), 0)::int FROM order_items WHERE event_id = %(event)s) AS packages,
               (SELECT count(*)::int FROM tickets WHERE event_id = %(event)s) AS tickets
        """,
        event_id,
    )


def disagreements(database_url: str, event_id: str) -> list[dict[str, Any]]:
    """Packages whose stock row, order items and tickets do not tell the same; an empty list is what one hopes for."""
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        return connection.execute(
            """
            SELECT s.package_id, s.sold, s.held, s.quantity_limit, coalesce(sum(i.quantity), 0)::int AS ordered,
                   coalesce(sum(i.quantity * i.seats_per_package), 0)::int AS seats,
                   coalesce(sum(t.tickets), 0)::int AS tickets
              FROM package_stock s
              LEFT JOIN order_items i ON i.event_id = s.event_id AND i.package_id = s.package_id
              LEFT JOIN LATERAL (SELECT count(*) AS tickets FROM tickets k
                                  WHERE k.event_id = i.event_id AND k.order_item_id = i.id) AS t ON true
             WHERE s.event_id = %s
             GROUP BY s.event_id, s.package_id
            HAVING s.sold <> coalesce(sum(i.quantity), 0) OR s.held <> 0 OR s.sold > s.quantity_limit
                OR coalesce(sum(t.tickets), 0) <> coalesce(sum(i.quantity * i.seats_per_package), 0)
            """,
            [event_id],
        ).fetchall()


def deadlocks(client: httpx.Client) -> float:
    """How often the host has run a transaction again because it waited for another one in a circle."""
    found = re.search(
        r'^boxoffice_transaction_retries_total\{reason="deadlock"\} (\S+)$', client.get("/metrics").text, re.MULTILINE
    )
    return float(found[1]) if found else 0.0


def wait_for_locks(database_url: str, count: int, poll: Callable[[Callable[[], bool]], bool]) -> None:
    """Until so many transactions of this database wait for what others have locked."""
    with psycopg.connect(database_url, autocommit=True) as connection:

        def waiting() -> int:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ).fetchone()
            assert row is not None
            return int(row[0])

        poll(lambda: waiting() >= count)


def _one(database_url: str, query: str, event_id: str) -> dict[str, int]:
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        row = connection.execute(query, {"event": event_id}).fetchone()
    assert row is not None
    return row
