"""Placing an order: never oversold, never refused while stock remains (R-ORD-2).

What may be bought and what it costs is computed from one read (`drafting`); the claim then succeeds only under the very
terms that were read. Whoever loses a race reads again: then either the stock is truly short, or there is something to
claim.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from shared.domain.access.errors import NoSuchEvent, PermissionMissing
from shared.domain.access.permissions import Permission
from shared.domain.catalog.errors import EventCancelled
from shared.domain.orders.errors import (
    InvalidAnswers,
    PackageNotOnSale,
    PaymentMethodUnavailable,
    QuantityOutOfRange,
    SoldOut,
    StockContended,
    TooManyForCustomer,
    TooManyTickets,
    UnknownPackage,
)
from shared.domain.orders.placing import statements
from shared.domain.orders.placing.drafting import Counter, Draft, draft_order
from shared.domain.orders.placing.placed import answer_rows, order_row, placed_order
from shared.domain.orders.placing.rules import quantities
from shared.domain.orders.releasing import release_overdue
from shared.domain.orders.schemas import BoxOfficeOrder, OrderPlace, PlacedOrderOut
from shared.domain.promotions.errors import REFUSALS as PROMO_REFUSALS
from shared.domain.promotions.errors import PromoCodeUsedByCustomer, PromoCodeUsedUp
from shared.domain.promotions.redeeming import CLAIM_REFUSED as PROMO_CLAIM_REFUSED
from shared.domain.promotions.redeeming import claim_promo
from shared.kit.actor import GUEST, Actor
from shared.kit.db.arrays import array
from shared.kit.db.idempotency import Idempotency, IdempotencyKeyReused

# Each further attempt means that somebody else got something, or that a coordinator has just changed the package.
_ATTEMPTS = 20
_LOST_RACES = {statements.CLAIM_REFUSED, PROMO_CLAIM_REFUSED}
_COMPUTE_ANEW = {
    # An order's number and its tickets' numbers share their random part, one of 700 million; which collides first is
    # not said.
    "uq_orders_event_id_number",
    "uq_tickets_event_id_number",
    # A package, an option or a code that was deleted since it was read.
    "fk_order_items_event_id_package_id",
    "fk_option_answers_event_id_option_id",
    "fk_promo_code_uses_event_id_promo_code_id",
}
# What an expired order that nobody has tidied away yet may be in the way of.
_SHORT = (SoldOut, PromoCodeUsedUp, PromoCodeUsedByCustomer, TooManyForCustomer)

REFUSALS = (
    SoldOut,
    PackageNotOnSale,
    StockContended,
    QuantityOutOfRange,
    TooManyTickets,
    TooManyForCustomer,
    UnknownPackage,
    PaymentMethodUnavailable,
    InvalidAnswers,
    NoSuchEvent,
    EventCancelled,
    IdempotencyKeyReused,
    *PROMO_REFUSALS,
)
"""Why an order may be refused, wherever it is placed."""


def place_order(
    connection: psycopg.Connection[Any],
    event_id: UUID,
    body: OrderPlace | BoxOfficeOrder,
    *,
    actor: Actor,
    counter: Counter,
    idempotency: Idempotency,
    now: datetime,
) -> PlacedOrderOut:
    """Sell what the buyer asks for, all or nothing, or hold it until it is paid; with the idempotency key.

    `connection` is in autocommit: what this returns is committed. Raises `SoldOut`, `PackageNotOnSale`,
    `QuantityOutOfRange`, `UnknownPackage`, `TooManyTickets`, `TooManyForCustomer`, `InvalidAnswers`,
    `PaymentMethodUnavailable`, `PermissionMissing` where tickets are given away, `NoSuchEvent`, `EventCancelled`, the
    refusals of promo codes, and the database's own unique violation where the idempotency key was used before.
    """
    if body.payment_method == "comp" and not actor.may(Permission.ORDERS_COMP):
        raise PermissionMissing("Giving tickets away is for coordinators.")
    if counter.seller is not None:
        actor = replace(GUEST, request_id=actor.request_id)  # who sells does not buy
    tidy = False
    for _ in range(_ATTEMPTS):
        try:
            draft = draft_order(connection, event_id, body, actor=actor, counter=counter, now=now)
            if _write(connection, draft, body, actor=actor, counter=counter, idempotency=idempotency):
                return placed_order(draft, body)
        except _SHORT:
            # Only what was read when nothing was overdue any more is sure to be short: until then, somebody else may
            # have freed it after we had read.
            if tidy:
                raise
            tidy = not release_overdue(connection, event_id, now=now)
    raise StockContended


def _write(
    connection: psycopg.Connection[Any],
    draft: Draft,
    body: OrderPlace | BoxOfficeOrder,
    *,
    actor: Actor,
    counter: Counter,
    idempotency: Idempotency,
) -> bool:
    """Write the order and claim its stock, in one transaction; False when it must be computed anew."""
    wanted = quantities([item.line for item in draft.items])
    terms = {item.line.offer.package_id: item.line.offer.terms for item in draft.items}
    most = draft.evening.max_tickets_per_customer
    try:
        with connection.pipeline():
            row = order_row(draft, body, actor, counter, idempotency)
            connection.execute(statements.INSERT_ORDER, row, prepare=True)
            if draft.answers:
                connection.execute(statements.INSERT_ANSWERS, answer_rows(draft), prepare=True)
            connection.execute(
                statements.CLAIM_STOCK,
                {
                    "event_id": draft.event_id,
                    "package_ids": array(wanted),
                    "quantities": array(wanted.values()),
                    "terms": array(terms[package_id] for package_id in wanted),
                    "only_hold": not draft.is_paid,
                },
                prepare=True,
            )
            if draft.promo is not None:
                claim_promo(
                    connection,
                    draft.event_id,
                    draft.promo,
                    order_id=draft.id,
                    customer=draft.customer,
                    discount_cents=draft.amounts.discount,
                    now=draft.placed_at,
                )
            if most is not None:
                claim = {"order_id": draft.id, "wanted": len(draft.tickets), "at_most": most}
                who = {"event_id": draft.event_id, "customer": draft.customer}
                connection.execute(statements.CLAIM_FOR_CUSTOMER, who | claim, prepare=True)
    except psycopg.DatabaseError as error:
        if error.sqlstate in _LOST_RACES or error.diag.constraint_name in _COMPUTE_ANEW:
            return False
        if error.sqlstate == statements.CUSTOMER_REFUSED:
            raise TooManyForCustomer(
                f"One customer may have at most {most} tickets of this event.",
                max_tickets_per_customer=most,
                has=int(error.diag.message_detail or 0),
            ) from error
        raise
    return True
