"""Placing an order: never oversold, never refused while stock remains (R-ORD-2).

What may be bought and what it costs are computed from one read (`drafting`). The claim then succeeds only if the terms
are still the ones that were read. An order that loses a race is computed again from a new read: then either too little
stock is left, or there is something to claim.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from shared.domain.access.errors import NoSuchEvent, PermissionMissing
from shared.domain.access.permissions import Permission
from shared.domain.catalog.errors import EventCancelled
from shared.domain.orders.errors import (
    InvalidAnswers,
    PaymentMethodUnavailable,
    QuantityOutOfRange,
    SoldOut,
    StockContended,
    TooManyForCustomer,
    TooManyTickets,
)
from shared.domain.orders.lines.kinds import KINDS
from shared.domain.orders.placing import statements
from shared.domain.orders.placing.basket import Basket, SalesChannel, basket_of
from shared.domain.orders.placing.drafting import Draft, draft_order
from shared.domain.orders.placing.records import (
    Record,
    answer_parameters,
    order_parameters,
    placed_order,
    record_of,
)
from shared.domain.orders.releasing import release_overdue
from shared.domain.orders.schemas import BoxOfficeOrder, OrderPlace, PlacedOrderOut
from shared.domain.promotions.errors import REFUSALS as PROMO_REFUSALS
from shared.domain.promotions.errors import PromoCodeUsedByCustomer, PromoCodeUsedUp
from shared.domain.promotions.redeeming import CLAIM_REFUSED as PROMO_CLAIM_REFUSED
from shared.domain.promotions.redeeming import claim_promo
from shared.domain.stock.commands import CLAIM_REFUSED, CUSTOMER_REFUSED, claim, claim_for_customer
from shared.kit.actor import Actor
from shared.kit.db.idempotency import Idempotency, IdempotencyKeyReused
from shared.kit.errors import Refusal

# Each further attempt means that somebody else got something, or that a coordinator has just changed the package.
_ATTEMPTS = 20
_LOST_RACES = {CLAIM_REFUSED, PROMO_CLAIM_REFUSED}
_COMPUTE_ANEW = {
    # An order's number and its tickets' numbers share their random part, one of 700 million; either constraint may fail
    # first.
    "uq_orders_event_id_number",
    "uq_tickets_event_id_number",
    # An offer, an option or a promo code was deleted after it was read.
    *(f"fk_order_items_event_id_{kind.column}" for kind in KINDS),
    "fk_option_answers_event_id_option_id",
    "fk_promo_code_uses_event_id_promo_code_id",
}
# The refusals that may be due to an expired order that has not been released yet.
_SHORT = (SoldOut, PromoCodeUsedUp, PromoCodeUsedByCustomer, TooManyForCustomer)

REFUSALS: tuple[type[Refusal], ...] = (
    SoldOut,
    *(kind.not_on_sale for kind in KINDS),
    StockContended,
    QuantityOutOfRange,
    TooManyTickets,
    TooManyForCustomer,
    *(kind.unknown for kind in KINDS),
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
    channel: SalesChannel,
    idempotency: Idempotency,
    now: datetime,
) -> PlacedOrderOut:
    """Sell what a request asks for, as `place` does, and return the order as its buyer sees it.

    Raises what `place` raises, and `PermissionMissing` if the actor gives tickets away and may not.
    """
    if body.payment_method == "comp" and not actor.may(Permission.ORDERS_COMP):
        raise PermissionMissing("Giving tickets away is for coordinators.")
    basket = basket_of(body, actor=actor, channel=channel)
    return placed_order(*place(connection, event_id, basket, channel=channel, idempotency=idempotency, now=now))


def place(
    connection: psycopg.Connection[Any],
    event_id: UUID,
    basket: Basket,
    *,
    channel: SalesChannel,
    idempotency: Idempotency,
    now: datetime,
) -> tuple[Draft, Record]:
    """Sell the whole basket or nothing, or hold it until it is paid; stores the idempotency key with the order.

    `connection` is in autocommit mode: the order is committed when this returns. Raises `SoldOut`, `PackageNotOnSale`,
    `QuantityOutOfRange`, `UnknownPackage`, `TooManyTickets`, `TooManyForCustomer`, `InvalidAnswers`,
    `PaymentMethodUnavailable`, `NoSuchEvent`, `EventCancelled`, the refusals of promo codes, and the database's own
    unique violation if the idempotency key was used before.
    """
    tidy = False
    for _ in range(_ATTEMPTS):
        try:
            draft = draft_order(connection, event_id, basket, channel=channel, now=now)
            record = record_of(draft)
            if _write(connection, draft, record, idempotency=idempotency):
                return draft, record
        except _SHORT:
            # The stock is surely short only if no order was overdue when it was read. Until then, another process may
            # have freed some of it after our read.
            if tidy:
                raise
            tidy = not release_overdue(connection, event_id, now=now)
    raise StockContended


def _write(connection: psycopg.Connection[Any], draft: Draft, record: Record, *, idempotency: Idempotency) -> bool:
    """Write the order and claim its stock, in one transaction; return False if it must be computed again."""
    answers = answer_parameters(draft, record)
    most = draft.event.max_tickets_per_customer
    try:
        with connection.pipeline():
            connection.execute(statements.INSERT_ORDER, order_parameters(draft, record, idempotency), prepare=True)
            if answers is not None:
                connection.execute(statements.INSERT_ANSWERS, answers, prepare=True)
            _claim(connection, draft)
    except psycopg.DatabaseError as error:
        if error.sqlstate in _LOST_RACES or error.diag.constraint_name in _COMPUTE_ANEW:
            return False
        if error.sqlstate == CUSTOMER_REFUSED:
            raise TooManyForCustomer(
                f"One customer may have at most {most} tickets of this event.",
                max_tickets_per_customer=most,
                has=int(error.diag.message_detail or 0),
            ) from error
        raise
    return True


def _claim(connection: psycopg.Connection[Any], draft: Draft) -> None:
    """Claim the stock, the promo code and the customer's tickets, in the order in which all orders lock them."""
    claim(connection, draft.event_id, draft.claims, only_hold=not draft.is_paid)
    if draft.promo is not None:
        claim_promo(
            connection,
            draft.event_id,
            draft.promo,
            order_id=draft.id,
            customer=draft.customer.key,
            discount_cents=draft.amounts.discount,
            now=draft.placed_at,
        )
    most = draft.event.max_tickets_per_customer
    if most is not None:
        claim_for_customer(
            connection,
            draft.event_id,
            draft.id,
            customer=draft.customer.key,
            tickets=len(draft.tickets),
            at_most=most,
        )
