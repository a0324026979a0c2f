"""Asks the provider, until it agrees, to send refunds and to cancel payments that are no longer wanted."""

import logging
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update

from shared.domain.payments.facts import take_note
from shared.domain.payments.models import Payment, Refund
from shared.domain.payments.provider import Provider, ProviderDown, ProviderRefused, RefundStatus
from shared.domain.payments.providers import provider_named
from shared.kit.db.unit_of_work import UnitOfWork, driver_connection

log = logging.getLogger(__name__)


def send_refund(event_id: UUID, refund_id: UUID, *, now: datetime) -> None:
    """Ask the provider to send the money back, with the refund's id as key, so that it is sent once.

    Raises `ProviderDown`, so that it is tried again later. A refusal for good is noted, so that people see it.
    """
    with UnitOfWork(read_only=True) as unit_of_work:
        row = unit_of_work.session.execute(
            select(Refund.amount_cents, Refund.status, Payment.provider, Payment.reference, Payment.currency)
            .join(Payment, (Payment.event_id == Refund.event_id) & (Payment.id == Refund.payment_id))
            .where(Refund.event_id == event_id, Refund.id == refund_id)
        ).one_or_none()
    if row is None or row.status != RefundStatus.PENDING:
        return
    try:
        sent = _configured(row.provider).refund(row.reference, row.amount_cents, row.currency, refund_id=refund_id)
    except ProviderRefused as refusal:
        _note(event_id, refund_id, now=now, status="failed", last_error=str(refusal))
    except ProviderDown as error:
        _note(event_id, refund_id, now=now, last_error=f"the provider does not answer: {error}"[:500])
        raise
    else:
        _note(
            event_id,
            refund_id,
            now=now,
            status=sent.status,
            provider_reference=sent.reference,
            last_error=sent.failure,
        )


def give_up_payments(event_id: UUID, order_id: UUID, *, now: datetime) -> None:
    """Have the provider cancel the payments of an order that is no longer wanted, so that nobody pays it by mistake.

    A payment that has succeeded meanwhile is noted as such, and its money goes back. Raises `ProviderDown`.
    """
    with UnitOfWork(read_only=True) as unit_of_work:
        rows = unit_of_work.session.execute(
            select(Payment.provider, Payment.reference).where(
                Payment.event_id == event_id,
                Payment.order_id == order_id,
                Payment.status.not_in(["succeeded", "cancelled"]),
            )
        ).all()
    for row in rows:
        try:
            facts = _configured(row.provider).give_up(row.reference)
        except ProviderRefused as refusal:  # if it is paid all the same, the money goes back
            log.warning("A payment could not be given up: %s", refusal)
            continue
        with UnitOfWork() as unit_of_work:
            take_note(driver_connection(unit_of_work.session), row.provider, facts, asked=True, now=now)
            unit_of_work.commit()


def _configured(name: str) -> Provider:
    provider = provider_named(name)
    if provider is None:
        raise ProviderDown(f"{name} is not configured here")
    return provider


def _note(event_id: UUID, refund_id: UUID, *, now: datetime, **fields: str | None) -> None:
    # A message may have said something about this attempt meanwhile; that is newer and stays.
    is_news = Refund.status == RefundStatus.PENDING
    if reference := fields.get("provider_reference"):
        is_news |= Refund.provider_reference.is_distinct_from(reference)
    with UnitOfWork() as unit_of_work:
        unit_of_work.session.execute(
            update(Refund)
            .where(Refund.event_id == event_id, Refund.id == refund_id, is_news)
            .values(updated_at=now, **fields)
        )
        unit_of_work.commit()
