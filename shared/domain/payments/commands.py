"""Paying an order online: begun, confirmed, told of by messages. A provider is asked outside any transaction."""

from datetime import datetime
from uuid import UUID

import orjson
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.domain.orders.schemas import OrderOut
from shared.domain.payments.errors import NothingToPay, PaymentRefused, PaymentsUnavailable
from shared.domain.payments.facts import take_note
from shared.domain.payments.models import ProviderMessage
from shared.domain.payments.provider import Bill, Facts, Message, Provider, ProviderRefused
from shared.domain.payments.providers import online_provider
from shared.kit.db.unit_of_work import driver_connection


def require_provider() -> Provider:
    """The provider that takes payments online here; raises `PaymentsUnavailable`."""
    provider = online_provider()
    if provider is None:
        raise PaymentsUnavailable
    return provider


def open_payment(order: OrderOut, *, attempt: int, now: datetime) -> Facts:
    """Begin the payment of an order at the provider; the same attempt gives the same payment.

    Works on the provider alone. Raises `NothingToPay`, `PaymentsUnavailable`, `PaymentRefused`, `ProviderDown`.
    """
    if order.status != "pending" or order.expires_at is None or order.expires_at <= now:
        raise NothingToPay(f"The order is {'expired' if order.status == 'pending' else order.status}.")
    bill = Bill(
        event_id=order.event_id,
        order_id=order.id,
        order_number=order.number,
        amount_cents=order.total_cents,
        currency=order.currency,
        customer_email=order.customer.email,
    )
    try:
        return require_provider().open(bill, key=f"order-{order.id}-{attempt}")
    except ProviderRefused as refusal:
        raise PaymentRefused(f"The payment provider has refused ({refusal}).", reason=str(refusal)) from refusal


def note_facts(session: Session, facts: Facts, *, now: datetime) -> tuple[UUID, UUID] | None:
    """Let what the provider has just answered have its effect."""
    return take_note(driver_connection(session), require_provider().name, facts, asked=True, now=now)


def note_message(session: Session, provider: str, message: Message, *, now: datetime) -> bool:
    """Let a provider's message have its effect, once however often it is sent; says whether it was new."""
    stored = session.execute(
        insert(ProviderMessage)
        .values(
            provider=provider,
            id=message.id,
            kind=message.kind,
            payload=orjson.loads(orjson.dumps(message.payload)),
            outcome="ignored" if message.facts is None else "noted",
            received_at=now,
        )
        .on_conflict_do_nothing()
        .returning(ProviderMessage.id)
    ).one_or_none()
    if stored is None:
        return False
    if message.facts is not None:
        take_note(driver_connection(session), provider, message.facts, now=now)
    return True
