"""What the database holds about an event after the crowd has gone, and whether its tables agree."""

import re
from collections.abc import Callable
from typing import Any

import httpx
import psycopg
from psycopg.rows import dict_row


def counts(database_url: str, event_id: str) -> dict[str, int]:
    """The packages sold and held in the stock rows, and the orders, packages and tickets in the orders' rows."""
    return _one(
        database_url,
        """
        SELECT (SELECT sum(sold)::int FROM stock WHERE event_id = %(event)s) AS sold,
               (SELECT sum(held)::int FROM stock WHERE event_id = %(event)s) AS held,
               (SELECT count(*)::int FROM orders WHERE event_id = %(event)s) AS orders,
               (SELECT coalesce(sum(quantity), 0)::int FROM order_items WHERE event_id = %(event)s) AS packages,
               (SELECT count(*)::int FROM tickets WHERE event_id = %(event)s) AS tickets
        """,
        event_id,
    )


def disagreements(database_url: str, event_id: str) -> list[dict[str, Any]]:
    """The rows on which the event's tables disagree, each with its rule; an empty list is the right result.

    Stock and items, promo codes and customers and their counts, orders and items, tickets and states, books and money.
    """
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")  # all rules see the same moment
        return [
            {"rule": rule} | row
            for rule, query in _RULES.items()
            for row in connection.execute(query.encode(), {"event": event_id}).fetchall()
        ]


def deadlocks(client: httpx.Client) -> float:
    """How often the host has run a transaction again because of a deadlock."""
    found = re.search(
        r'^boxoffice_transaction_retries_total\{reason="deadlock"\} (\S+)$', client.get("/metrics").text, re.MULTILINE
    )
    return float(found[1]) if found else 0.0


def wait_for_locks(database_url: str, count: int, poll: Callable[[Callable[[], bool]], bool]) -> None:
    """Wait until `count` transactions of this database wait for locks of others."""
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


