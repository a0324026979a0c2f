"""Every change of tickets: reserving, issuing, making void, adding missing ones, erasing. No other code writes tickets.

All of it happens inside the caller's transaction, which has locked the order first (`orders` by id), so two changes of
the same order's tickets never happen at the same time.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import psycopg

from shared.domain.tickets.rules import ticket_numbers
from shared.domain.tickets.states import ADMITS, TicketState
from shared.kit.ids import new_id

INSERT_TICKETS = """
  INSERT INTO tickets (event_id, id, order_item_id, number, status, code_revision, created_at)
  SELECT %(event_id)s, t.id, t.order_item_id, t.number, t.status, 1, %(now)s
    FROM json_to_recordset(%(tickets)s::json) AS t(id uuid, order_item_id uuid, number text, status text)"""
"""A part of the one statement that writes an order; `tickets` is JSON."""

_ADD_MISSING = INSERT_TICKETS + " ON CONFLICT (event_id, number) DO NOTHING"
_OF_ORDER = """order_item_id IN (
       SELECT id FROM order_items WHERE event_id = %(event_id)s AND order_id = %(order_id)s)"""
_ISSUE = f"""
UPDATE tickets SET status = 'valid' WHERE event_id = %(event_id)s AND status = 'reserved' AND {_OF_ORDER}
"""  # noqa: S608 - constants
_VOID = "UPDATE tickets SET status = 'void' WHERE event_id = %(event_id)s AND id = ANY(%(ticket_ids)s)"
_VOID_ALL = f"""
UPDATE tickets SET status = 'void' WHERE event_id = %(event_id)s AND status <> 'void' AND {_OF_ORDER}
"""  # noqa: S608 - constants
_TAKE_BACK = f"""
UPDATE tickets SET status = %(to)s WHERE event_id = %(event_id)s AND status = ANY(%(admits)s) AND {_OF_ORDER}
"""  # noqa: S608 - constants
_LOCK = """
SELECT order_item_id, id, status = 'void' FROM tickets
 WHERE event_id = %(event_id)s AND order_item_id = ANY(%(item_ids)s) ORDER BY number FOR NO KEY UPDATE
"""
_ERASE_HOLDERS = """
UPDATE tickets t SET holder_name = CASE WHEN t.holder_name IS NOT NULL THEN %(name)s END,
       holder_email = CASE WHEN t.holder_email IS NOT NULL THEN %(email)s END
 WHERE t.event_id = %(event_id)s
   AND (t.id = ANY(%(ticket_ids)s) OR t.order_item_id IN (
        SELECT i.id FROM order_items i WHERE i.event_id = %(event_id)s AND i.order_id = ANY(%(order_ids)s)))
   AND (t.holder_name, t.holder_email) IS DISTINCT FROM (%(name)s, %(email)s)
   AND (t.holder_name IS NOT NULL OR t.holder_email IS NOT NULL)
"""


def issue(connection: psycopg.Connection[Any], event_id: UUID, order_id: UUID) -> None:
    """Issue the reserved tickets of an order that has been paid."""
    connection.execute(_ISSUE, {"event_id": event_id, "order_id": order_id})


def issue_missing(
    connection: psycopg.Connection[Any],
    event_id: UUID,
    order_id: UUID,
    lines: Sequence[tuple[UUID, int]],
    *,
    word: str,
    now: datetime,
) -> None:
    """Issue the tickets that a paid order should have and lacks, with the numbers that they should have had.

    `lines` are the order's lines in sequence, each with the number of tickets that it brings. Doing it twice has the
    same effect as once.
    """
    owners = [line_id for line_id, count in lines for _ in range(count)]
    tickets = [
        {"id": new_id(), "order_item_id": line_id, "number": number, "status": TicketState.VALID}
        for line_id, number in zip(owners, ticket_numbers(word, len(owners)), strict=True)
    ]
    which = {"event_id": event_id, "tickets": orjson.dumps(tickets).decode(), "now": now}
    connection.execute(_ADD_MISSING, which)
    issue(connection, event_id, order_id)


def void(connection: psycopg.Connection[Any], event_id: UUID, ticket_ids: Sequence[UUID]) -> None:
    """Make these tickets void."""
    if ticket_ids:
        connection.execute(_VOID, {"event_id": event_id, "ticket_ids": list(ticket_ids)})


def void_all(connection: psycopg.Connection[Any], event_id: UUID, order_id: UUID) -> None:
    """Make all of an order's tickets void."""
    connection.execute(_VOID_ALL, {"event_id": event_id, "order_id": order_id})


def take_back(connection: psycopg.Connection[Any], event_id: UUID, order_id: UUID, *, was_paid: bool) -> None:
    """Take back the tickets of an order that is not paid; used tickets stay as they are.

    If the order was never paid, its tickets become reserved again, because a late payment issues reserved tickets. If
    it had been paid, they become void, so that they can never be valid again.
    """
    to = TicketState.VOID if was_paid else TicketState.RESERVED
    connection.execute(_TAKE_BACK, {"event_id": event_id, "order_id": order_id, "to": to, "admits": list(ADMITS)})


def lock_tickets(
    connection: psycopg.Connection[Any], event_id: UUID, line_ids: Sequence[UUID]
) -> dict[UUID, list[tuple[UUID, bool]]]:
    """Lock the tickets of these lines; return each line's tickets by number, and whether each is void."""
    tickets: dict[UUID, list[tuple[UUID, bool]]] = {line_id: [] for line_id in line_ids}
    rows = connection.execute(_LOCK, {"event_id": event_id, "item_ids": list(line_ids)})
    for line_id, ticket_id, is_void in rows:
        tickets[line_id].append((ticket_id, is_void))
    return tickets


def erase_holders(
    connection: psycopg.Connection[Any],
    event_id: UUID,
    *,
    order_ids: Sequence[UUID],
    ticket_ids: Sequence[UUID],
    name: str,
    email: str,
) -> int:
    """Replace the holders in these tickets, and in the tickets of these orders, with placeholders; return how many."""
    which = {"event_id": event_id, "order_ids": list(order_ids), "ticket_ids": list(ticket_ids)}
    return connection.execute(_ERASE_HOLDERS, which | {"name": name, "email": email}).rowcount
