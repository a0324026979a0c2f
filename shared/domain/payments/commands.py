"""Paying an order online: begins and confirms payments, and takes in the provider's messages.

A provider is asked outside any transaction.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.domain.orders.schemas import OrderOut
from shared.domain.payments.development import CARDS, DevelopmentProvider
from shared.domain.payments.errors import NothingToPay, PaymentRefused, PaymentsUnavailable
from shared.domain.payments.facts import take_note
from shared.domain.payments.messages import GIVE_UP_PAYMENT
from shared.domain.payments.models import Payment, ProviderMessage
from shared.domain.payments.provider import Bill, Facts, Message, Provider, ProviderRefused
from shared.domain.payments.providers import online_provider, provider_named
from shared.kit.db.idempotency import Idempotency
from shared.kit.db.unit_of_work import driver_connection
from shared.kit.outbox.writing import enqueue


def require_provider() -> Provider:
    """Return the provider that takes payments online here; raises `PaymentsUnavailable`."""
    provider = online_provider()
    if provider is None:
        raise PaymentsUnavailable
    return provider


def open_payment(order: OrderOut, *, attempt: int, now: datetime) -> Facts:
    """Begin the payment of an order at the provider; the same attempt gives the same payment.

    Talks only to the provider, and leaves the database as it is. Raises `NothingToPay`, `PaymentsUnavailable`,
    `PaymentRefused`, `ProviderDown`.
    """
    if order.status != "pending" or order.expires_at is None or order.expires_at <= now:
        raise NothingToPay(f"The order is {'expired' if order.status == 'pending' else order.status}.")
    bill = Bill(
        event_id=order.event_id,
        order_id=order.id,
        order_number=order.number,
        amount_cents=order.total_cents,
        currency=order.currency,
    )
    try:
        return require_provider().open(bill, key=f"order-{order.id}-{attempt}")
    except ProviderRefused as refusal:
        raise PaymentRefused(f"The payment provider has refused ({refusal}).", reason=str(refusal)) from refusal


def ask_provider(payment: Payment, *, card: str | None) -> Facts:
    """Return what the provider says about a payment now; with the test provider, `card` decides that.

    Talks only to the provider, and leaves the database as it is. Raises `PaymentsUnavailable`, `PaymentRefused`,
    `ProviderDown`.
    """
    provider = provider_named(payment.provider)
    if provider is None:
        raise PaymentsUnavailable
    if isinstance(provider, DevelopmentProvider):
        return replace(CARDS[card or "succeeds"], reference=payment.reference)
    try:
        return provider.look(payment.reference)
    except ProviderRefused as refusal:
        raise PaymentRefused(f"The payment provider has refused ({refusal}).", reason=str(refusal)) from refusal


def note_begun(session: Session, order_id: UUID, facts: Facts, *, idempotency: Idempotency, now: datetime) -> None:
    """Store a payment of the order that has been begun, what is known about it, and the idempotency key."""
    take_note(driver_connection(session), require_provider().name, facts, now=now)
    idempotency.remember(session, order_id, now=now)


def note_answer(session: Session, payment: Payment, facts: Facts, *, idempotency: Idempotency, now: datetime) -> None:
    """Apply what the provider has just answered about a payment, and store the idempotency key."""
    take_note(driver_connection(session), payment.provider, facts, asked=True, now=now)
    idempotency.remember(session, payment.order_id, now=now)


def give_up_later(session: Session, event_id: UUID, order_id: UUID, *, now: datetime) -> None:
    """Queue a message, sent after the commit, that gives up a cancelled order's open payments at the provider."""
    waiting = select(Payment.id).where(
        Payment.event_id == event_id,
        Payment.order_id == order_id,
        Payment.status.not_in(["succeeded", "cancelled"]),
    )
    if session.scalar(waiting.limit(1)) is not None:
        enqueue(driver_connection(session), event_id, GIVE_UP_PAYMENT, {"order_id": order_id}, now=now)


def note_message(session: Session, provider: str, message: Message, *, now: datetime) -> bool:
    """Apply a provider's message, once however often it is sent; return whether it was new."""
    stored = session.execute(
        insert(ProviderMessage)
        .values(
            provider=provider,
            id=message.id,
            kind=message.kind,
            reference=message.facts.reference if message.facts else None,
            payload=_storable(message.payload),
            outcome="ignored",
            received_at=now,
        )
        .on_conflict_do_nothing()
        .returning(ProviderMessage.id)
    ).one_or_none()
    if stored is None:
        return False
    if message.facts is not None and take_note(driver_connection(session), provider, message.facts, now=now):
        session.execute(
            update(ProviderMessage)
            .where(ProviderMessage.provider == provider, ProviderMessage.id == message.id)
            .values(outcome="noted")
        )
    return True


# What a provider says about a person besides the payment: nothing here reads it, so it is not stored. The names are
# those of Stripe's objects (https://docs.stripe.com/api): who paid, with which card, from where, and a dispute's
# documents.
_PERSONAL = frozenset(
    {
        "billing_details",
        "customer_details",
        "customer_email",
        "email",
        "evidence",
        "name",
        "phone",
        "address",
        "payment_method",
        "payment_method_details",
        "receipt_email",
        "receipt_url",
        "shipping",
        "source",
    }
)
_NOT_KEPT = _PERSONAL | {"client_secret"}


def _storable(value: Any) -> Any:
    """Return a JSON value without secrets and personal data, and without what PostgreSQL's JSON does not take."""
    if isinstance(value, dict):
        return {name: _storable(inner) for name, inner in value.items() if name not in _NOT_KEPT}
    if isinstance(value, list):
        return [_storable(inner) for inner in value]
    return value.replace("\0", "") if isinstance(value, str) else value
