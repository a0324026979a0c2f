"""What has happened to an order, read from the records of each thing; the timeline itself is not stored (R-SALES-6).

| Kind | Where it is read from |
|---|---|
| `placed`, `paid`, `ended` | the order's own times |
| `payment_…` | the payment: its beginning, then its present state; the ledger says when it succeeded |
| `refund_…` | the refund: who decided it, then how far the money is; the audit trail says how many tickets it took |
| `email` | the outbox: sent, waiting or failed, and who had it sent again |
| `note` | the team's notes |
| `changed` | the audit trail, for everything else that the team did |
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row
from sqlalchemy.orm import Session

from shared.domain.messaging.kinds import KINDS
from shared.domain.orders.schemas import OrderOut
from shared.domain.orders.team.schemas import NoteOut, Person, TeamOrderOut, TimelineEntry
from shared.kit.db.unit_of_work import driver_connection

_MESSAGES = {kind.name: kind for kind in KINDS if kind.timeline is not None}
_AT_MOST = 500  # of each kind, the newest

# Audit entries that only repeat another record: the timeline shows that record instead.
_TOLD_ELSEWHERE = ("refund", "resent")

_PLACED = """
SELECT o.channel, o.created_at, o.paid_at, o.ended_at, o.status, o.payment_method, o.total_cents, o.placed_by,
       u.name AS placer_name, u.email AS placer_email
  FROM orders o LEFT JOIN users u ON u.id = o.placed_by
 WHERE o.event_id = %(event_id)s AND o.id = %(order_id)s
"""
_PAYMENTS = """
SELECT p.id, p.provider, p.reference, p.status, p.amount_cents, p.failure, p.is_mismatch, p.disputed_at, p.created_at,
       p.updated_at, (SELECT min(l.created_at) FROM ledger l
                       WHERE l.event_id = p.event_id AND l.order_id = p.order_id AND l.cause = p.id) AS booked_at
  FROM payments p WHERE p.event_id = %(event_id)s AND p.order_id = %(order_id)s ORDER BY p.id DESC LIMIT %(at_most)s
"""
_REFUNDS = """
SELECT r.id, r.amount_cents, r.reason, r.status, r.last_error, r.created_at, r.updated_at, r.payment_id, r.created_by,
       u.name AS by_name, u.email AS by_email,
       (SELECT (a.new_value ->> 'tickets')::int FROM audit_log a
         WHERE a.event_id = r.event_id AND a.entity_id = r.order_id::text AND a.entity_type = 'order'
           AND a.field = 'refund' AND a.at = r.created_at LIMIT 1) AS tickets
  FROM refunds r LEFT JOIN users u ON u.id = r.created_by
 WHERE r.event_id = %(event_id)s AND r.order_id = %(order_id)s ORDER BY r.id DESC LIMIT %(at_most)s
"""
_EMAILS = """
SELECT m.id, m.kind, m.created_at, m.done_at, m.attempts, m.last_error, u.id AS by_id, u.name AS by_name,
       u.email AS by_email
  FROM outbox m LEFT JOIN users u ON u.id = (m.payload ->> 'resent_by')::uuid
 WHERE m.event_id = %(event_id)s AND m.payload ->> 'order_id' = %(order_id)s::text
   AND m.kind = ANY(%(shown)s) ORDER BY m.id DESC LIMIT %(at_most)s
"""
_NOTES = """
SELECT n.id, n.text, n.created_at, u.id AS author_id, u.name AS author_name, u.email AS author_email
  FROM order_notes n JOIN users u ON u.id = n.author_id
 WHERE n.event_id = %(event_id)s AND n.order_id = %(order_id)s ORDER BY n.id DESC LIMIT %(at_most)s
"""
_CHANGES = """
SELECT id, at, actor_id, actor_name, actor_email, field, old_value, new_value FROM audit_log
 WHERE event_id = %(event_id)s AND entity_id = %(order_id)s::text AND entity_type = 'order'
   AND field <> ALL(%(told)s) ORDER BY seq DESC LIMIT %(at_most)s
