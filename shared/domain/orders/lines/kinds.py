"""Every kind of thing that a line of an order sells.

To sell one more (a T-shirt, say):

1. a table of it, with `event_id`, `id` and `name`, whose rows have stock under their own id
   (`stock.commands.add_stock`), and a nullable column of `order_items` that refers to it: a migration;
2. a module beside this one that reads its offers and says its `LineKind`;
3. its place in `KINDS`;
4. its fields in the API: what is asked (`orders/schemas.py`, `placing/basket.py`) and what is shown.

Placing, claiming, prices, charges, promo codes, payments, refunds, cancelling, books, reconciliation, summary and
reports go by the line, its amounts and its stock, and need no change.
"""

from typing import LiteralString

from shared.domain.orders.lines.offers import LineKind
from shared.domain.orders.lines.packages import PACKAGE

KINDS: tuple[LineKind, ...] = (PACKAGE,)


def kind_named(name: str) -> LineKind:
    """The kind of that name."""
    return next(kind for kind in KINDS if kind.name == name)


def sold_id(alias: LiteralString) -> LiteralString:
    """The SQL of what a line sells, by which its stock is found; `alias` is that of `order_items`."""
    columns: list[LiteralString] = [f"{alias}.{kind.column}" for kind in KINDS]
    return columns[0] if len(columns) == 1 else f"coalesce({', '.join(columns)})"


def sold_name(event_id: LiteralString, sold: LiteralString) -> LiteralString:
    """The SQL of its name, where it has one."""
    names: list[LiteralString] = [
        f"(SELECT n.name FROM {kind.table} n WHERE n.event_id = {event_id} AND n.id = {sold})"  # noqa: S608 - constants
        for kind in KINDS
    ]
    return f"coalesce({', '.join(names)})"
