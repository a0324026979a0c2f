"""A draft as the rows that the database gets, and as the answer that the buyer gets: the same order, said twice."""

from typing import Any

import orjson
from psycopg.types.json import Jsonb

from shared.domain.ledger.rules import sale_pairs
from shared.domain.orders.links import access_token, token_hash
from shared.domain.orders.messages import ORDER_CONFIRMATION
from shared.domain.orders.placing.drafting import Counter, Draft, DraftItem
from shared.domain.orders.schemas import (
    AnswerOut,
    BoxOfficeOrder,
    CustomerOut,
    OrderItemOut,
    OrderPlace,
    PaymentOut,
    PlacedOrderOut,
)
from shared.domain.tickets.codes import TicketCode, sign_code, signing_key
from shared.domain.tickets.schemas import TicketOut
from shared.kit.actor import Actor
from shared.kit.db.idempotency import Idempotency
from shared.kit.ids import new_id
from shared.kit.outbox import writing as outbox


def order_row(
    draft: Draft, body: OrderPlace | BoxOfficeOrder, actor: Actor, counter: Counter, idempotency: Idempotency
) -> dict[str, Any]:
    """Return the parameters of `INSERT_ORDER`: the order with its items, tickets, ledger entries, mail and key."""
    amounts = draft.amounts
    pairs = sale_pairs(amounts, method=draft.method) if draft.is_paid else []
    confirmation = [(ORDER_CONFIRMATION, {"order_id": draft.id})] if draft.is_paid else []
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
        "items": orjson.dumps([_item_row(item, position) for position, item in enumerate(draft.items)]).decode(),
        "tickets": orjson.dumps(
            [{"id": id_, "item_id": item_id, "number": number} for id_, item_id, number in draft.tickets]
        ).decode(),
        "ticket_status": "valid" if draft.is_paid else "reserved",
        "entries": orjson.dumps([{"id": new_id(), **pair._asdict()} for pair in pairs]).decode(),
        "messages": outbox.messages(draft.event_id, *confirmation, now=draft.placed_at),
        "key_event_id": idempotency.event_id,
        "key_hash": idempotency.key_hash,
        "fingerprint": idempotency.fingerprint,
    }


def _item_row(item: DraftItem, position: int) -> dict[str, Any]:
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


def answer_rows(draft: Draft) -> dict[str, Any]:
    """Return the parameters of `INSERT_ANSWERS`: a list a column."""
    answers = draft.answers
    return {
        "event_id": draft.event_id,
        "ids": [answer_id for _, answer_id, _ in answers],
        "item_ids": [item.id for item, _, _ in answers],
        "option_ids": [answer.option.id for _, _, answer in answers],
        "ticket_ids": [item.ticket_of(answer) for item, _, answer in answers],
        "labels": [answer.option.label for _, _, answer in answers],
        "values": [Jsonb(answer.value) for _, _, answer in answers],
    }


def placed_order(draft: Draft, body: OrderPlace | BoxOfficeOrder) -> PlacedOrderOut:
    """Return the order as its buyer sees it, with the secret of its link."""
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


def _item_out(item: DraftItem) -> OrderItemOut:
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


def _tickets_out(draft: Draft) -> list[TicketOut]:
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
