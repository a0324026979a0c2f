"""The team's list of orders: searched, filtered, sorted, and paged with cursors (R-SALES-6, decision 19).

An event may have a million orders, and the orders that match are either frequent or rare. So the query first looks only
at the next few thousand orders from where the page begins, in the requested sorting: frequent matches are found there.
If these are not enough, the indexes find all matching orders, which are sorted then.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row
from sqlalchemy.orm import Session

from shared.domain.orders.search.conditions import Conditions, conditions_of, corrected_conditions, says_anything
from shared.domain.orders.search.schemas import OrderList, OrderListQuery, OrderRow, OrderRowItem
from shared.domain.orders.search.sorting import SORTS
from shared.domain.orders.search.words import meant_by
from shared.kit import cursors
from shared.kit.db.unit_of_work import driver_connection

COUNTED_AT_MOST = 1_000
_LOOKED_AT = 3_000
# An order's id is made in the request that places it, a little after its `created_at`; no request lasts this long.
_ID_MARGIN = timedelta(minutes=5)

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_O_COLUMNS = (
    "o.id, o.number, o.status, o.channel, o.payment_method, o.customer_name, o.customer_email, o.currency,"
    " o.total_cents, o.refunded_cents, o.promo_code, o.created_at, o.paid_at, o.expires_at"
)
_WALK = """
WITH walked AS MATERIALIZED (
  SELECT {columns} FROM {source} WHERE {walk} ORDER BY {order} LIMIT %(walk)s
)
SELECT looked.walked, found.*
  FROM (SELECT count(*) AS walked FROM walked) AS looked
  LEFT JOIN LATERAL (
       SELECT o.*, count(*) OVER () AS matching FROM walked o WHERE {rest} ORDER BY {order} LIMIT %(size)s
       ) AS found ON true
 ORDER BY {found_order}
"""
# For a page that one index alone gives, in the right order.
_PAGE = """
SELECT {columns},
       (SELECT count(*) FROM (SELECT FROM orders o WHERE {walk} LIMIT %(walk)s) AS counted) AS matching
  FROM orders o WHERE {walk} ORDER BY {order} LIMIT %(size)s
"""
# The orders that have one of the package, each once, found by the index on packages.
_OF_PACKAGE = """(
  SELECT DISTINCT i.order_id FROM order_items i
   WHERE i.event_id = %(event_id)s AND i.package_id = %(package_id)s AND {bounds}
   ORDER BY i.order_id {direction} LIMIT %(walk)s
  ) AS p JOIN orders o ON o.event_id = %(event_id)s AND o.id = p.order_id"""
_SPAN_OF_PACKAGE = """
WITH sold AS NOT MATERIALIZED (
  SELECT order_id FROM order_items WHERE event_id = %(event_id)s AND package_id = %(package_id)s
)
SELECT (SELECT order_id FROM sold ORDER BY order_id LIMIT 1), (SELECT order_id FROM sold ORDER BY order_id DESC LIMIT 1)
"""
_ALL = """
WITH matching AS MATERIALIZED (SELECT o.id, o.total_cents, o.customer_name FROM orders o WHERE {every})
SELECT (SELECT count(*) FROM matching) AS matching, {o_columns}
  FROM (SELECT o.id FROM matching o WHERE {after} ORDER BY {order} LIMIT %(size)s) AS page
  JOIN orders o ON o.event_id = %(event_id)s AND o.id = page.id
 ORDER BY {order}
"""
# With the fence, PostgreSQL looks it up order by order; without it, it may read all lines of the package.
_HAS_PACKAGE = (
    "EXISTS (SELECT FROM order_items i WHERE i.event_id = %(event_id)s AND i.order_id = o.id"
    " AND i.package_id = %(package_id)s {fence})"
)
_INSIDE = """
SELECT o.id, i.items, coalesce(i.tickets, 0) AS tickets,
       (SELECT count(*) FROM order_notes n WHERE n.event_id = %(event_id)s AND n.order_id = o.id) AS notes
  FROM unnest(%(order_ids)s::uuid[]) AS o(id)
  LEFT JOIN LATERAL (
       SELECT json_agg(json_build_object('package_id', package_id, 'description', description, 'quantity', quantity)
                       ORDER BY position) AS items, sum(quantity * seats_per_package)::bigint AS tickets
         FROM order_items WHERE event_id = %(event_id)s AND order_id = o.id) AS i ON true
