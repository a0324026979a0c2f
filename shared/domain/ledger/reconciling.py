"""Whether the books of an event agree: orders, stock, promo codes, tickets, ledger and provider (R-ORD-8)."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, get_args
from uuid import UUID

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from shared.domain.ledger.checks import CHECKS, OVERDUE_FOR, STUCK_AFTER, Check, Row
from shared.domain.ledger.schemas import FindingOut, Kind
from shared.domain.payments.facts import note_asked
from shared.domain.payments.messages import PROVIDER_REFUND
from shared.domain.payments.provider import FINAL, Facts, Provider, ProviderDown, ProviderRefused
from shared.domain.payments.providers import online_provider
from shared.kit.db.unit_of_work import raw_connection
from shared.kit.outbox.retrying import ATTEMPTS_AT_MOST

log = logging.getLogger(__name__)

KINDS: tuple[Kind, ...] = get_args(Kind.__value__)
BY_KIND = {check.kind: check for check in CHECKS}
PROVIDER_MISMATCH = "provider_mismatch"

_AT_MOST = 200  # findings of a kind are listed; all are counted
_ASKED_AT_MOST = 20  # payments in one run, because the provider is asked about them one by one
_OPEN_FOR = timedelta(hours=1)
_ASKED_FOR = timedelta(days=30)
_ACTIVE_FOR = timedelta(days=30)

# First the payments that were not updated for the longest time. Asking counts as an update, so each has its turn.
_OPEN_PAYMENTS = """
SELECT p.id, p.id AS payment_id, p.order_id, p.reference, p.status, o.number
  FROM payments p JOIN orders o ON o.event_id = p.event_id AND o.id = p.order_id
 WHERE p.event_id = %(event_id)s AND p.provider = %(provider)s AND p.status NOT IN ('succeeded', 'cancelled')
   AND p.created_at BETWEEN %(oldest)s AND %(youngest)s
 ORDER BY p.updated_at, p.id LIMIT %(at_most)s
"""
# Events in which something may have changed, or in which an earlier finding may be gone.
_ACTIVE_EVENTS = """
SELECT e.id FROM events e
 WHERE EXISTS (SELECT FROM orders o WHERE o.event_id = e.id AND o.created_at >= %(since)s)
    OR EXISTS (SELECT FROM payments p WHERE p.event_id = e.id AND p.updated_at >= %(since)s)
    OR EXISTS (SELECT FROM refunds r WHERE r.event_id = e.id AND (r.updated_at >= %(since)s OR r.status <> 'succeeded'))
    OR EXISTS (SELECT FROM reconciliations r WHERE r.event_id = e.id AND r.findings <> '{}')
 ORDER BY e.id
"""
_REMEMBER = """
INSERT INTO reconciliations AS r (event_id, checked_at, findings, stock_drift)
VALUES (%(event_id)s, %(now)s, %(counts)s, %(stock_drift)s)
    ON CONFLICT (event_id) DO UPDATE
   SET checked_at = excluded.checked_at, findings = excluded.findings, stock_drift = excluded.stock_drift
 WHERE r.checked_at <= excluded.checked_at
"""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check has found: some findings are listed, all are counted."""

    findings: list[FindingOut]
    counts: dict[str, int]
    stock_drift: int = 0


def finding_id(kind: str, subject: UUID) -> str:
    """Return the finding's name, which stays the same for as long as it is found."""
    return f"{kind}:{subject}"


def check_books(connection: psycopg.Connection[Any], event_id: UUID, *, now: datetime) -> Checked:
    """Find what does not agree in the event's own data now, without asking the provider."""
    findings: list[FindingOut] = []
    counts: dict[str, int] = {}
    drift = 0
    for check in CHECKS:
        statement = (
            f"SELECT f.*, count(*) OVER () AS found FROM ({check.statement}) AS f ORDER BY f.id LIMIT {_AT_MOST}"  # noqa: S608 - constants
        )
        rows = _ask(connection, statement, event_id, now=now)
        findings += [_finding(check, row) for row in rows]
        if rows:
            counts[check.kind] = rows[0]["found"]
        drift += sum(row.get("drift", 0) for row in rows)
    return Checked(findings, counts, drift)


def look_again(
    connection: psycopg.Connection[Any], event_id: UUID, check: Check, subject: UUID, *, now: datetime
) -> FindingOut | None:
    """Check one finding again; return None if it no longer holds."""
    rows = _ask(connection, check.statement, event_id, now=now, only=subject)
    return _finding(check, rows[0]) if rows else None