# Each query finds the rows that break its rule.
_RULES = {
    "a package has held what pending orders ask for, sold what paid ones keep, and no more than there is": """
        SELECT s.id, s.held, s.sold, s.quantity_limit, o.pending, o.kept
          FROM stock s
          CROSS JOIN LATERAL (
               SELECT coalesce(sum(i.quantity) FILTER (WHERE o.status = 'pending'), 0) AS pending,
                      coalesce(sum(i.quantity - i.returned)
                               FILTER (WHERE o.status IN ('paid', 'partially_refunded')), 0) AS kept
                 FROM order_items i JOIN orders o ON o.event_id = i.event_id AND o.id = i.order_id
                WHERE i.event_id = s.event_id AND i.package_id = s.id) AS o
         WHERE s.event_id = %(event)s
           AND (s.held <> o.pending OR s.sold <> o.kept OR s.held + s.sold > s.quantity_limit)
    """,
    "an order is the sum of its items": """
        SELECT o.number, o.subtotal_cents, o.discount_cents, o.fee_cents, o.tax_cents, o.total_cents
          FROM orders o LEFT JOIN order_items i ON i.event_id = o.event_id AND i.order_id = o.id
         WHERE o.event_id = %(event)s
         GROUP BY o.event_id, o.id
        HAVING (o.subtotal_cents, o.discount_cents, o.fee_cents, o.tax_cents, o.included_fee_cents,
                o.included_tax_cents, o.total_cents) IS DISTINCT FROM
               (sum(i.quantity * i.unit_price_cents), sum(i.discount_cents), sum(i.fee_cents), sum(i.tax_cents),
                sum(i.included_fee_cents), sum(i.included_tax_cents), sum(i.total_cents + i.fee_cents + i.tax_cents))
    """,
    "an item has a ticket for each seat, in the state that its order is in": """
        SELECT o.number, o.status, o.paid_at, i.quantity, i.returned, t.*
          FROM orders o JOIN order_items i ON i.event_id = o.event_id AND i.order_id = o.id
          CROSS JOIN LATERAL (
               SELECT count(*) AS tickets, count(*) FILTER (WHERE status = 'reserved') AS reserved,
                      count(*) FILTER (WHERE status = 'void') AS void
                 FROM tickets WHERE event_id = i.event_id AND order_item_id = i.id) AS t
         WHERE o.event_id = %(event)s
           AND (t.tickets <> i.quantity * i.seats_per_package
                OR t.reserved <> CASE WHEN o.paid_at IS NULL THEN t.tickets ELSE 0 END
                OR CASE WHEN o.paid_at IS NULL THEN t.void + i.returned <> 0
                        WHEN o.status IN ('refunded', 'cancelled') THEN t.void <> t.tickets OR i.returned <> i.quantity
                        WHEN o.status = 'paid' THEN t.void + i.returned <> 0
                        ELSE i.returned <> t.void / i.seats_per_package END)
    """,
    "an order was paid exactly if it is in a state that follows payment, and refunded as far as its state says": """
        SELECT number, status, paid_at, total_cents, refunded_cents FROM orders
         WHERE event_id = %(event)s
           AND NOT CASE status WHEN 'paid' THEN paid_at IS NOT NULL AND refunded_cents = 0
                               WHEN 'partially_refunded' THEN paid_at IS NOT NULL AND refunded_cents > 0
                                                              AND refunded_cents < total_cents
                               WHEN 'refunded' THEN paid_at IS NOT NULL AND refunded_cents = total_cents
                               WHEN 'cancelled' THEN (paid_at IS NULL OR total_cents = 0) AND refunded_cents = 0
                               ELSE paid_at IS NULL AND refunded_cents = 0 END
    """,
    "a code's count is the count of its uses, by customer too, and within its limits": """
        SELECT c.code, s.uses, s.max_uses, u.uses AS noted, k.uses AS by_customers, c.max_uses_per_customer, k.most
          FROM promo_codes c
          JOIN promo_code_stock s ON s.event_id = c.event_id AND s.promo_code_id = c.id
          CROSS JOIN LATERAL (
               SELECT count(*) AS uses FROM promo_code_uses
                WHERE event_id = c.event_id AND promo_code_id = c.id AND returned_at IS NULL) AS u
          CROSS JOIN LATERAL (
               SELECT coalesce(sum(uses), 0) AS uses, coalesce(max(uses), 0) AS most FROM promo_code_customers
                WHERE event_id = c.event_id AND promo_code_id = c.id) AS k
         WHERE c.event_id = %(event)s AND (s.uses <> u.uses OR k.uses <> u.uses OR s.uses > s.max_uses)
    """,
    "a customer has used a code as often as it is noted": """
        SELECT k.promo_code_id, k.customer, k.uses FROM promo_code_customers k
         WHERE k.event_id = %(event)s AND k.uses <> (
               SELECT count(*) FROM promo_code_uses u
                WHERE u.event_id = k.event_id AND u.promo_code_id = k.promo_code_id AND u.customer = k.customer
                  AND u.returned_at IS NULL)
    """,
    "a code's use counts while its order is alive": """
        SELECT o.number, o.status, u.returned_at
          FROM orders o JOIN events e ON e.id = o.event_id
          LEFT JOIN promo_code_uses u ON u.event_id = o.event_id AND u.order_id = o.id
         WHERE o.event_id = %(event)s AND o.promo_code IS NOT NULL
           AND (u.order_id IS NULL OR (u.returned_at IS NULL) <> CASE o.status
                WHEN 'pending' THEN true WHEN 'paid' THEN true WHEN 'partially_refunded' THEN true
                WHEN 'refunded' THEN NOT e.return_promo_uses ELSE false END)
    """,
    "no customer has more living tickets than the event lets one have": """
        SELECT o.customer, count(*) AS tickets, e.max_tickets_per_customer
          FROM events e
          JOIN orders o ON o.event_id = e.id AND o.status IN ('pending', 'paid', 'partially_refunded')
          JOIN order_items i ON i.event_id = o.event_id AND i.order_id = o.id
          JOIN tickets t ON t.event_id = i.event_id AND t.order_item_id = i.id AND t.status <> 'void'
         WHERE e.id = %(event)s
         GROUP BY e.id, o.customer
        HAVING count(*) > e.max_tickets_per_customer
    """,
    "nothing is owed, and the books have of each order what was sold, taken and given back": """
        SELECT o.number, o.status, o.total_cents, o.refunded_cents, l.*
          FROM orders o
          CROSS JOIN LATERAL (
               SELECT coalesce(sum(amount_cents) FILTER (WHERE debit = 'receivable'), 0)
                      - coalesce(sum(amount_cents) FILTER (WHERE credit = 'receivable'), 0) AS receivable,
                      coalesce(sum(amount_cents) FILTER (WHERE kind = 'charge'), 0)
                      - coalesce(sum(amount_cents) FILTER (WHERE kind = 'refund' AND debit = 'receivable'), 0) AS taken,
                      coalesce(sum(amount_cents) FILTER (WHERE kind = 'refund' AND debit = 'refunds'), 0) AS given_back,
                      coalesce(sum(amount_cents) FILTER (WHERE kind = 'sale'), 0) AS sold,
                      coalesce(sum(amount_cents) FILTER (WHERE kind = 'discount'), 0) AS spared,
                      coalesce(sum(amount_cents) FILTER (WHERE kind = 'fee'), 0) AS fees,
                      coalesce(sum(amount_cents) FILTER (WHERE kind = 'tax'), 0) AS taxes
                 FROM ledger WHERE event_id = o.event_id AND order_id = o.id) AS l
         WHERE o.event_id = %(event)s
           AND ((l.receivable, l.given_back) <> (0, o.refunded_cents)
                OR (l.taken, l.sold, l.spared, l.fees, l.taxes) IS DISTINCT FROM CASE
                   WHEN o.paid_at IS NULL THEN (0::numeric, 0::numeric, 0::numeric, 0::numeric, 0::numeric)
                   ELSE (o.total_cents::numeric, o.subtotal_cents::numeric, o.discount_cents::numeric,
                         (o.fee_cents + o.included_fee_cents)::numeric, (o.tax_cents + o.included_tax_cents)::numeric)
                   END)
    """,
    "an order's refunds come to what it says was refunded": """
        SELECT o.number, o.refunded_cents, coalesce(sum(r.amount_cents), 0) AS refunds
          FROM orders o
          LEFT JOIN refunds r ON r.event_id = o.event_id AND r.order_id = o.id
                             AND r.reason NOT LIKE 'paid%%'
         WHERE o.event_id = %(event)s
         GROUP BY o.event_id, o.id
        HAVING o.refunded_cents <> coalesce(sum(r.amount_cents), 0)
    """,
    "who was charged has either the order or the money back": """
        SELECT o.number, o.status, p.reference, p.amount_cents, r.returned
          FROM payments p JOIN orders o ON o.event_id = p.event_id AND o.id = p.order_id
          CROSS JOIN LATERAL (
               SELECT coalesce(sum(amount_cents), 0) AS returned FROM refunds
                WHERE event_id = p.event_id AND payment_id = p.id AND reason LIKE 'paid%%') AS r
         WHERE p.event_id = %(event)s AND p.status = 'succeeded' AND NOT p.is_mismatch
           AND CASE WHEN o.paid_at IS NOT NULL AND o.payment_reference = p.reference THEN r.returned <> 0
                    ELSE r.returned <> p.amount_cents END
    """,
    "each paid order is confirmed once": """
        SELECT o.number, o.status, o.paid_at, count(m.id) AS confirmations
          FROM orders o
          LEFT JOIN outbox m ON m.event_id = o.event_id AND m.kind = 'order_confirmation'
                            AND m.payload ->> 'order_id' = o.id::text
         WHERE o.event_id = %(event)s
         GROUP BY o.event_id, o.id
        HAVING count(m.id) <> (o.paid_at IS NOT NULL)::int
    """,
}
