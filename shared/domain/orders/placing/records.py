"""A draft as the database stores it. The order that is shown is made from the same record (`reading.order_out`)."""

from typing import Any

import orjson
from psycopg.types.json import Jsonb

from shared.domain.ledger.commands import entries_of
from shared.domain.ledger.rules import sale_pairs
from shared.domain.orders.links import access_token, token_hash
from shared.domain.orders.messages import ORDER_CONFIRMATION
from shared.domain.orders.placing.drafting import Draft, DraftLine
from shared.domain.orders.reading import order_out
from shared.domain.orders.schemas import PlacedOrderOut
from shared.domain.tickets.states import TicketState
from shared.kit.db.idempotency import Idempotency
from shared.kit.outbox import writing as outbox

type Record = dict[str, Any]

_NO_ANSWERS: Record = {"answers": None}  # answers are written by their own statement


def record_of(draft: Draft) -> Record:
    """Return the order under the names of its columns, with its `items` and `tickets` under the names of theirs."""
    amounts = draft.amounts
    return {
        "event_id": draft.event_id,
        "id": draft.id,
        "number": draft.number,
        "status": draft.status.value,
        "channel": draft.channel.name,
        "placed_by": draft.channel.seller,
        "customer": draft.customer.key,
        "customer_user_id": draft.customer.user_id,
        "customer_name": draft.customer.name,
        "customer_email": draft.customer.email,
        "customer_phone": draft.customer.phone,
        "currency": draft.event.currency,
        "subtotal_cents": amounts.subtotal,
        "discount_cents": amounts.discount,
        "promo_code": draft.promo.code if draft.promo else None,
        "fee_cents": amounts.fee,
        "tax_cents": amounts.tax,
        "included_fee_cents": amounts.included_fee,
        "included_tax_cents": amounts.included_tax,
        "total_cents": amounts.total,
        "refunded_cents": 0,
        "payment_method": draft.method,
        "payment_reference": draft.payment_reference,
        "access_token_hash": token_hash(access_token(draft.id)),
        "expires_at": draft.expires_at,
        "created_at": draft.placed_at,
        "paid_at": draft.placed_at if draft.is_paid else None,
        "items": [_line(line, position) for position, line in enumerate(draft.lines)],
        "tickets": [
            {"id": id_, "order_item_id": line_id, "number": number, "status": _ticket_status(draft)}
            for id_, line_id, number in draft.tickets
        ],
    }


def _ticket_status(draft: Draft) -> str:
    return (TicketState.VALID if draft.is_paid else TicketState.RESERVED).value


def _line(line: DraftLine, position: int) -> Record:
    offer, priced = line.priced.offer, line.priced
    return {
        "id": line.id,
        "position": position,
        "kind": offer.kind.name,
        offer.kind.column: offer.id,
        "description": offer.name,
        "quantity": priced.quantity,
        "seats_per_package": offer.tickets_each,
        "unit_price_cents": offer.price_cents,
        "discount_cents": priced.discount_cents,
        "total_cents": priced.total_cents,
        "fee_cents": priced.charges.fee_cents,
        "tax_cents": priced.charges.tax_cents,
        "included_fee_cents": priced.charges.included_fee_cents,
        "included_tax_cents": priced.charges.included_tax_cents,
        "fair_market_value_cents": offer.fair_market_value_cents,
        "answers": [
            {
                "id": answer_id,
                "option_id": answer.option.id,
                "ticket_id": line.ticket_of(answer),
                "label": answer.option.label,
                "value": answer.value,
            }
            for answer_id, answer in line.answers
        ],
    }


def order_parameters(draft: Draft, record: Record, idempotency: Idempotency) -> dict[str, Any]:
    """Return the parameters of `INSERT_ORDER`."""
    pairs = sale_pairs(draft.amounts, method=draft.method) if draft.is_paid else []
    confirmation = [(ORDER_CONFIRMATION, {"order_id": draft.id})] if draft.is_paid else []
    return record | {
        "items": orjson.dumps([item | _NO_ANSWERS if item["answers"] else item for item in record["items"]]).decode(),
        "tickets": orjson.dumps(record["tickets"]).decode(),
        "order_id": draft.id,
        "cause": draft.id,
        "now": draft.placed_at,
        "entries": entries_of(pairs),
        "messages": outbox.messages(draft.event_id, *confirmation, now=draft.placed_at),
        "key_event_id": idempotency.event_id,
        "key_hash": idempotency.key_hash,
        "fingerprint": idempotency.fingerprint,
    }


def answer_parameters(draft: Draft, record: Record) -> dict[str, Any] | None:
    """Return the parameters of `INSERT_ANSWERS`, one list for each column; None if nothing was answered."""
    answers = [(item["id"], answer) for item in record["items"] for answer in item["answers"]]
    if not answers:
        return None
    return {
        "event_id": draft.event_id,
        "ids": [answer["id"] for _, answer in answers],
        "item_ids": [item_id for item_id, _ in answers],
        "option_ids": [answer["option_id"] for _, answer in answers],
        "ticket_ids": [answer["ticket_id"] for _, answer in answers],
        "labels": [answer["label"] for _, answer in answers],
        "values": [Jsonb(answer["value"]) for _, answer in answers],
    }


def placed_order(draft: Draft, record: Record) -> PlacedOrderOut:
    """Return the order as its buyer sees it, with the secret of its link."""
    return order_out(record, PlacedOrderOut, access_token=access_token(draft.id))
