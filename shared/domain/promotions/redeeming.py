"""A promo code in a purchase: read and checked against the database, claimed in the order's transaction (R-PROMO-3).

No cache is used here. The claim is guarded like a claim of stock: it names the terms that were read, and the counts for
each code and each customer rise only while they are below their limits, so a code is never over-redeemed (R-PROMO-6).
"""

import base64
import hmac
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from shared.domain.orders.settings import order_settings
from shared.domain.promotions import errors, rules

type Promo = rules.Promo
"""A promo code as it was read, for the order that redeems it."""

CLAIM_REFUSED = "BX002"

_READ = """
SELECT c.id, c.code, c.discount_type, c.discount_value, s.max_uses, s.uses, c.max_uses_per_customer,
       coalesce(u.uses, 0) AS uses_by_customer, c.starts_at, c.expires_at, c.min_order_cents, c.is_active, s.terms,
       ARRAY(SELECT p.package_id FROM promo_code_packages p
              WHERE p.event_id = c.event_id AND p.promo_code_id = c.id) AS package_ids
  FROM promo_codes c
  JOIN promo_code_stock s ON s.event_id = c.event_id AND s.promo_code_id = c.id
  LEFT JOIN promo_code_customers u
         ON u.event_id = c.event_id AND u.promo_code_id = c.id AND u.customer = %(customer)s
 WHERE c.event_id = %(event_id)s AND c.code = %(code)s
"""

_NOTE_USE = """
INSERT INTO promo_code_uses (event_id, order_id, promo_code_id, customer, discount_cents, created_at)
VALUES (%(event_id)s, %(order_id)s, %(promo_code_id)s, %(customer)s, %(discount_cents)s, %(now)s)
"""

# Always after the claims of stock: all orders take their locks in the same sequence, so they never deadlock.
_CLAIM = "SELECT claim_promo_code(%(event_id)s, %(promo_code_id)s, %(terms)s, %(customer)s, %(max_per_customer)s)"


def read_promo(connection: psycopg.Connection[Any], event_id: UUID, code: str, *, customer: str) -> Promo:
    """Return the code as the database has it now, with this customer's uses; raises `PromoCodeUnknown`."""
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            _READ, {"event_id": event_id, "code": code.strip().upper(), "customer": customer}, prepare=True
        ).fetchone()
    if row is None:
        raise errors.PromoCodeUnknown(pointer=rules.POINTER)
    return rules.Promo(**row | {"package_ids": frozenset(row["package_ids"])})


def discounts(promo: Promo, lines: Sequence[tuple[UUID, int]], *, now: datetime) -> list[int]:
    """Return what the code takes off each line (package, subtotal in cents), or refuse it."""
    return rules.discounts(promo, lines, now=now)


def customer_of(user_id: UUID | None, email: str) -> str:
    """Return who counts as one customer: the signed-in user, else a keyed hash of the mailbox.

    With the hash, limits can count a guest without another copy of the address, and still count the guest after the
    address is erased (docs/decisions/0021). If `ORDER_LINK_KEY` changes, counting starts again.
    """
    plain = rules.customer_key(user_id, email)
    if user_id is not None:
        return plain
    digest = hmac.digest(_counting_key(), b"customer " + plain.encode(), "sha256")
    return f"guest:{base64.urlsafe_b64encode(digest[:18]).decode()}"


@lru_cache(maxsize=1)
def _counting_key() -> bytes:
    return base64.b64decode(order_settings().order_link_key)


def claim_promo(
    connection: psycopg.Connection[Any],
    event_id: UUID,
    promo: Promo,
    *,
    order_id: UUID,
    customer: str,
    discount_cents: int,
    now: datetime,
) -> None:
    """Add the code's use to the pipeline of the order; the server raises `CLAIM_REFUSED` if it is used up after all."""
    use = {"event_id": event_id, "promo_code_id": promo.id, "customer": customer}
    connection.execute(
        _NOTE_USE, use | {"order_id": order_id, "discount_cents": discount_cents, "now": now}, prepare=True
    )
    connection.execute(
        _CLAIM, use | {"terms": promo.terms, "max_per_customer": promo.max_uses_per_customer}, prepare=True
    )


_RETURN = """
UPDATE promo_code_uses SET returned_at = %(now)s
 WHERE event_id = %(event_id)s AND order_id = ANY(%(order_ids)s) AND returned_at IS NULL
RETURNING promo_code_id, customer
"""
_LESS_FOR_CODE = """
UPDATE promo_code_stock SET uses = uses - %(uses)s WHERE event_id = %(event_id)s AND promo_code_id = %(promo_code_id)s
"""
_LESS_FOR_CUSTOMER = """
UPDATE promo_code_customers SET uses = uses - %(uses)s
 WHERE event_id = %(event_id)s AND promo_code_id = %(promo_code_id)s AND customer = %(customer)s
"""
_AGAIN = """
UPDATE promo_code_uses SET returned_at = NULL
 WHERE event_id = %(event_id)s AND order_id = %(order_id)s AND returned_at IS NOT NULL
RETURNING promo_code_id, customer
"""
# The code's terms may have changed; what matters is that it is not over-redeemed.
_CLAIM_AGAIN = """
SELECT claim_promo_code(%(event_id)s, c.id, s.terms, %(customer)s, c.max_uses_per_customer)
  FROM promo_codes c JOIN promo_code_stock s ON s.event_id = c.event_id AND s.promo_code_id = c.id
 WHERE c.event_id = %(event_id)s AND c.id = %(promo_code_id)s
"""


def return_uses(
    connection: psycopg.Connection[Any], event_id: UUID, order_ids: Sequence[UUID], *, now: datetime
) -> None:
    """Give back the uses of orders that ended or were refunded; codes and then customers are locked in order."""
    which = {"event_id": event_id, "order_ids": list(order_ids), "now": now}
    uses = connection.execute(_RETURN, which).fetchall()
    by_code = Counter(promo_code_id for promo_code_id, _ in uses)
    by_customer = Counter(uses)
    for promo_code_id in sorted(by_code):
        less = {"event_id": event_id, "promo_code_id": promo_code_id, "uses": by_code[promo_code_id]}
        connection.execute(_LESS_FOR_CODE, less)
        for code, customer in sorted(use for use in by_customer if use[0] == promo_code_id):
            count = by_customer[code, customer]
            connection.execute(_LESS_FOR_CUSTOMER, less | {"customer": customer, "uses": count})


def redeem_again(connection: psycopg.Connection[Any], event_id: UUID, order_id: UUID) -> None:
    """Claim a returned use again for an order that is paid late; the server raises `CLAIM_REFUSED` if it can't."""
    row = connection.execute(_AGAIN, {"event_id": event_id, "order_id": order_id}).fetchone()
    if row is not None:
        promo_code_id, customer = row
        what = {"event_id": event_id, "promo_code_id": promo_code_id, "customer": customer}
        connection.execute(_CLAIM_AGAIN, what)
