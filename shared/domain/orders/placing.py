"""Placing an order: never oversold, never refused while stock remains (R-ORD-2).

What may be bought and what it costs is computed from one read; the claim then succeeds only under the very terms that
were read. Whoever loses a race reads again: then either the stock is truly short, or there is something to claim.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import orjson
import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from shared.domain.access.errors import NoSuchEvent
from shared.domain.catalog.errors import EventCancelled
from shared.domain.ledger.rules import Amounts, sale_pairs
from shared.domain.orders import statements
from shared.domain.orders.answers import Answer, Option
from shared.domain.orders.charges import Rates, charges_on
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
from shared.domain.orders.links import access_token, token_hash
from shared.domain.orders.releasing import release_overdue
from shared.domain.orders.rules import Line, Offer, price_lines, quantities
from shared.domain.orders.schemas import (
    AnswerOut,
    BoxOfficeOrder,
    CustomerOut,
    OrderItemOut,
    OrderPlace,
    PaymentOut,
    PlacedOrderOut,
)
from shared.domain.orders.states import State
from shared.domain.promotions.errors import REFUSALS as PROMO_REFUSALS
from shared.domain.promotions.errors import PromoCodeUsedByCustomer, PromoCodeUsedUp
from shared.domain.promotions.redeeming import CLAIM_REFUSED as PROMO_CLAIM_REFUSED
from shared.domain.promotions.redeeming import Promo, claim_promo, customer_of, discounts, read_promo
from shared.domain.tickets.codes import TicketCode, sign_code, signing_key
from shared.domain.tickets.schemas import TicketOut
from shared.kit.actor import GUEST, Actor
from shared.kit.db.arrays import array
from shared.kit.db.idempotency import Idempotency, IdempotencyKeyReused
from shared.kit.errors import InvalidInput
from shared.kit.ids import new_id, random_word
from shared.kit.tracing import traceparent

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
_READ_AS_IT_IS = Offer.__dataclass_fields__.keys() - {"package_id", "options", "rates"}
_RATES = tuple(Rates.__dataclass_fields__)
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


@dataclass(frozen=True, slots=True)
class Counter:
    """Where an order is placed, and how it can be paid there."""

    channel: Literal["online", "box_office"] = "online"
    paid_at_once: frozenset[str] = frozenset()
    """Ways of paying with which the order is paid when it is placed."""
    paid_later: frozenset[str] = frozenset()
    """Those for which it waits, and holds its tickets meanwhile."""
    seller: UUID | None = None
    """Who sells, at the box office; online buyers serve themselves."""


@dataclass(frozen=True, slots=True)
class _Evening:
    """What an order needs to know of its event."""

    currency: str
    max_tickets_per_customer: int | None
    order_expiry: timedelta


@dataclass(frozen=True, slots=True)
class _Item:
    id: UUID
    line: Line
    tickets: list[UUID]
    answers: list[tuple[UUID, Answer]]

    def ticket_of(self, answer: Answer) -> UUID | None:
        return None if answer.ticket is None else self.tickets[answer.ticket]


@dataclass(frozen=True, slots=True)
class _Draft:
    """An order ready to be written."""

    event_id: UUID
    id: UUID
    number: str
    evening: _Evening
    items: list[_Item]
    tickets: list[tuple[UUID, UUID, str]]  # ticket id, item id, number
    method: str
    is_paid: bool
    promo: Promo | None
    customer: str
    placed_at: datetime

    @property
    def answers(self) -> list[tuple[_Item, UUID, Answer]]:
        return [(item, answer_id, answer) for item in self.items for answer_id, answer in item.answers]

    @property
    def amounts(self) -> Amounts:
        lines = [item.line for item in self.items]
        return Amounts(
            subtotal=sum(line.subtotal_cents for line in lines),
            discount=sum(line.discount_cents for line in lines),
            fee=sum(line.charges.fee_cents for line in lines),
            tax=sum(line.charges.tax_cents for line in lines),
            included_fee=sum(line.charges.included_fee_cents for line in lines),
            included_tax=sum(line.charges.included_tax_cents for line in lines),
        )

    @property
    def status(self) -> State:
        return State.PAID if self.is_paid else State.PENDING

    @property
    def expires_at(self) -> datetime | None:
        return None if self.is_paid else self.placed_at + self.evening.order_expiry

    @property
    def payment_reference(self) -> str | None:
        return f"test_{self.id.hex}" if self.method == "test" else None


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
    `PaymentMethodUnavailable`, `NoSuchEvent`, `EventCancelled`, the refusals of promo codes, and the database's own
    unique violation where the idempotency key was used before.
    """
    if counter.seller is not None:
        actor = replace(GUEST, request_id=actor.request_id)  # who sells does not buy
    tidy = False
    for _ in range(_ATTEMPTS):
        try:
            draft = _draft(connection, event_id, body, actor=actor, counter=counter, now=now)
            if _write(connection, draft, body, actor=actor, counter=counter, idempotency=idempotency):
                return _out(draft, body)
        except _SHORT:
            # Only what was read when nothing was overdue any more is sure to be short: until then, somebody else may
            # have freed it after we had read.
            if tidy:
                raise
            tidy = not release_overdue(connection, event_id, now=now)
    raise StockContended