def _ask(
    connection: psycopg.Connection[Any], statement: str, event_id: UUID, *, now: datetime, only: UUID | None = None
) -> list[Row]:
    moments = {"stuck_since": now - STUCK_AFTER, "overdue_since": now - OVERDUE_FOR}
    with connection.cursor(row_factory=dict_row) as cursor:
        what = {"event_id": event_id, "only": only}
        stuck = {"sends_refund": PROVIDER_REFUND.name, "attempts": ATTEMPTS_AT_MOST}
        return cursor.execute(statement.encode(), what | moments | stuck).fetchall()


def _finding(check: Check, row: Row) -> FindingOut:
    ids = {name: row[name] for name in FindingOut.model_fields if name.endswith("_id") and name in row}
    return FindingOut.model_validate(
        {
            "id": finding_id(check.kind, row["id"]),
            "kind": check.kind,
            "detail": check.tell(row),
            "repairable": check.repairable(row),
            **ids,
        }
    )


def open_payments(connection: psycopg.Connection[Any], event_id: UUID, *, now: datetime) -> list[Row]:
    """Return old payments that have not ended yet; none if no provider takes payments online here."""
    provider = online_provider()
    if provider is None:
        return []
    window = {"oldest": now - _ASKED_FOR, "youngest": now - _OPEN_FOR, "at_most": _ASKED_AT_MOST}
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(_OPEN_PAYMENTS, window | {"event_id": event_id, "provider": provider.name}).fetchall()


def ask_provider(payments: Sequence[Row]) -> list[FindingOut]:
    """Ask the provider about these payments and return those that differ; raises `ProviderDown`.

    Runs outside any transaction.
    """
    provider = online_provider()
    if provider is None:
        return []
    told = [differing(payment, look(provider, payment["reference"])) for payment in payments]
    return [finding for finding in told if finding is not None]


def look(provider: Provider, reference: str) -> Facts:
    """Ask for a payment's state. The facts are empty if the provider does not know it (of an earlier account, say)."""
    try:
        return provider.look(reference)
    except ProviderRefused as refusal:
        log.warning("The payment provider says nothing about %s: %s", reference, refusal)
        return Facts(reference)


def differing(payment: Row, facts: Facts) -> FindingOut | None:
    """Return a finding if a payment has ended at the provider but not here; the states before may differ."""
    if facts.status not in FINAL:
        return None
    return FindingOut(
        id=finding_id(PROVIDER_MISMATCH, payment["id"]),
        kind="provider_mismatch",
        detail=f"A payment of {payment['number']} is {payment['status']} here, and {facts.status} at the provider.",
        repairable=True,
        order_id=payment["order_id"],
        payment_id=payment["id"],
    )


def reconcile_all(*, now: datetime) -> dict[str, int]:
    """Check every event in which something happens; store and return how many findings of each kind there are."""
    with raw_connection() as connection:
        event_ids = [row[0] for row in connection.execute(_ACTIVE_EVENTS, {"since": now - _ACTIVE_FOR}).fetchall()]
    totals: dict[str, int] = {}
    for event_id in event_ids:
        for kind, count in _reconcile(event_id, now=now).items():
            totals[kind] = totals.get(kind, 0) + count
    return totals


def _reconcile(event_id: UUID, *, now: datetime) -> dict[str, int]:
    with raw_connection() as connection:
        checked = check_books(connection, event_id, now=now)
        payments = open_payments(connection, event_id, now=now)
    try:
        differing = ask_provider(payments)
    except ProviderDown:
        log.warning("The payment provider could not be asked about event %s", event_id)
        payments, differing = [], []
    counts = checked.counts | ({PROVIDER_MISMATCH: len(differing)} if differing else {})
    asked = _apart([payment["id"] for payment in payments], differing)
    with raw_connection() as connection:
        if asked:
            note_asked(connection, event_id, asked, now=now)
        kept = {"counts": Jsonb(counts), "stock_drift": checked.stock_drift}
        connection.execute(_REMEMBER, {"event_id": event_id, "now": now} | kept)
    for kind, count in counts.items():
        log.warning("The books of event %s disagree: %s × %d", event_id, kind, count)
    return counts


def _apart(payment_ids: Iterable[UUID], differing: Iterable[FindingOut]) -> list[UUID]:
    """Leave out the payments that differ: they stay first in line, so that the next run finds them again."""
    found = {finding.payment_id for finding in differing}
    return [payment_id for payment_id in payment_ids if payment_id not in found]


def last_findings(connection: psycopg.Connection[Any]) -> tuple[int, dict[str, int]]:
    """Return what the last checks of all events found: by how many units stock is wrong, and the count of each kind."""
    row = connection.execute("SELECT coalesce(sum(stock_drift), 0)::bigint FROM reconciliations").fetchone()
    assert row is not None
    found = connection.execute(
        "SELECT key, sum(value::bigint)::bigint FROM reconciliations, jsonb_each_text(findings) GROUP BY key"
    ).fetchall()
    counts: dict[str, int] = dict.fromkeys(KINDS, 0)
    return row[0], counts | dict(found)
