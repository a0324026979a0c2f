"""Finds a customer's data by everything that links it to an e-mail address.

An order belongs to a customer by its address, by the mailbox's pseudonym (`bo+gala@…` is `bo@…`), or by their account.
A ticket also belongs to its holder. The search covers all events unless the caller names one.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from shared.domain.promotions.redeeming import customer_of

_USERS = "SELECT id FROM users WHERE email = %(email)s ORDER BY id"
# A separate condition, so that the plan for one event uses that event's index and reads no other event's rows.
_OF_EVENT = {False: "", True: "AND {table}.event_id = %(event_id)s"}
_ORDERS = """
SELECT o.event_id, o.id FROM orders o
 WHERE (%(after)s::uuid IS NULL OR o.id > %(after)s) {of_event}
   AND (o.customer_email = %(email)s OR o.customer = ANY(%(customers)s) OR o.customer_user_id = ANY(%(user_ids)s))
   AND (NOT %(only_unerased)s OR o.erased_at IS NULL)
 ORDER BY o.id LIMIT %(at_most)s
"""
_HELD = """
SELECT t.event_id, i.order_id, t.id FROM tickets t
  JOIN order_items i ON i.event_id = t.event_id AND i.id = t.order_item_id
 WHERE t.holder_email = %(email)s {of_event}
 ORDER BY t.id LIMIT %(at_most)s
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """One customer, with everything that identifies them; `event_id` None means all events."""

    email: str
    event_id: UUID | None
    user_ids: list[UUID]

    @property
    def _which(self) -> dict[str, Any]:
        customers = [customer_of(None, self.email), *(customer_of(user_id, self.email) for user_id in self.user_ids)]
        return {
            "email": self.email,
            "event_id": self.event_id,
            "user_ids": self.user_ids,
            "customers": customers,
        }

    def orders(
        self,
        connection: psycopg.Connection[Any],
        *,
        at_most: int,
        only_unerased: bool = False,
        after: UUID | None = None,
    ) -> list[tuple[UUID, UUID]]:
        """Return their orders as (event id, order id), by order id."""
        which = self._which | {"at_most": at_most, "only_unerased": only_unerased, "after": after}
        rows = connection.execute(self._scoped(_ORDERS, "o"), which).fetchall()
        return [(event_id, order_id) for event_id, order_id in rows]

    def held_tickets(self, connection: psycopg.Connection[Any], *, at_most: int) -> list[tuple[UUID, UUID, UUID]]:
        """Return the tickets with them as holder, no matter who bought them, as (event id, order id, ticket id)."""
        rows = connection.execute(self._scoped(_HELD, "t"), self._which | {"at_most": at_most}).fetchall()
        return [(event_id, order_id, ticket_id) for event_id, order_id, ticket_id in rows]

    def _scoped(self, statement: str, table: str) -> bytes:
        of_event = _OF_EVENT[self.event_id is not None].format(table=table)
        return statement.format(of_event=of_event).encode()


def find_subject(connection: psycopg.Connection[Any], email: str, *, event_id: UUID | None) -> Subject:
    """Return the customer who has this address (in lower case, as it is stored)."""
    users = connection.execute(_USERS, {"email": email}).fetchall()
    return Subject(email, event_id, [row[0] for row in users])