def _draft(
    connection: psycopg.Connection[Any],
    event_id: UUID,
    body: OrderPlace | BoxOfficeOrder,
    *,
    actor: Actor,
    counter: Counter,
    now: datetime,
) -> _Draft:
    """Compute the order from what the database says now."""
    customer = customer_of(actor.user_id, body.customer.email)
    evening, offers = _read_offers(connection, event_id, list({item.package_id for item in body.items}))
    lines = price_lines(body.items, offers, now=now)
    if body.payment_method == "comp" and body.promo_code is not None:
        raise InvalidInput("What is given away takes no promo code.", pointer="/promo_code")
    promo = None
    if body.promo_code is not None:
        promo = read_promo(connection, event_id, body.promo_code, customer=customer)
        lines = _discounted(lines, promo, now=now)
    if body.payment_method == "comp":
        lines = [replace(line, discount_cents=line.subtotal_cents) for line in lines]
    lines = [replace(line, charges=charges_on(line.total_cents, line.quantity, line.offer.rates)) for line in lines]
    method, is_paid = _payment_method(body, lines, counter)
    return _draft_of(event_id, evening, lines, method=method, is_paid=is_paid, promo=promo, customer=customer, now=now)


def _draft_of(
    event_id: UUID,
    evening: _Evening,
    lines: Sequence[Line],
    *,
    method: str,
    is_paid: bool,
    promo: Promo | None,
    customer: str,
    now: datetime,
) -> _Draft:
    """Give everything its id and number."""
    word = f"{now:%Y%m%d}-{random_word(6)}"
    items = [
        _Item(new_id(), line, [new_id() for _ in range(line.seats)], [(new_id(), answer) for answer in line.answers])
        for line in lines
    ]
    owned = [(ticket_id, item.id) for item in items for ticket_id in item.tickets]
    width = max(2, len(str(len(owned))))
    tickets = [(*ids, f"TKT-{word}-{number:0{width}d}") for number, ids in enumerate(owned, start=1)]
    return _Draft(
        event_id, new_id(), f"ORD-{word}", evening, items, tickets, method, is_paid, promo, customer, placed_at=now
    )


def _read_offers(
    connection: psycopg.Connection[Any], event_id: UUID, package_ids: list[UUID]
) -> tuple[_Evening, dict[UUID, Offer]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            statements.READ_OFFERS, {"event_id": event_id, "package_ids": array(package_ids)}, prepare=True
        ).fetchall()
    if not rows or rows[0]["status"] == "draft":
        raise NoSuchEvent
    if rows[0]["status"] == "cancelled":
        raise EventCancelled
    evening = _Evening(
        rows[0]["currency"], rows[0]["max_tickets_per_customer"], timedelta(minutes=rows[0]["order_expiry_minutes"])
    )
    return evening, {row["id"]: _offer(row) for row in rows if row["id"]}