"""


@dataclass(frozen=True, slots=True)
class _Place:
    """The order after which a page begins; `corrected` says whether the earlier pages came from a corrected search."""

    id: UUID
    corrected: bool


@dataclass(frozen=True, slots=True)
class _Asked:
    """The conditions on orders: those that an index finds in the order of ids, and all others.

    `goes_on`: the page begins after `last_id`. `bounds` are conditions on the ids between which all matching orders
    lie, as SQL in which `{0}` is an order's id.
    """

    indexed: list[str]
    others: list[str]
    goes_on: bool
    bounds: list[str]

    def bounds_of(self, id_: str) -> list[str]:
        """The bounds, by the SQL of an order's id."""
        return [bound.format(id_) for bound in self.bounds]


@dataclass(frozen=True, slots=True)
class _Looked:
    """What a look along an index has found; `is_enough` says that it is the whole page, or all that there is."""

    rows: list[dict[str, Any]]
    is_enough: bool
    total: int | None


@dataclass(frozen=True, slots=True)
class _Found:
    rows: list[dict[str, Any]]
    total: int | None


def list_orders(session: Session, event_id: UUID, query: OrderListQuery) -> OrderList:
    """Return a page of the event's orders, with at most eight statements however many orders there are."""
    connection = driver_connection(session)
    place = _place(query)
    searched_for = None
    found = _Found([], 0)
    if query.q and not says_anything(query.q):
        return OrderList(items=[], page_size=query.page_size, total=0, searched_for=None, next_cursor=None)
    if place is None or not place.corrected:
        found = _find(connection, event_id, query, conditions_of(query.q or ""), place)
    if query.q and not found.rows and (place is None or place.corrected):
        meant = meant_by(connection, event_id, query.q)
        if meant:
            found = _find(connection, event_id, query, ([], corrected_conditions(query.q, meant)), place)
            searched_for = [word for words in meant for word in words] if found.rows else None
    shown = found.rows[: query.page_size]
    more = len(found.rows) > len(shown)
    return OrderList(
        items=_with_items(connection, event_id, shown),
        page_size=query.page_size,
        total=found.total if found.total is not None and found.total <= COUNTED_AT_MOST else None,
        searched_for=searched_for,
        next_cursor=_cursor(query.sort, shown[-1]["id"], corrected=searched_for is not None) if more else None,
    )


def _find(
    connection: psycopg.Connection[Any],
    event_id: UUID,
    query: OrderListQuery,
    looked_for: tuple[Conditions, Conditions],
    place: _Place | None,
) -> _Found:
    """Return the page's rows, and one more if there is a next page."""
    sort = SORTS[query.sort]
    parameters: dict[str, Any] = {"event_id": event_id, "package_id": query.package_id, "size": query.page_size + 1}
    if place is not None:
        parameters["last_id"] = place.id
    indexed, others = _filters(query)
    indexed += looked_for[0]
    others += looked_for[1]
    for _, more in indexed + others:
        parameters |= more
    asked = _Asked(
        [each for each, _ in indexed],
        [each for each, _ in others],
        place is not None,
        _id_bounds(connection, query, parameters),
    )
    page = _page(connection, query, parameters, asked) or _walk(connection, query, parameters, asked)
    if page.is_enough:
        return _Found(page.rows, page.total if place is None else None)
    every = ["o.event_id = %(event_id)s", *asked.indexed, *asked.others, *asked.bounds_of("o.id")]
    every += [_HAS_PACKAGE.format(fence="")] if query.package_id else []
    statement = _ALL.format(
        every=" AND ".join(every),
        after=sort.after() if asked.goes_on else "true",
        order=sort.order(),
        o_columns=_O_COLUMNS,
    )
    rows = _ask(connection, statement, parameters)
    return _Found(rows, rows[0]["matching"] if rows else 0)


def _page(
    connection: psycopg.Connection[Any], query: OrderListQuery, parameters: dict[str, Any], asked: _Asked
) -> _Looked | None:
    """Read the page straight from an index; return None if no single index gives it."""
    sort = SORTS[query.sort]
    if asked.others or query.package_id or (asked.indexed and sort.key):
        return None
    parameters["walk"] = 0 if asked.goes_on else COUNTED_AT_MOST + 1  # counted once, with the first page
    walk = " AND ".join(["o.event_id = %(event_id)s", *asked.indexed, *([sort.after()] if asked.goes_on else [])])
    rows = _ask(connection, _PAGE.format(columns=_O_COLUMNS, walk=walk, order=sort.order()), parameters)
    return _Looked(rows, is_enough=True, total=rows[0]["matching"] if rows else 0)


