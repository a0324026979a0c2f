"""The stock of everything that an event sells: claiming, holding, selling, giving back, taking again (R-ORD-2).

Every change is a guarded UPDATE in the database, in id order; the CHECKs of the table are the second safeguard. A claim
names what it takes only by the stock's id: that is a package, or anything else that is sold in numbers.

Locks: orders by id before any stock, the stock by id, then promo codes, then customers, and the audit chain last.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import psycopg
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from shared.domain.stock.models import Stock
from shared.kit.db.arrays import array

CLAIM_REFUSED = "BX001"
"""The SQLSTATE that says that too little is left, or that the terms have changed."""
CUSTOMER_REFUSED = "BX004"
"""The SQLSTATE that says that a customer would have too many tickets; its detail is how many they have."""

_CLAIM = "SELECT stock_claim(%(event_id)s, %(ids)s::uuid[], %(quantities)s::bigint[], %(terms)s::bigint[], %(hold)s)"
_SETTLE = "SELECT stock_settle(%(event_id)s, %(ids)s::uuid[], %(held_more)s::bigint[], %(sold_more)s::bigint[])"
_RETAKE = "SELECT stock_retake(%(event_id)s, %(ids)s::uuid[], %(quantities)s::bigint[])"
_CLAIM_FOR_CUSTOMER = (
    "SELECT stock_claim_for_customer(%(event_id)s, %(order_id)s, %(customer)s, %(tickets)s, %(at_most)s)"
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A quantity of something, on the terms that were read."""

    id: UUID
    quantity: int
    terms: int


def claim(connection: psycopg.Connection[Any], event_id: UUID, claims: Sequence[Claim], *, only_hold: bool) -> None:
    """Take all of the claims, or have the server raise `CLAIM_REFUSED`, which undoes the transaction.

    It belongs at the end of a transaction or pipeline, so that the busy rows are locked for the shortest time.
    `only_hold` is for orders that still have to be paid; the others sell at once.
    """
    connection.execute(
        _CLAIM,
        {
            "event_id": event_id,
            "ids": array(each.id for each in claims),
            "quantities": array(each.quantity for each in claims),
            "terms": array(each.terms for each in claims),
            "hold": only_hold,
        },
        prepare=True,
    )


def claim_for_customer(
    connection: psycopg.Connection[Any],
    event_id: UUID,
    order_id: UUID,
    *,
    customer: str,
    tickets: int,
    at_most: int,
) -> None:
    """Let the customer have this many more tickets, or have the server raise `CUSTOMER_REFUSED`.

    It comes after all claims of stock and promo codes. `customer` says who counts as one customer
    (`promotions.redeeming.customer_of`).
    """
    which = {"event_id": event_id, "order_id": order_id, "customer": customer}
    connection.execute(_CLAIM_FOR_CUSTOMER, which | {"tickets": tickets, "at_most": at_most}, prepare=True)


def sell_held(connection: psycopg.Connection[Any], event_id: UUID, quantities: Mapping[UUID, int]) -> None:
    """Sell what an order held, now that it has been paid."""
    _settle(connection, event_id, {id_: (-quantity, quantity) for id_, quantity in quantities.items()})


def give_back(
    connection: psycopg.Connection[Any],
    event_id: UUID,
    quantities: Mapping[UUID, int],
    *,
    was: Literal["held", "sold"],
) -> None:
    """Free what was held or sold until now, so that others may buy it."""
    less = {id_: (-quantity, 0) if was == "held" else (0, -quantity) for id_, quantity in quantities.items()}
    _settle(connection, event_id, less)


def retake(connection: psycopg.Connection[Any], event_id: UUID, quantities: Mapping[UUID, int]) -> None:
    """Sell what an order had given back, on any terms; the server raises `CLAIM_REFUSED` if it is gone."""
    which = {"event_id": event_id, "ids": array(quantities), "quantities": array(quantities.values())}
    connection.execute(_RETAKE, which)


def _settle(connection: psycopg.Connection[Any], event_id: UUID, changes: Mapping[UUID, tuple[int, int]]) -> None:
    """Change the held and sold counts of each stock by these amounts."""
    if changes:
        which = {"event_id": event_id, "ids": array(changes)}
        more = {
            "held_more": array(held for held, _ in changes.values()),
            "sold_more": array(sold for _, sold in changes.values()),
        }
        connection.execute(_SETTLE, which | more)


def add_stock(session: Session, event_id: UUID, id_: UUID, *, kind: str, quantity_limit: int | None) -> Stock:
    """Begin to sell something: `quantity_limit` of it, or, if that is None, as many as buyers want."""
    stock = Stock(event_id=event_id, id=id_, kind=kind, quantity_limit=quantity_limit, held=0, sold=0, terms=1)
    session.add(stock)
    return stock


def lock_stock(session: Session, event_id: UUID, id_: UUID) -> Stock:
    """Lock the stock and return it as it is after the claims in progress; no claim succeeds until we commit."""
    return session.scalars(
        select(Stock).where(Stock.event_id == event_id, Stock.id == id_).with_for_update(key_share=True)
    ).one()


def set_limit(stock: Stock, quantity_limit: int | None) -> None:
    """Set the limit of a stock that the caller has locked; it is never below what is held and sold."""
    stock.quantity_limit = quantity_limit


def change_terms(stock: Stock) -> None:
    """Make every order that was computed before this commit start over; the caller has locked the stock."""
    stock.terms += 1


def change_all_terms(session: Session, event_id: UUID) -> None:
    """Change the terms of all stock of an event; waits for the claims that are being committed."""
    stocks = session.scalars(
        select(Stock)
        .where(Stock.event_id == event_id)
        .order_by(Stock.id)  # in id order, as claims lock
        .with_for_update(key_share=True)
    )
    for stock in stocks:
        stock.terms += 1
    session.flush()


def remove_unsold(session: Session, event_id: UUID, id_: UUID) -> bool:
    """Remove the stock of a thing that is no longer sold; return False if some of it is held or sold."""
    statement = delete(Stock).where(Stock.event_id == event_id, Stock.id == id_, Stock.sold == 0, Stock.held == 0)
    return session.execute(statement.returning(Stock.id)).one_or_none() is not None
