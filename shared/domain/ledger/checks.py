"""The checks of an event's books: each is one statement, which sees one moment and looks for what must not happen.

Selling, paying, refunding and expiring each happen in one transaction, so a statement never finds them half done. Each
statement returns rows with an `id`, which names the finding, and with the values for its sentence; `only` limits it to
one finding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from shared.domain.orders.lines.kinds import sold_id, sold_name
from shared.kit.money import MINOR_DIGITS, decimal_text

STUCK_AFTER = timedelta(minutes=15)
OVERDUE_FOR = timedelta(minutes=5)

type Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Check:
    """A check: its statement, the sentence that tells people of a finding, and whether one click can repair it."""

    kind: str
    statement: str
    tell: Callable[[Row], str]
    mendable: bool | Callable[[Row], bool] = False

    def repairable(self, row: Row) -> bool:
        """Whether there is a repair for this finding."""
        return self.mendable if isinstance(self.mendable, bool) else self.mendable(row)


# Sold means paid and not given back. An order that cost nothing counts as paid too, and may be cancelled.
STOCK_DRIFT = f"""
SELECT s.id, CASE WHEN s.kind = 'package' THEN s.id END AS package_id, {sold_name("s.event_id", "s.id")} AS name,
       s.held, s.sold, coalesce(o.held, 0) AS held_by_orders, coalesce(o.sold, 0) AS sold_by_orders,
       abs(s.held - coalesce(o.held, 0)) + abs(s.sold - coalesce(o.sold, 0)) AS drift
  FROM stock s
  LEFT JOIN (
       SELECT {sold_id("i")} AS stock_id,
              coalesce(sum(i.quantity) FILTER (WHERE o.status = 'pending'), 0)::bigint AS held,
              coalesce(sum(i.quantity - i.returned) FILTER (WHERE o.paid_at IS NOT NULL), 0)::bigint AS sold
         FROM order_items i JOIN orders o ON o.event_id = i.event_id AND o.id = i.order_id
        WHERE i.event_id = %(event_id)s GROUP BY 1) AS o ON o.stock_id = s.id
 WHERE s.event_id = %(event_id)s AND (%(only)s::uuid IS NULL OR s.id = %(only)s)
   AND (s.held <> coalesce(o.held, 0) OR s.sold <> coalesce(o.sold, 0))
"""  # noqa: S608 - constants

PROMO_DRIFT = """
WITH used AS (
  SELECT promo_code_id, customer, count(*) AS uses FROM promo_code_uses
   WHERE event_id = %(event_id)s AND returned_at IS NULL GROUP BY promo_code_id, customer
), by_code AS (
  SELECT promo_code_id, sum(uses)::bigint AS uses FROM used GROUP BY promo_code_id
), customers AS (
  SELECT promo_code_id, count(*) AS off
    FROM (SELECT promo_code_id, customer, uses FROM promo_code_customers
           WHERE event_id = %(event_id)s AND uses <> 0) AS counted
    FULL JOIN used USING (promo_code_id, customer)
   WHERE counted.uses IS DISTINCT FROM used.uses GROUP BY promo_code_id
)
SELECT s.promo_code_id AS id, s.promo_code_id, c.code, s.uses, coalesce(u.uses, 0) AS used,
       coalesce(m.off, 0) AS customers_off
  FROM promo_code_stock s
  JOIN promo_codes c ON c.event_id = s.event_id AND c.id = s.promo_code_id
  LEFT JOIN by_code u ON u.promo_code_id = s.promo_code_id
  LEFT JOIN customers m ON m.promo_code_id = s.promo_code_id
 WHERE s.event_id = %(event_id)s AND (%(only)s::uuid IS NULL OR s.promo_code_id = %(only)s)
   AND (s.uses <> coalesce(u.uses, 0) OR m.off IS NOT NULL)
"""

TOTALS_MISMATCH = """
SELECT o.id, o.id AS order_id, o.number, o.total_cents, i.total AS items_cents, o.currency
  FROM orders o
  LEFT JOIN (
       SELECT order_id, sum(quantity * unit_price_cents) AS subtotal, sum(discount_cents) AS discount,
              sum(fee_cents) AS fee, sum(tax_cents) AS tax, sum(included_fee_cents) AS included_fee,
              sum(included_tax_cents) AS included_tax, sum(total_cents + fee_cents + tax_cents)::bigint AS total
         FROM order_items
        WHERE event_id = %(event_id)s AND (%(only)s::uuid IS NULL OR order_id = %(only)s)
        GROUP BY order_id) AS i ON i.order_id = o.id
 WHERE o.event_id = %(event_id)s AND (%(only)s::uuid IS NULL OR o.id = %(only)s)
   AND (o.subtotal_cents, o.discount_cents, o.fee_cents, o.tax_cents, o.included_fee_cents, o.included_tax_cents,
        o.total_cents)
       IS DISTINCT FROM (i.subtotal, i.discount, i.fee, i.tax, i.included_fee, i.included_tax, i.total)
