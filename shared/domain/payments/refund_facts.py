"""Applies what a provider says about refunds: ours succeed or fail, those made without us are booked (R-ORD-7).

A message describes single refunds, or gives only the sum of all of them. The part of a sum that the known refunds do
not explain is stored as one refund without a reference. When a later message describes a single refund, its amount is
taken out of that one. So the result is the same in whatever order, and however often, a provider describes its refunds.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from shared.domain.payments.provider import RefundFacts, RefundStatus
from shared.domain.payments.refunds import add_refund, book_refund_elsewhere
from shared.kit.ids import new_id

ELSEWHERE = "refunded_at_the_provider"

_KNOWN = """
SELECT id, amount_cents, status, provider_reference, reason FROM refunds
 WHERE event_id = %(event_id)s AND payment_id = %(payment_id)s ORDER BY id FOR NO KEY UPDATE
"""
_UPDATE = """
UPDATE refunds SET amount_cents = %(amount_cents)s, status = %(status)s, provider_reference = %(provider_reference)s,
       last_error = CASE WHEN %(status)s = 'failed' THEN coalesce(%(failure)s, last_error) END, updated_at = %(now)s
 WHERE event_id = %(event_id)s AND id = %(id)s
"""
_RANK = {status: rank for rank, status in enumerate(RefundStatus)}


@dataclass(slots=True)
class _Known:
    id: UUID
    amount_cents: int
    status: RefundStatus
    provider_reference: str | None
    reason: str

    @property
    def is_at_the_provider(self) -> bool:
        """Whether the provider has this refund or will have it: only a refund that it refused is never in its sums."""
        return self.status != RefundStatus.FAILED or self.provider_reference is not None


class RefundNotes:
    """The refunds of one payment. The caller has locked the order."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        event_id: UUID,
        order_id: UUID,
        *,
        payment_id: UUID,
        pays_order: bool,
        now: datetime,
    ) -> None:
        """`pays_order` says that this payment paid the order, so its refunds are the order's refunds."""
        self._connection = connection
        self._event_id = event_id
        self._order_id = order_id
        self._payment_id = payment_id
        self._pays_order = pays_order
        self._now = now
        with connection.cursor(row_factory=class_row(_Known)) as cursor:
            self._known = cursor.execute(_KNOWN, {"event_id": event_id, "payment_id": payment_id}).fetchall()

    def take(self, refund: RefundFacts) -> None:
        """Note what the provider says about one refund."""
        known = self._find(refund)
        if known is None and self._ours(refund):
            return  # old news about an attempt of ours before the current one
        known = known or self._from_the_rest(refund) or self._add(refund.amount_cents)
        if known.provider_reference != refund.reference or _RANK[refund.status] > _RANK[RefundStatus(known.status)]:
            known.status = refund.status
        known.provider_reference = refund.reference
        self._write(known, failure=refund.failure)

    def take_sum(self, refunded_cents: int) -> None:
        """Note the sum of all refunds; what it has beyond the known refunds was refunded without us."""
        missing = refunded_cents - sum(known.amount_cents for known in self._known if known.is_at_the_provider)
        if missing <= 0:
            return
        rest = self._rest
        if rest is None:
            self._add(missing)
        else:
            rest.amount_cents += missing
            self._write(rest)
            self._book(rest, missing)

    @property
    def told_cents(self) -> int:
        """The sum of the refunds that the provider has told us about."""
        return sum(known.amount_cents for known in self._known if known.provider_reference or known.reason == ELSEWHERE)

    @property
    def _rest(self) -> _Known | None:
        """The refund that stands for what is known only from sums."""
        nameless = (known for known in self._known if known.reason == ELSEWHERE and known.provider_reference is None)
        return next(nameless, None)

    def _find(self, refund: RefundFacts) -> _Known | None:
        """Find the refund that the provider means, by its reference, or our own in a new attempt after a failed one."""
        by_reference = (known for known in self._known if known.provider_reference == refund.reference)
        if found := next(by_reference, None):
            return found
        ours = self._ours(refund)
        if ours is None or ours.provider_reference is None:
            return ours
        is_next = ours.status != RefundStatus.SUCCEEDED and refund.status != RefundStatus.FAILED
        return ours if is_next else None

    def _ours(self, refund: RefundFacts) -> _Known | None:
        return next((known for known in self._known if known.id == refund.ours), None)

    def _from_the_rest(self, refund: RefundFacts) -> _Known | None:
        """Take the refund out of what is known only from sums; return None if there is nothing."""
        rest = self._rest
        if rest is None:
            return None
        left = rest.amount_cents - refund.amount_cents
        if left > 0:
            rest.amount_cents = left
            self._write(rest)
            return self._add(refund.amount_cents, booked=True)
        rest.amount_cents = refund.amount_cents
        self._book(rest, -left)
        return rest

    def _add(self, amount_cents: int, *, booked: bool = False) -> _Known:
        known = _Known(new_id(), amount_cents, RefundStatus.SUCCEEDED, None, ELSEWHERE)
        add_refund(
            self._connection,
            self._event_id,
            self._order_id,
            known.id,
            payment_id=self._payment_id,
            amount_cents=amount_cents,
            status=known.status,
            reason=ELSEWHERE,
            now=self._now,
        )
        self._known.append(known)
        if not booked:
            self._book(known, amount_cents)
        return known

    def _book(self, known: _Known, amount_cents: int) -> None:
        if self._pays_order and amount_cents:
            book_refund_elsewhere(
                self._connection, self._event_id, self._order_id, amount_cents, refund_id=known.id, now=self._now
            )

    def _write(self, known: _Known, *, failure: str | None = None) -> None:
        fields = {name: getattr(known, name) for name in ("id", "amount_cents", "status", "provider_reference")}
        self._connection.execute(_UPDATE, fields | {"event_id": self._event_id, "failure": failure, "now": self._now})
