"""Telling the provider of a refund that has been decided, until it agrees (R-ORD-7)."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update

from shared.domain.payments.models import Payment, Refund
from shared.domain.payments.provider import ProviderDown, ProviderRefused
from shared.domain.payments.providers import provider_named
from shared.kit.db.unit_of_work import UnitOfWork


def send_refund(event_id: UUID, refund_id: UUID, *, now: datetime) -> None:
    """Ask the provider to send the money back, with the refund's id as key, so that it is sent once.

    Raises `ProviderDown` for another attempt later; what the provider refuses for good is noted, for people to see.
    """
    with UnitOfWork(read_only=True) as unit_of_work:
        row = unit_of_work.session.execute(
            select(Refund.amount_cents, Refund.status, Payment.provider, Payment.reference)
            .join(Payment, (Payment.event_id == Refund.event_id) & (Payment.id == Refund.payment_id))
            .where(Refund.event_id == event_id, Refund.id == refund_id)
        ).one_or_none()
    if row is None or row.status == "succeeded":
        return
    provider = provider_named(row.provider)
    if provider is None:
        raise ProviderDown(f"{row.provider} is not configured here")
    try:
        reference = provider.refund(row.reference, row.amount_cents, key=f"refund-{refund_id}")
    except ProviderRefused as refusal:
        _note(event_id, refund_id, now=now, status="failed", last_error=str(refusal))
        return
    except ProviderDown as error:
        _note(event_id, refund_id, now=now, last_error=f"the provider does not answer: {error}"[:500])
        raise
    _note(event_id, refund_id, now=now, status="succeeded", provider_reference=reference, last_error=None)


def _note(event_id: UUID, refund_id: UUID, *, now: datetime, **fields: str | None) -> None:
    with UnitOfWork() as unit_of_work:
        unit_of_work.session.execute(
            update(Refund)
            .where(Refund.event_id == event_id, Refund.id == refund_id, Refund.status != "succeeded")
            .values(updated_at=now, **fields)
        )
        unit_of_work.commit()
