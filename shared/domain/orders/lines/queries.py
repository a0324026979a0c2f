"""How much stock the lines of orders have taken."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg

from shared.domain.orders.lines.kinds import sold_id

_CLAIMED = f"""
SELECT {sold_id("i")}, sum(i.quantity)::bigint, sum(i.quantity - i.returned)::bigint FROM order_items i
 WHERE i.event_id = %(event_id)s AND i.order_id = ANY(%(order_ids)s) GROUP BY 1
"""  # noqa: S608 - constants


def claimed(connection: psycopg.Connection[Any], event_id: UUID, order_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return how much of each stock the orders together have claimed, whether or not they still hold it."""
    which = {"event_id": event_id, "order_ids": list(order_ids)}
    return {stock_id: quantity for stock_id, quantity, _ in connection.execute(_CLAIMED, which).fetchall()}


def still_sold(connection: psycopg.Connection[Any], event_id: UUID, order_id: UUID) -> dict[UUID, int]:
    """Return how much of each stock a paid order still has, without what refunds have given back."""
    which = {"event_id": event_id, "order_ids": [order_id]}
    return {stock_id: left for stock_id, _, left in connection.execute(_CLAIMED, which).fetchall() if left}