"""

type _Row = dict[str, Any]


def with_history(session: Session, order: OrderOut) -> TeamOrderOut:
    """Return an order as the team sees it: with its notes, and all that has happened to it, the oldest first."""
    connection = driver_connection(session)
    told = list(_TOLD_ELSEWHERE)
    shown = list(_MESSAGES)
    which = {"event_id": order.event_id, "order_id": order.id, "at_most": _AT_MOST, "told": told, "shown": shown}

    def ask(statement: str) -> list[_Row]:
        with connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(statement.encode(), which).fetchall()

    [own] = ask(_PLACED)
    notes, changes = ask(_NOTES), ask(_CHANGES)
    entries = [
        *_own(own, changes),
        *(entry for row in ask(_PAYMENTS) for entry in _of_payment(row)),
        *(entry for row in ask(_REFUNDS) for entry in _of_refund(row)),
        *map(_of_email, ask(_EMAILS)),
        *map(_of_note, notes),
        *map(_of_change, changes),
    ]
    return TeamOrderOut(
        **dict(order),
        channel=own["channel"],
        notes=[_note_out(row) for row in reversed(notes)],
        timeline=sorted(entries, key=lambda entry: entry.at),
    )


def note_of(connection: psycopg.Connection[Any], event_id: UUID, order_id: UUID, note_id: UUID) -> NoteOut:
    """Return one note, as the list shows it."""
    which = {"event_id": event_id, "order_id": order_id, "at_most": _AT_MOST}
    with connection.cursor(row_factory=dict_row) as cursor:
        return next(_note_out(row) for row in cursor.execute(_NOTES, which) if row["id"] == note_id)


def _entry(at: datetime, kind: str, actor: Person | None = None, **detail: Any) -> TimelineEntry:
    known = {name: value for name, value in detail.items() if value is not None}
    return TimelineEntry.model_validate({"at": at, "kind": kind, "actor": actor, "detail": known})


def _person(row: _Row, id_: str, name: str, email: str) -> Person | None:
    return None if row[id_] is None else Person(id=row[id_], name=row[name], email=row[email])


def _own(row: _Row, changes: list[_Row]) -> list[TimelineEntry]:
    seller = _person(row, "placed_by", "placer_name", "placer_email")
    entries = [_entry(row["created_at"], "placed", seller, channel=row["channel"], total_cents=row["total_cents"])]
    if row["paid_at"] is not None:
        entries.append(_entry(row["paid_at"], "paid", method=row["payment_method"]))
    by_team = any(change["at"] == row["ended_at"] and change["field"] == "status" for change in changes)
    if row["ended_at"] is not None and not by_team:
        # An order that ended and was paid after all has none of these states any more: it had expired.
        status = row["status"] if row["status"] in {"cancelled", "expired", "failed"} else "expired"
        entries.append(_entry(row["ended_at"], "ended", status=status))
    return entries


def _of_payment(row: _Row) -> list[TimelineEntry]:
    which = {"provider": row["provider"], "reference": row["reference"]}
    begun = _entry(row["created_at"], "payment_begun", **which, amount_cents=row["amount_cents"])
    entries = [begun]
    if row["status"] != "created":
        at = (row["booked_at"] if row["status"] == "succeeded" else None) or row["updated_at"]
        more = {
            "failure": row["failure"],
            "amount_cents": row["amount_cents"],
            "is_mismatch": row["is_mismatch"] or None,
        }
        entries.append(_entry(at, f"payment_{row['status']}", **which, **more))
    if row["disputed_at"] is not None:
        entries.append(_entry(row["disputed_at"], "payment_disputed", **which))
    return entries


def _of_refund(row: _Row) -> list[TimelineEntry]:
    which = {"refund_id": row["id"], "amount_cents": row["amount_cents"]}
    actor = _person(row, "created_by", "by_name", "by_email")
    decided = _entry(
        row["created_at"], "refund_decided", actor, **which, reason=row["reason"], tickets_voided=row["tickets"]
    )
    how_far = _entry(row["updated_at"], f"refund_{row['status']}", **which, error=row["last_error"])
    return [decided, how_far]


def _of_email(row: _Row) -> TimelineEntry:
    kind = _MESSAGES[row["kind"]]
    state = "sent" if row["done_at"] else "failed" if kind.is_given_up(row["attempts"]) else "waiting"
    return _entry(
        row["created_at"],
        "email",
        _person(row, "by_id", "by_name", "by_email"),
        message=kind.timeline,
        state=state,
        sent_at=row["done_at"],
        attempts=row["attempts"],
        error=None if row["done_at"] else row["last_error"],
    )


def _of_note(row: _Row) -> TimelineEntry:
    author = _person(row, "author_id", "author_name", "author_email")
    return _entry(row["created_at"], "note", author, note_id=row["id"], text=row["text"])


def _of_change(row: _Row) -> TimelineEntry:
    actor = Person(id=row["actor_id"], name=row["actor_name"], email=row["actor_email"])
    return _entry(row["at"], "changed", actor, field=row["field"], old=row["old_value"], new=row["new_value"])


def _note_out(row: _Row) -> NoteOut:
    author = Person(id=row["author_id"], name=row["author_name"], email=row["author_email"])
    return NoteOut(id=row["id"], text=row["text"], author=author, created_at=row["created_at"])