"""

# A sale is booked once, each of its parts separately; refunds are booked each time. Money that bought nothing goes back
# through the receivable account and changes no balance.
LEDGER_MISMATCH = """
WITH books AS (
  SELECT order_id,
         coalesce(sum(amount_cents) FILTER (WHERE kind = 'sale'), 0) AS subtotal,
         coalesce(sum(amount_cents) FILTER (WHERE kind = 'discount'), 0) AS discount,
         coalesce(sum(amount_cents) FILTER (WHERE kind = 'fee' AND debit = 'receivable'), 0) AS fee,
         coalesce(sum(amount_cents) FILTER (WHERE kind = 'tax' AND debit = 'receivable'), 0) AS tax,
         coalesce(sum(amount_cents) FILTER (WHERE kind = 'fee' AND debit = 'sales'), 0) AS included_fee,
         coalesce(sum(amount_cents) FILTER (WHERE kind = 'tax' AND debit = 'sales'), 0) AS included_tax,
         coalesce(sum(amount_cents) FILTER (WHERE kind = 'charge'), 0)
           - coalesce(sum(amount_cents) FILTER (WHERE kind = 'refund' AND debit = 'receivable'), 0) AS charged,
         coalesce(sum(amount_cents) FILTER (WHERE kind = 'refund' AND debit = 'refunds'), 0) AS refunded,
         coalesce(sum(amount_cents) FILTER (WHERE debit = 'receivable'), 0)
           - coalesce(sum(amount_cents) FILTER (WHERE credit = 'receivable'), 0) AS receivable,
         count(*) FILTER (WHERE NOT known) AS unknown,
         min(currency) FILTER (WHERE kind = 'sale') AS sold_in
    FROM (SELECT *, CASE kind
                      WHEN 'sale' THEN debit = 'receivable' AND credit = 'sales'
                      WHEN 'discount' THEN debit = 'discounts' AND credit = 'receivable'
                      WHEN 'fee' THEN debit IN ('receivable', 'sales') AND credit = 'fees'
                      WHEN 'tax' THEN debit IN ('receivable', 'sales') AND credit = 'taxes'
                      WHEN 'charge' THEN debit LIKE 'money:%%' AND credit = 'receivable'
                      ELSE debit IN ('refunds', 'receivable') AND credit LIKE 'money:%%'
                    END AS known
            FROM ledger
           WHERE event_id = %(event_id)s AND (%(only)s::uuid IS NULL OR order_id = %(only)s)) AS entries
   GROUP BY order_id
)
SELECT o.id, o.id AS order_id, o.number, o.currency, o.paid_at IS NOT NULL AS was_paid, o.total_cents,
       o.refunded_cents, coalesce(b.charged, 0)::bigint AS charged, coalesce(b.refunded, 0)::bigint AS refunded,
       coalesce(b.receivable, 0)::bigint AS receivable
  FROM (SELECT *, CASE WHEN paid_at IS NULL THEN 0 ELSE 1 END AS paid FROM orders) AS o
  LEFT JOIN books b ON b.order_id = o.id
 WHERE o.event_id = %(event_id)s AND (%(only)s::uuid IS NULL OR o.id = %(only)s)
   AND ((coalesce(b.subtotal, 0), coalesce(b.discount, 0), coalesce(b.fee, 0), coalesce(b.tax, 0),
         coalesce(b.included_fee, 0), coalesce(b.included_tax, 0), coalesce(b.charged, 0))
        <> (o.paid * o.subtotal_cents, o.paid * o.discount_cents, o.paid * o.fee_cents, o.paid * o.tax_cents,
            o.paid * o.included_fee_cents, o.paid * o.included_tax_cents, o.paid * o.total_cents)
     OR coalesce(b.refunded, 0) <> o.refunded_cents
     OR coalesce(b.receivable, 0) <> 0
     OR coalesce(b.unknown, 0) <> 0
     OR b.sold_in <> o.currency)
