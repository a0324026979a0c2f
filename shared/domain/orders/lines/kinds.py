"""Every kind of thing that a line of an order sells.

To sell another kind of thing (T-shirts, for example), add:

1. a migration with a table of these things (`event_id`, `id` and `name`), each of which has stock under its own id
   (`stock.commands.add_stock`), and with a nullable column of `order_items` that refers to the table;
2. a module beside this one that reads its offers and defines its `LineKind`;
3. its place in `KINDS`;
4. its fields in the API: what a request may ask for (`orders/schemas.py`, `placing/basket.py`) and what is shown.

Placing, claiming, prices, charges, promo codes, payments, refunds, cancelling, books, reconciliation, summary and
reports use only the line, its amounts and its stock, so they need no change.
"""

from typing import LiteralString

from shared.domain.orders.lines.offers import LineKind
from shared.domain.orders.lines.packages import PACKAGE

KINDS: tuple[LineKind, ...] = (PACKAGE,)


def sold_id(alias: LiteralString) -> LiteralString:
    """Return the SQL for the id of what a line sells, which is also its stock's id; `alias` names `order_items`."""
    columns: list[LiteralString] = [f"{alias}.{kind.column}" for kind in KINDS]
    return columns[0] if len(columns) == 1 else f"coalesce({', '.join(columns)})"


def sold_name(event_id: LiteralString, sold: LiteralString) -> LiteralString:
    """Return the SQL for the name of what is sold, if it has one."""
    names: list[LiteralString] = [
        f"(SELECT n.name FROM {kind.table} n WHERE n.event_id = {event_id} AND n.id = {sold})"  # noqa: S608 - constants
        for kind in KINDS
    ]
    return f"coalesce({', '.join(names)})"