def _offer(row: dict[str, Any]) -> Offer:
    options = tuple(
        Option(**{**option, "id": UUID(option["id"]), "choices": tuple(option["choices"])})
        for option in row["options"] or ()
    )
    return Offer(
        package_id=row["id"],
        options=options,
        rates=Rates(**{name: row[name] for name in _RATES}),
        **{name: row[name] for name in _READ_AS_IT_IS},
    )


def _discounted(lines: list[Line], promo: Promo, *, now: datetime) -> list[Line]:
    off = discounts(promo, [(line.offer.package_id, line.subtotal_cents) for line in lines], now=now)
    return [replace(line, discount_cents=cents) for line, cents in zip(lines, off, strict=True)]


def _payment_method(body: OrderPlace | BoxOfficeOrder, lines: Sequence[Line], counter: Counter) -> tuple[str, bool]:
    """Return how the order is paid, and whether it is paid by that already."""
    method = body.payment_method
    if method is not None and method not in counter.paid_at_once | counter.paid_later:
        raise PaymentMethodUnavailable(f"“{method}” is not available here.", pointer="/payment_method")
    if not any(line.total_cents + line.charges.fee_cents + line.charges.tax_cents for line in lines):
        return (method if method in counter.paid_at_once else "free"), True
    if method is None:
        raise PaymentMethodUnavailable("Say how you pay: something is owed.", pointer="/payment_method")
    return method, method in counter.paid_at_once


def _write(
    connection: psycopg.Connection[Any],
    draft: _Draft,
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
            columns = _columns(draft, body, actor, counter, idempotency)
            connection.execute(statements.INSERT_ORDER, columns, prepare=True)
            if draft.answers:
                columns = _answer_columns(draft.event_id, draft.answers)
                connection.execute(statements.INSERT_ANSWERS, columns, prepare=True)
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


def _columns(
    draft: _Draft, body: OrderPlace | BoxOfficeOrder, actor: Actor, counter: Counter, idempotency: Idempotency
) -> dict[str, Any]:
    amounts = draft.amounts
    pairs = sale_pairs(amounts, method=draft.method) if draft.is_paid else []
    return {
        "event_id": draft.event_id,
        "id": draft.id,
        "number": draft.number,
        "status": draft.status.value,
        "channel": counter.channel,
        "placed_by": counter.seller,
        "customer": draft.customer,
        "customer_user_id": actor.user_id,
        "customer_name": body.customer.name,
        "customer_email": body.customer.email,
        "customer_phone": body.customer.phone,
        "currency": draft.evening.currency,
        "subtotal_cents": amounts.subtotal,
        "discount_cents": amounts.discount,
        "fee_cents": amounts.fee,
        "tax_cents": amounts.tax,
        "included_fee_cents": amounts.included_fee,
        "included_tax_cents": amounts.included_tax,
        "total_cents": amounts.total,
        "promo_code": draft.promo.code if draft.promo else None,
        "payment_method": draft.method,
        "payment_reference": draft.payment_reference,
        "access_token_hash": token_hash(access_token(draft.id)),
        "now": draft.placed_at,
        "expires_at": draft.expires_at,
        "paid_at": draft.placed_at if draft.is_paid else None,
        "is_paid": draft.is_paid,
        "items": orjson.dumps([_item_row(item, position) for position, item in enumerate(draft.items)]).decode(),
        "tickets": orjson.dumps(
            [{"id": id_, "item_id": item_id, "number": number} for id_, item_id, number in draft.tickets]
        ).decode(),
        "ticket_status": "valid" if draft.is_paid else "reserved",
        "entries": orjson.dumps([{"id": new_id(), **pair._asdict()} for pair in pairs]).decode(),
        "message_id": new_id(),
        "traceparent": traceparent(),
        "key_event_id": idempotency.event_id,
        "key_hash": idempotency.key_hash,
        "fingerprint": idempotency.fingerprint,
    }


def _item_row(item: _Item, position: int) -> dict[str, Any]:
    line = item.line
    return {
        "id": item.id,
        "position": position,
        "package_id": line.offer.package_id,
        "description": line.offer.name,
        "quantity": line.quantity,
        "seats": line.offer.seats_per_package,
        "price": line.offer.price_cents,
        "discount": line.discount_cents,
        "total": line.total_cents,
        "fee": line.charges.fee_cents,
        "tax": line.charges.tax_cents,
        "included_fee": line.charges.included_fee_cents,
        "included_tax": line.charges.included_tax_cents,
        "worth": line.offer.fair_market_value_cents,
    }


def _answer_columns(event_id: UUID, answers: Sequence[tuple[_Item, UUID, Answer]]) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "ids": [answer_id for _, answer_id, _ in answers],
        "item_ids": [item.id for item, _, _ in answers],
        "option_ids": [answer.option.id for _, _, answer in answers],
        "ticket_ids": [item.ticket_of(answer) for item, _, answer in answers],
        "labels": [answer.option.label for _, _, answer in answers],
        "values": [Jsonb(answer.value) for _, _, answer in answers],
    }


