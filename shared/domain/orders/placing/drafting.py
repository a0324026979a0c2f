"""An order before it is written: what may be bought now, what it costs, and how it is paid, computed from one read.

Nothing is locked and nothing is written here. The claim of the stock decides later whether the terms still hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg

from shared.domain.access.errors import NoSuchEvent
from shared.domain.catalog.errors import EventCancelled
from shared.domain.ledger.rules import Amounts
from shared.domain.orders.errors import PaymentMethodUnavailable
from shared.domain.orders.lines.answers import Answer
from shared.domain.orders.lines.charges import charges_on
from shared.domain.orders.lines.offers import EventTerms, LineKind, Offers
from shared.domain.orders.placing.basket import Basket, Customer, SalesChannel, Wanted
from shared.domain.orders.placing.rules import Line, price_lines, quantities
from shared.domain.orders.states import State
from shared.domain.promotions.redeeming import Promo, discounts, read_promo
from shared.domain.stock.commands import Claim
from shared.domain.tickets.rules import ticket_numbers
from shared.kit.errors import InvalidInput
from shared.kit.ids import new_id, random_word


@dataclass(frozen=True, slots=True)
class DraftLine:
    """One line of the order, with the ids of its tickets and answers."""

    id: UUID
    priced: Line
    ticket_ids: list[UUID]
    answers: list[tuple[UUID, Answer]]

    def ticket_of(self, answer: Answer) -> UUID | None:
        """The ticket that the answer is about; None when it is about the line."""
        return None if answer.ticket is None else self.ticket_ids[answer.ticket]


@dataclass(frozen=True, slots=True)
class Draft:
    """An order ready to be written."""

    event_id: UUID
    id: UUID
    number: str
    event: EventTerms
    channel: SalesChannel
    customer: Customer
    lines: list[DraftLine]
    tickets: list[tuple[UUID, UUID, str]]
    """Ticket id, line id, number."""
    method: str
    is_paid: bool
    promo: Promo | None
    placed_at: datetime

    @property
    def amounts(self) -> Amounts:
        """The order's sums, in cents."""
        lines = [line.priced for line in self.lines]
        return Amounts(
            subtotal=sum(line.subtotal_cents for line in lines),
            discount=sum(line.discount_cents for line in lines),
            fee=sum(line.charges.fee_cents for line in lines),
            tax=sum(line.charges.tax_cents for line in lines),
            included_fee=sum(line.charges.included_fee_cents for line in lines),
            included_tax=sum(line.charges.included_tax_cents for line in lines),
        )

    @property
    def claims(self) -> list[Claim]:
        """The stock that the order takes, on the terms under which it was computed."""
        priced = [line.priced for line in self.lines]
        terms = {line.offer.id: line.offer.terms for line in priced}
        return [Claim(id_, quantity, terms[id_]) for id_, quantity in quantities(priced).items()]

    @property
    def status(self) -> State:
        """Paid at once, or waiting for its payment."""
        return State.PAID if self.is_paid else State.PENDING

    @property
    def expires_at(self) -> datetime | None:
        """When the order expires; None if it is paid already."""
        return None if self.is_paid else self.placed_at + self.event.order_expiry

    @property
    def payment_reference(self) -> str | None:
        """The payment's reference, if the order itself stands for its payment (`test`); otherwise None (R-ORD-6)."""
        return f"test_{self.id.hex}" if self.method == "test" else None


def draft_order(
    connection: psycopg.Connection[Any], event_id: UUID, basket: Basket, *, channel: SalesChannel, now: datetime
) -> Draft:
    """Compute the order from what the database says now; its prices are those of this moment (R-PROMO-2).

    Raises `NoSuchEvent`, `EventCancelled`, what `price_lines` raises, `PaymentMethodUnavailable`, and the refusals of
    promo codes.
    """
    event, offers = _read_offers(connection, event_id, basket.wanted)
    lines = price_lines(basket.wanted, offers, now=now)
    if basket.payment_method == "comp" and basket.promo_code is not None:
        raise InvalidInput("An order that is given away takes no promo code.", pointer="/promo_code")
    promo = None
    if basket.promo_code is not None:
        promo = read_promo(connection, event_id, basket.promo_code, customer=basket.customer.key)
        lines = _discounted(lines, promo, now=now)
    if basket.payment_method == "comp":
        lines = [replace(line, discount_cents=line.subtotal_cents) for line in lines]
    lines = [replace(line, charges=charges_on(line.total_cents, line.quantity, line.offer.rates)) for line in lines]
    method, is_paid = _payment_method(basket.payment_method, lines, channel)
    return draft_of(
        event_id,
        event,
        lines,
        channel=channel,
        customer=basket.customer,
        method=method,
        is_paid=is_paid,
        promo=promo,
        now=now,
    )


def draft_of(
    event_id: UUID,
    event: EventTerms,
    lines: Sequence[Line],
    *,
    channel: SalesChannel,
    customer: Customer,
    method: str,
    is_paid: bool,
    promo: Promo | None,
    now: datetime,
) -> Draft:
    """Return the draft of an order, in which everything has its id and number."""
    word = f"{now:%Y%m%d}-{random_word(6)}"
    drafted = [
        DraftLine(
            new_id(),
            line,
            [new_id() for _ in range(line.ticket_count)],
            [(new_id(), answer) for answer in line.answers],
        )
        for line in lines
    ]
    owned = [(ticket_id, line.id) for line in drafted for ticket_id in line.ticket_ids]
    numbers = ticket_numbers(word, len(owned))
    return Draft(
        event_id=event_id,
        id=new_id(),
        number=f"ORD-{word}",
        event=event,
        channel=channel,
        customer=customer,
        lines=drafted,
        tickets=[(*ids, number) for ids, number in zip(owned, numbers, strict=True)],
        method=method,
        is_paid=is_paid,
        promo=promo,
        placed_at=now,
    )


def _read_offers(
    connection: psycopg.Connection[Any], event_id: UUID, wanted: Sequence[Wanted]
) -> tuple[EventTerms, Offers]:
    """Read the wanted offers, with one statement for each kind; nearly always there is only one kind."""
    asked: dict[LineKind, set[UUID]] = {}
    for each in wanted:
        asked.setdefault(each.kind, set()).add(each.id)
    event: EventTerms | None = None
    offers: Offers = {}
    for kind, ids in asked.items():
        event, found = kind.read(connection, event_id, ids)
        offers |= found
    if event is None or event.status == "draft":
        raise NoSuchEvent
    if event.status == "cancelled":
        raise EventCancelled
    return event, offers


def _discounted(lines: list[Line], promo: Promo, *, now: datetime) -> list[Line]:
    off = discounts(promo, [(line.offer.id, line.subtotal_cents) for line in lines], now=now)
    return [replace(line, discount_cents=cents) for line, cents in zip(lines, off, strict=True)]


def _payment_method(method: str | None, lines: Sequence[Line], channel: SalesChannel) -> tuple[str, bool]:
    """Return how the order is paid, and whether that pays it at once."""
    if method is not None and method not in channel.paid_at_once | channel.paid_later:
        raise PaymentMethodUnavailable(f"“{method}” is not available here.", pointer="/payment_method")
    if not any(line.total_cents + line.charges.fee_cents + line.charges.tax_cents for line in lines):
        return (method if method in channel.paid_at_once else "free"), True
    if method is None:
        raise PaymentMethodUnavailable("Name a payment method: this order has to be paid.", pointer="/payment_method")
    return method, method in channel.paid_at_once
