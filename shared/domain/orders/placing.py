"""Placing an order: never oversold, never refused while stock remains (R-ORD-2).

What may be bought and what it costs is computed from one read; the claim then succeeds only under the very terms that
were read. Whoever loses a race reads again: then either the stock is truly short, or there is something to claim.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from shared.domain.access.errors import NoSuchEvent
from shared.domain.catalog.errors import EventCancelled
from shared.domain.orders import statements
from shared.domain.orders.answers import Answer, Option
from shared.domain.orders.errors import PaymentMethodUnavailable, StockContended
from shared.domain.orders.links import access_token, token_hash
from shared.domain.orders.rules import Line, Offer, price_lines, quantities
from shared.domain.orders.schemas import (
    AnswerOut,
    CustomerOut,
    OrderItemOut,
    OrderPlace,
    PaymentOut,
    PlacedOrderOut,
)
from shared.domain.promotions.redeeming import CLAIM_REFUSED as PROMO_CLAIM_REFUSED
from shared.domain.promotions.redeeming import Promo, claim_promo, customer_of, discounts, read_promo
from shared.domain.tickets.codes import TicketCode, sign_code, signing_key
from shared.domain.tickets.schemas import TicketOut
from shared.kit.actor import Actor
from shared.kit.db.idempotency import Idempotency
from shared.kit.ids import new_id, random_word

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
_READ_AS_IT_IS = Offer.__dataclass_fields__.keys() - {"package_id", "options"}


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
    currency: str
    items: list[_Item]
    tickets: list[tuple[UUID, UUID, str]]  # ticket id, item id, number
    method: str
    promo: Promo | None
    customer: str

    @property
    def answers(self) -> list[tuple[_Item, UUID, Answer]]:
        return [(item, answer_id, answer) for item in self.items for answer_id, answer in item.answers]

    @property
    def subtotal_cents(self) -> int:
        return sum(item.line.subtotal_cents for item in self.items)

    @property
    def discount_cents(self) -> int:
        return sum(item.line.discount_cents for item in self.items)


def place_order(
    connection: psycopg.Connection[Any],
    event_id: UUID,
    body: OrderPlace,
    *,
    actor: Actor,
    idempotency: Idempotency,
    allow_test_payment: bool,
    now: datetime,
) -> PlacedOrderOut:
    """Sell what the buyer asks for, all or nothing, with the idempotency key and the confirmation's outbox row.

    `connection` is in autocommit: what this returns is committed. Raises `SoldOut`, `PackageNotOnSale`,
    `QuantityOutOfRange`, `UnknownPackage`, `TooManyTickets`, `PaymentMethodUnavailable`, `NoSuchEvent`, and the
    database's own unique violation where the idempotency key was used before, and the refusals of promo codes.
    """
    package_ids = list({item.package_id for item in body.items})
    customer = customer_of(actor.user_id, body.customer.email)
    for _ in range(_ATTEMPTS):
        currency, offers = _read_offers(connection, event_id, package_ids)
        lines = price_lines(body.items, offers, now=now)
        promo = None
        if body.promo_code is not None:
            promo = read_promo(connection, event_id, body.promo_code, customer=customer)
            lines = _discounted(lines, promo, now=now)
        method = _payment_method(body, lines, allow_test=allow_test_payment)
        draft = _draft(event_id, currency, lines, method=method, promo=promo, customer=customer, now=now)
        if _write(connection, draft, body, actor=actor, idempotency=idempotency, now=now):
            return _out(draft, body, now=now)
    raise StockContended


def _read_offers(
    connection: psycopg.Connection[Any], event_id: UUID, package_ids: list[UUID]
) -> tuple[str, dict[UUID, Offer]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(
            statements.READ_OFFERS, {"event_id": event_id, "package_ids": package_ids}, prepare=True
        ).fetchall()
    if not rows or rows[0]["status"] == "draft":
        raise NoSuchEvent
    if rows[0]["status"] == "cancelled":
        raise EventCancelled
    return rows[0]["currency"], {row["id"]: _offer(row) for row in rows if row["id"]}


def _offer(row: dict[str, Any]) -> Offer:
    options = tuple(
        Option(**{**option, "id": UUID(option["id"]), "choices": tuple(option["choices"])})
        for option in row["options"] or ()
    )
    return Offer(package_id=row["id"], options=options, **{name: row[name] for name in _READ_AS_IT_IS})


def _discounted(lines: list[Line], promo: Promo, *, now: datetime) -> list[Line]:
    off = discounts(promo, [(line.offer.package_id, line.subtotal_cents) for line in lines], now=now)
    return [replace(line, discount_cents=cents) for line, cents in zip(lines, off, strict=True)]


def _payment_method(body: OrderPlace, lines: Sequence[Line], *, allow_test: bool) -> str:
    if body.payment_method == "test":
        if not allow_test:
            raise PaymentMethodUnavailable("The test provider exists in development only.", pointer="/payment_method")
        return "test"
    if any(line.total_cents for line in lines):
        raise PaymentMethodUnavailable("Say how you pay: something is owed.", pointer="/payment_method")
    return "free"


def _draft(
    event_id: UUID,
    currency: str,
    lines: list[Line],
    *,
    method: str,
    promo: Promo | None,
    customer: str,
    now: datetime,
) -> _Draft:
    word = f"{now:%Y%m%d}-{random_word(6)}"
    items = [
        _Item(new_id(), line, [new_id() for _ in range(line.seats)], [(new_id(), answer) for answer in line.answers])
        for line in lines
    ]
    owned = [(ticket_id, item.id) for item in items for ticket_id in item.tickets]
    width = max(2, len(str(len(owned))))
    tickets = [(*ids, f"TKT-{word}-{number:0{width}d}") for number, ids in enumerate(owned, start=1)]
    return _Draft(event_id, new_id(), f"ORD-{word}", currency, items, tickets, method, promo, customer)


def _write(
    connection: psycopg.Connection[Any],
    draft: _Draft,
    body: OrderPlace,
    *,
    actor: Actor,
    idempotency: Idempotency,
    now: datetime,
) -> bool:
    """Write the order and claim its stock, in one transaction; False when it must be computed anew."""
    wanted = quantities([item.line for item in draft.items])
    terms = {item.line.offer.package_id: item.line.offer.terms for item in draft.items}
    try:
        with connection.pipeline():
            connection.execute(statements.INSERT_ORDER, _columns(draft, body, actor, idempotency, now), prepare=True)
            if draft.answers:
                columns = _answer_columns(draft.event_id, draft.answers)
                connection.execute(statements.INSERT_ANSWERS, columns, prepare=True)
            connection.execute(
                statements.CLAIM_STOCK,
                {
                    "event_id": draft.event_id,
                    "package_ids": list(wanted),
                    "quantities": list(wanted.values()),
                    "terms": [terms[package_id] for package_id in wanted],
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
                    discount_cents=draft.discount_cents,
                    now=now,
                )
    except psycopg.DatabaseError as error:
        if error.sqlstate in _LOST_RACES or error.diag.constraint_name in _COMPUTE_ANEW:
            return False
        raise
    return True


def _columns(draft: _Draft, body: OrderPlace, actor: Actor, idempotency: Idempotency, now: datetime) -> dict[str, Any]:
    lines = [item.line for item in draft.items]
    return {
        "event_id": draft.event_id,
        "id": draft.id,
        "number": draft.number,
        "customer_user_id": actor.user_id,
        "customer_name": body.customer.name,
        "customer_email": body.customer.email,
        "customer_phone": body.customer.phone,
        "currency": draft.currency,
        "subtotal_cents": draft.subtotal_cents,
        "discount_cents": draft.discount_cents,
        "total_cents": draft.subtotal_cents - draft.discount_cents,
        "promo_code": draft.promo.code if draft.promo else None,
        "payment_method": draft.method,
        "payment_reference": _payment_reference(draft),
        "access_token_hash": token_hash(access_token(draft.id)),
        "now": now,
        "item_ids": [item.id for item in draft.items],
        "positions": list(range(len(lines))),
        "package_ids": [line.offer.package_id for line in lines],
        "descriptions": [line.offer.name for line in lines],
        "quantities": [line.quantity for line in lines],
        "seats": [line.offer.seats_per_package for line in lines],
        "prices": [line.offer.price_cents for line in lines],
        "discounts": [line.discount_cents for line in lines],
        "totals": [line.total_cents for line in lines],
        "ticket_ids": [ticket[0] for ticket in draft.tickets],
        "ticket_item_ids": [ticket[1] for ticket in draft.tickets],
        "ticket_numbers": [ticket[2] for ticket in draft.tickets],
        "message_id": new_id(),
        "key_event_id": idempotency.event_id,
        "key_hash": idempotency.key_hash,
        "fingerprint": idempotency.fingerprint,
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


def _payment_reference(draft: _Draft) -> str | None:
    return f"test_{draft.id.hex}" if draft.method == "test" else None


def _out(draft: _Draft, body: OrderPlace, *, now: datetime) -> PlacedOrderOut:
    key = signing_key()
    return PlacedOrderOut(
        id=draft.id,
        event_id=draft.event_id,
        number=draft.number,
        status="paid",
        customer=CustomerOut(name=body.customer.name, email=body.customer.email, phone=body.customer.phone),
        currency=draft.currency,
        items=[
            OrderItemOut(
                id=item.id,
                kind="package",
                package_id=item.line.offer.package_id,
                description=item.line.offer.name,
                quantity=item.line.quantity,
                unit_price_cents=item.line.offer.price_cents,
                discount_cents=item.line.discount_cents,
                total_cents=item.line.total_cents,
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
            for item in draft.items
        ],
        subtotal_cents=draft.subtotal_cents,
        discount_cents=draft.discount_cents,
        fee_cents=0,
        tax_cents=0,
        total_cents=draft.subtotal_cents - draft.discount_cents,
        refunded_cents=0,
        promo_code=draft.promo.code if draft.promo else None,
        payment=PaymentOut(method=draft.method, status="paid", provider_reference=_payment_reference(draft)),
        tickets=[
            TicketOut(
                id=ticket_id,
                number=number,
                status="valid",
                holder=None,
                code=sign_code(TicketCode(draft.event_id, ticket_id, 1), key),
            )
            for ticket_id, _, number in draft.tickets
        ],
        expires_at=None,
        created_at=now,
        paid_at=now,
        access_token=access_token(draft.id),
    )