def _out(draft: _Draft, body: OrderPlace | BoxOfficeOrder) -> PlacedOrderOut:
    amounts = draft.amounts
    return PlacedOrderOut(
        id=draft.id,
        event_id=draft.event_id,
        number=draft.number,
        status=draft.status.value,
        customer=CustomerOut(name=body.customer.name, email=body.customer.email, phone=body.customer.phone),
        currency=draft.evening.currency,
        items=[_item_out(item) for item in draft.items],
        subtotal_cents=amounts.subtotal,
        discount_cents=amounts.discount,
        fee_cents=amounts.fee,
        tax_cents=amounts.tax,
        included_fee_cents=amounts.included_fee,
        included_tax_cents=amounts.included_tax,
        total_cents=amounts.total,
        refunded_cents=0,
        promo_code=draft.promo.code if draft.promo else None,
        payment=PaymentOut(method=draft.method, status=draft.status.value, provider_reference=draft.payment_reference),
        tickets=_tickets_out(draft) if draft.is_paid else [],
        expires_at=draft.expires_at,
        created_at=draft.placed_at,
        paid_at=draft.placed_at if draft.is_paid else None,
        access_token=access_token(draft.id),
    )


def _item_out(item: _Item) -> OrderItemOut:
    line = item.line
    return OrderItemOut(
        id=item.id,
        kind="package",
        package_id=line.offer.package_id,
        description=line.offer.name,
        quantity=line.quantity,
        unit_price_cents=line.offer.price_cents,
        discount_cents=line.discount_cents,
        total_cents=line.total_cents,
        fee_cents=line.charges.fee_cents,
        tax_cents=line.charges.tax_cents,
        included_fee_cents=line.charges.included_fee_cents,
        included_tax_cents=line.charges.included_tax_cents,
        fair_market_value_cents=line.offer.fair_market_value_cents,
        answers=[
            AnswerOut(
                option_id=answer.option.id,
                label=answer.option.label,
                value=answer.value,
                ticket_id=item.ticket_of(answer),
            )
            for _, answer in item.answers
        ],
    )


def _tickets_out(draft: _Draft) -> list[TicketOut]:
    key = signing_key()
    return [
        TicketOut(
            id=ticket_id,
            number=number,
            status="valid",
            holder=None,
            code=sign_code(TicketCode(draft.event_id, ticket_id, 1), key),
        )
        for ticket_id, _, number in draft.tickets
    ]