def _walk(
    connection: psycopg.Connection[Any], query: OrderListQuery, parameters: dict[str, Any], asked: _Asked
) -> _Looked:
    """Look at the next orders one by one, from the page's beginning on."""
    sort = SORTS[query.sort]

    def span(id_: str) -> list[str]:
        """The conditions that say where to look; `id_` is the SQL of an order's id."""
        return [*([sort.after(id_)] if asked.goes_on else []), *(asked.bounds_of(id_) if sort.by_time else [])]

    source, walk = "orders o", ["o.event_id = %(event_id)s", *span("o.id")]
    if sort.key is not None:  # matches may be rare in this sorting, even if an index finds them in another
        rest = [*asked.indexed, *asked.others]
        rest += [_HAS_PACKAGE.format(fence="OFFSET 0")] if query.package_id else []
    elif query.package_id:
        inside = " AND ".join(span("i.order_id")) or "true"
        source = _OF_PACKAGE.format(bounds=inside, direction=sort.direction)
        walk, rest = ["true"], [*asked.indexed, *asked.others]
    else:
        walk, rest = [*walk, *asked.indexed], asked.others
    parameters["walk"] = _LOOKED_AT if rest else COUNTED_AT_MOST + 1
    statement = _WALK.format(
        columns=_O_COLUMNS,
        source=source,
        walk=" AND ".join(walk),
        rest=" AND ".join(rest) or "true",
        order=sort.order(),
        found_order=sort.order("found"),
    )
    rows = _ask(connection, statement, parameters)
    is_whole = rows[0]["walked"] < parameters["walk"]
    hits = [row for row in rows if row["id"] is not None]
    total = hits[0]["matching"] if hits else 0
    return _Looked(hits, is_enough=is_whole or len(hits) == parameters["size"], total=total if is_whole else None)


def _ask(connection: psycopg.Connection[Any], statement: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """Run the statement with a plan for these very values: one plan for all values would be bad for most of them."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement.encode(), parameters, prepare=False).fetchall()


def _filters(query: OrderListQuery) -> tuple[Conditions, Conditions]:
    """Return the conditions that an index finds in the order of ids, and all others."""
    indexed: Conditions = []
    others: Conditions = []
    if query.status is not None:
        indexed.append(("o.status = %(status)s", {"status": query.status}))
    if query.promo_code is not None:
        indexed.append(("o.promo_code = %(promo_code)s", {"promo_code": query.promo_code.strip().upper()}))
    if query.payment_method is not None:
        indexed.append(("o.payment_method = %(payment_method)s", {"payment_method": query.payment_method}))
    if query.channel is not None:
        indexed.append(("o.channel = %(channel)s", {"channel": query.channel}))
    if query.since is not None:
        others.append(("o.created_at >= %(since)s", {"since": query.since}))
    if query.until is not None:
        others.append(("o.created_at < %(until)s", {"until": query.until}))
    return indexed, others


def _id_bounds(connection: psycopg.Connection[Any], query: OrderListQuery, parameters: dict[str, Any]) -> list[str]:
    """Return bounds on the ids of the orders that were placed in the time span (with a margin), or have the package.

    Orders that were placed at about the same time are neighbours in the order of ids, and so they are among orders of
    the same total. The conditions themselves are checked as well.
    """
    bounds = []
    if query.since is not None:
        parameters["since_id"] = _earliest_id(query.since - _ID_MARGIN)
        bounds.append("{0} >= %(since_id)s::uuid")
    if query.until is not None:
        parameters["until_id"] = _earliest_id(query.until + _ID_MARGIN)
        bounds.append("{0} < %(until_id)s::uuid")
    if query.package_id:
        [(parameters["first_id"], parameters["end_id"])] = connection.execute(_SPAN_OF_PACKAGE, parameters)
        bounds.append("{0} BETWEEN %(first_id)s::uuid AND %(end_id)s::uuid")
    return bounds


def _earliest_id(moment: datetime) -> UUID:
    """Return a lower bound of all UUIDv7s of this moment or later (RFC 9562 §5.7)."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def _with_items(connection: psycopg.Connection[Any], event_id: UUID, rows: Sequence[dict[str, Any]]) -> list[OrderRow]:
    if not rows:
        return []
    with connection.cursor(row_factory=dict_row) as cursor:
        what = {"event_id": event_id, "order_ids": [row["id"] for row in rows]}
        inside = {each["id"]: each for each in cursor.execute(_INSIDE, what)}
    return [
        OrderRow.model_validate(
            row | inside[row["id"]] | {"items": [OrderRowItem(**item) for item in inside[row["id"]]["items"] or []]}
        )
        for row in rows
    ]


def _cursor(sort: str, last_id: UUID, *, corrected: bool) -> str:
    return cursors.written([sort, last_id, corrected])


def _place(query: OrderListQuery) -> _Place | None:
    if query.cursor is None:
        return None
    match cursors.read(query.cursor):
        case [query.sort, str(last_id), bool(corrected)] if _UUID.fullmatch(last_id):
            return _Place(UUID(last_id), corrected)
    raise cursors.not_ours()
