"""A package's purchases, one by one (R-SALES-2): the newest first, and stable while new sales come in.

A page is found by its place in the order of sale, not by counting rows: a cursor continues exactly where the page
before ended, even if more was sold in the meantime. Ids of orders are in the order of placing (decision 19), so an
index leads to any page without sorting. The purchases are counted again only when the package's stock has changed,
because every purchase that is added or ends changes the stock.
"""

from collections import defaultdict
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row
from pydantic import ValidationError
from sqlalchemy.orm import Session

from shared.domain.access.errors import NoSuchEvent
from shared.domain.catalog.errors import NoSuchPackage
from shared.domain.orders.search.conditions import TEXT, literal
from shared.domain.sales.queries import FRESH, SOLD_ITEMS
from shared.domain.sales.schemas import DetailsQuery, SalesDetails
from shared.kit import cursors
from shared.kit.cache import cache
from shared.kit.db.unit_of_work import driver_connection
from shared.kit.fields import Moment, Output

# Counting up to so many purchases takes a few ms. For more, a count that is at most `FRESH` old is good enough.
_COUNTED_AT_ONCE = 20_000
_COUNT_KEPT_SECONDS = 90

# The stock's row has another `xmin` after every change of it.
_PACKAGE = """
SELECT e.currency, s.xmin::text FROM events e
  LEFT JOIN stock s ON s.event_id = e.id AND s.id = %(package_id)s
 WHERE e.id = %(event_id)s
"""
_SOLD = f" FROM {SOLD_ITEMS} AND i.package_id = %(package_id)s"
_SOLD_TO = """
  FROM order_items i JOIN orders o ON o.event_id = i.event_id AND o.id = i.order_id
 WHERE i.event_id = %(event_id)s AND i.package_id = %(package_id)s
   AND o.status IN ('paid', 'partially_refunded', 'refunded')
"""
# The search index (decision 19) covers name, address and more.
_MATCHING = (
    f" AND {TEXT} ILIKE %(pattern)s AND (o.customer_name ILIKE %(pattern)s OR o.customer_email ILIKE %(pattern)s)"
)
_AFTER = " AND (i.order_id, i.id) < (%(order_id)s::uuid, %(item_id)s::uuid)"
_ORDER = " ORDER BY i.order_id DESC, i.id DESC"
_PAGE = """
SELECT i.id, o.id AS order_id, o.number AS order_number, o.status, o.customer_name AS name, o.customer_email AS email,
       o.created_at AS purchased_at, i.quantity, o.promo_code, i.discount_cents,
       i.total_cents + i.fee_cents + i.tax_cents AS final_price_cents
"""
_COUNT = """
SELECT s.xmin::text, (SELECT count(*) {sold})
  FROM stock s WHERE s.event_id = %(event_id)s AND s.id = %(package_id)s
"""
_GUESTS = """
SELECT order_item_id, number AS ticket_number, status, holder_name AS name, holder_email AS email FROM tickets
 WHERE event_id = %(event_id)s AND order_item_id = ANY(%(item_ids)s) AND status <> 'reserved' ORDER BY number
"""


class _Counted(Output):
    """How many purchases there were when the package's stock had this version."""

    version: str
    total: int
    as_of: Moment


def get_details(
    session: Session, event_id: UUID, package_id: UUID, query: DetailsQuery, *, now: datetime
) -> SalesDetails:
    """Return a page of the package's purchases; raises `NoSuchEvent` or `NoSuchPackage`.

    It takes at most five statements for any number of purchases.
    """
    connection = driver_connection(session)
    which: dict[str, Any] = {"event_id": event_id, "package_id": package_id}
    if query.q:
        which["pattern"] = f"%{literal(query.q.strip())}%"
    package = connection.execute(_PACKAGE, which).fetchone()
    if package is None:
        raise NoSuchEvent
    currency, version = package
    if version is None:
        raise NoSuchPackage
    rows = _page(connection, which, query)
    shown = rows[: query.page_size]
    guests = defaultdict(list)
    for guest in _rows(connection, _GUESTS, {"event_id": event_id, "item_ids": [row["id"] for row in shown]}):
        guests[guest["order_item_id"]].append(guest)
    last = shown[-1] if len(rows) > len(shown) else None
    if last is None and query.cursor is None and query.page == 1:
        total = len(rows)
    elif query.q:
        total = _matching(connection, which)
    else:
        total = _total(connection, which, version, now=now)
    return SalesDetails.model_validate(
        {
            "package_id": package_id,
            "currency": currency,
            "items": [row | {"guests": guests[row["id"]]} for row in shown],
            "page": query.page,
            "page_size": query.page_size,
            "total": total,
            "next_cursor": cursors.written([last["order_id"], last["id"]]) if last else None,
        }
    )


def _page(connection: psycopg.Connection[Any], which: dict[str, Any], query: DetailsQuery) -> list[dict[str, Any]]:
    """Return the page's rows, and one more row if there is a next page."""
    matching = _MATCHING if query.q else ""
    prepare = False if query.q else None  # one plan for all search words would be wrong for most of them
    place = _read(query.cursor) if query.cursor else None
    if place is None and query.page > 1:
        source = _SOLD_TO + matching if query.q else _SOLD
        skip = which | {"skip": (query.page - 1) * query.page_size - 1}
        statement = f"SELECT i.order_id, i.id {source} {_ORDER} LIMIT 1 OFFSET %(skip)s"
        place = connection.execute(statement.encode(), skip, prepare=prepare).fetchone()
        if place is None:
            return []
    where = which | {"size": query.page_size + 1}
    if place is not None:
        where |= {"order_id": place[0], "item_id": place[1]}
    after = _AFTER if place is not None else ""
    return _rows(connection, f"{_PAGE} {_SOLD_TO} {matching} {after} {_ORDER} LIMIT %(size)s", where, prepare=prepare)


def _total(connection: psycopg.Connection[Any], which: dict[str, Any], version: str, *, now: datetime) -> int:
    """Return how many purchases there are; `version` is the version of the package's stock."""
    key = f"sales-purchases:{which['event_id']}:{which['package_id']}"
    kept = cache().get(key)
    if kept is not None:
        with suppress(ValidationError):  # perhaps another version of the app wrote it
            known = _Counted.model_validate_json(kept)
            lately = known.total > _COUNTED_AT_ONCE and now - known.as_of < FRESH
            if known.version == version or lately:
                return known.total
    row = connection.execute(_COUNT.format(sold=_SOLD).encode(), which).fetchone()
    if row is None:  # deleted in the meantime
        raise NoSuchPackage
    counted = _Counted(version=row[0], total=row[1], as_of=now)
    cache().put(key, counted.model_dump_json().encode(), seconds=_COUNT_KEPT_SECONDS)
    return counted.total


def _matching(connection: psycopg.Connection[Any], which: dict[str, Any]) -> int:
    [(total,)] = connection.execute(f"SELECT count(*) {_SOLD_TO} {_MATCHING}".encode(), which, prepare=False)
    return int(total)


def _rows(
    connection: psycopg.Connection[Any], statement: str, parameters: dict[str, Any], *, prepare: bool | None = None
) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement.encode(), parameters, prepare=prepare).fetchall()


def _read(cursor: str) -> tuple[UUID, UUID]:
    try:
        order_id, item_id = cursors.read(cursor)
        return UUID(order_id), UUID(item_id)
    except (ValueError, TypeError, AttributeError):
        raise cursors.not_ours() from None