"""

PAID_NOT_ISSUED = """
SELECT o.id, o.id AS order_id, o.number, i.tickets, i.tickets - i.issued AS missing
  FROM orders o
  JOIN (
       SELECT i.order_id, sum(i.quantity * i.seats_per_package)::bigint AS tickets,
              coalesce(sum(t.issued), 0)::bigint AS issued
         FROM order_items i
         LEFT JOIN (
              SELECT order_item_id, count(*) AS issued FROM tickets
               WHERE event_id = %(event_id)s AND status <> 'reserved' GROUP BY order_item_id
              ) AS t ON t.order_item_id = i.id
        WHERE i.event_id = %(event_id)s AND (%(only)s::uuid IS NULL OR i.order_id = %(only)s)
        GROUP BY i.order_id) AS i ON i.order_id = o.id
 WHERE o.event_id = %(event_id)s AND (%(only)s::uuid IS NULL OR o.id = %(only)s)
   AND o.status IN ('paid', 'partially_refunded') AND i.issued < i.tickets
"""

ISSUED_NOT_PAID = """
SELECT o.id, o.id AS order_id, o.number, o.status, count(*) AS tickets,
       count(*) FILTER (WHERE t.status = 'used') AS used
  FROM orders o
  JOIN order_items i ON i.event_id = o.event_id AND i.order_id = o.id
  JOIN tickets t ON t.event_id = i.event_id AND t.order_item_id = i.id
 WHERE o.event_id = %(event_id)s AND (%(only)s::uuid IS NULL OR o.id = %(only)s)
   AND o.status NOT IN ('paid', 'partially_refunded') AND t.status IN ('valid', 'used', 'transferred')
 GROUP BY o.event_id, o.id
"""

# Payments of which nothing has gone back yet, neither through us nor directly at the provider.
_KEPT = """
   AND p.refunded_cents < p.amount_cents
   AND NOT EXISTS (SELECT FROM refunds r WHERE r.event_id = p.event_id AND r.payment_id = p.id)
"""

PAYMENT_MISMATCH = (
    """
SELECT p.id, p.id AS payment_id, p.order_id, o.number, p.amount_cents, p.currency, o.total_cents,
       o.currency AS order_currency
  FROM payments p JOIN orders o ON o.event_id = p.event_id AND o.id = p.order_id
 WHERE p.event_id = %(event_id)s AND (%(only)s::uuid IS NULL OR p.id = %(only)s)
   AND p.status = 'succeeded' AND p.is_mismatch
"""
    + _KEPT
)

PAYMENT_UNUSED = (
    """
SELECT p.id, p.id AS payment_id, p.order_id, o.number, o.status, p.amount_cents, p.currency
  FROM payments p JOIN orders o ON o.event_id = p.event_id AND o.id = p.order_id
 WHERE p.event_id = %(event_id)s AND (%(only)s::uuid IS NULL OR p.id = %(only)s)
   AND p.status = 'succeeded' AND NOT p.is_mismatch
   AND NOT (o.paid_at IS NOT NULL AND o.payment_reference IS NOT DISTINCT FROM p.reference)
"""
    + _KEPT
)

REFUND_STUCK = """
SELECT r.id, r.id AS refund_id, r.order_id, r.payment_id, o.number, r.amount_cents, o.currency, r.created_at
  FROM refunds r JOIN orders o ON o.event_id = r.event_id AND o.id = r.order_id
 WHERE r.event_id = %(event_id)s AND (%(only)s::uuid IS NULL OR r.id = %(only)s) AND r.status = 'pending'
   AND (r.updated_at < %(stuck_since)s OR EXISTS (
        SELECT FROM outbox m
         WHERE m.event_id = r.event_id AND m.kind = %(sends_refund)s AND m.payload ->> 'refund_id' = r.id::text
           AND m.done_at IS NULL AND m.attempts >= %(attempts)s))
"""

REFUND_FAILED = """
SELECT r.id, r.id AS refund_id, r.order_id, r.payment_id, o.number, r.amount_cents, o.currency, r.last_error
  FROM refunds r JOIN orders o ON o.event_id = r.event_id AND o.id = r.order_id
 WHERE r.event_id = %(event_id)s AND (%(only)s::uuid IS NULL OR r.id = %(only)s) AND r.status = 'failed'
"""

PAYMENT_DISPUTED = """
SELECT p.id, p.id AS payment_id, p.order_id, o.number, p.amount_cents, p.currency, p.disputed_at
  FROM payments p JOIN orders o ON o.event_id = p.event_id AND o.id = p.order_id
 WHERE p.event_id = %(event_id)s AND (%(only)s::uuid IS NULL OR p.id = %(only)s) AND p.disputed_at IS NOT NULL
"""

ORDER_OVERDUE = """
SELECT o.id, o.id AS order_id, o.number, o.expires_at FROM orders o
 WHERE o.event_id = %(event_id)s AND (%(only)s::uuid IS NULL OR o.id = %(only)s)
   AND o.status = 'pending' AND o.expires_at < %(overdue_since)s
"""


def _amount(cents: int, currency: str) -> str:
    return f"{decimal_text(cents, currency)} {currency}" if currency in MINOR_DIGITS else f"{cents} units of {currency}"


def _money(row: Row, field: str) -> str:
    return _amount(row[field], row["currency"])


def _tell_promo(row: Row) -> str:
    said = f"{row['code']} counts {row['uses']} uses; orders have used it {row['used']} times."
    return f"{said} The counts of {row['customers_off']} customers are wrong." if row["customers_off"] else said


def _tell_books(row: Row) -> str:
    owed = _amount(row["total_cents"] if row["was_paid"] else 0, row["currency"])
    return (
        f"The books of {row['number']} show {_money(row, 'charged')} charged, {_money(row, 'refunded')} refunded and"
        f" {_money(row, 'receivable')} still owed; the order shows {owed} and {_money(row, 'refunded_cents')},"
        " or their parts differ."
    )


def _tell_issued(row: Row) -> str:
    used = f", {row['used']} of them used" if row["used"] else ""
    return f"{row['number']} is {row['status']}, but {row['tickets']} of its tickets are issued{used}."


CHECKS = (
    Check(
        "stock_drift",
        STOCK_DRIFT,
        lambda row: (
            f"“{row['name']}” counts {row['held']} held and {row['sold']} sold;"
            f" its orders have {row['held_by_orders']} and {row['sold_by_orders']}."
        ),
    ),
    Check("promo_drift", PROMO_DRIFT, _tell_promo),
    Check(
        "totals_mismatch",
        TOTALS_MISMATCH,
        lambda row: (
            f"{row['number']} does not add up: the order says {_money(row, 'total_cents')},"
            f" its items {_amount(row['items_cents'] or 0, row['currency'])}, or their parts differ."
        ),
    ),
    Check("ledger_mismatch", LEDGER_MISMATCH, _tell_books),
    Check(
        "paid_not_issued",
        PAID_NOT_ISSUED,
        lambda row: f"{row['number']} is paid, but {row['missing']} of its {row['tickets']} tickets are not issued.",
        mendable=True,
    ),
    Check("issued_not_paid", ISSUED_NOT_PAID, _tell_issued, mendable=lambda row: row["used"] < row["tickets"]),
    Check(
        "payment_mismatch",
        PAYMENT_MISMATCH,
        lambda row: (
            f"{_money(row, 'amount_cents')} was paid for {row['number']},"
            f" which costs {_amount(row['total_cents'], row['order_currency'])}."
        ),
        mendable=True,
    ),
    Check(
        "payment_unused",
        PAYMENT_UNUSED,
        lambda row: (
            f"{_money(row, 'amount_cents')} was paid for {row['number']}, which is {row['status']}"
            " and was not paid by this payment; nothing has gone back."
        ),
        mendable=True,
    ),
    Check(
        "refund_stuck",
        REFUND_STUCK,
        lambda row: (
            f"A refund of {_money(row, 'amount_cents')} for {row['number']} has been waiting since"
            f" {row['created_at']:%Y-%m-%d %H:%M} UTC: the provider has not answered."
        ),
        mendable=True,
    ),
    Check(
        "refund_failed",
        REFUND_FAILED,
        lambda row: (
            f"The provider has refused to refund {_money(row, 'amount_cents')} for {row['number']}"
            f" ({row['last_error'] or 'no reason given'})."
        ),
        mendable=True,
    ),
    Check(
        "payment_disputed",
        PAYMENT_DISPUTED,
        lambda row: (
            f"The buyer of {row['number']} has disputed {_money(row, 'amount_cents')}"
            f" on {row['disputed_at']:%Y-%m-%d}: answer at the provider."
        ),
    ),
    Check(
        "order_overdue",
        ORDER_OVERDUE,
        lambda row: (
            f"{row['number']} still holds its tickets, though its time was up at {row['expires_at']:%H:%M} UTC."
        ),
        mendable=True,
    ),
)
