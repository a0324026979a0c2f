from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.domain.payments.models import Payment, Refund
from shared.domain.payments.schemas import RefundOut


def latest_payment(session: Session, event_id: UUID, order_id: UUID) -> Payment | None:
    """Return the order's last payment, or None if no payment was begun."""
    return session.scalars(
        select(Payment)
        .where(Payment.event_id == event_id, Payment.order_id == order_id)
        .order_by(Payment.id.desc())
        .limit(1)
        .execution_options(populate_existing=True)
    ).one_or_none()


def payments_given_up(session: Session, event_id: UUID, order_id: UUID) -> int:
    """Return how many payments of the order were cancelled; this numbers the next attempt."""
    return (
        session.scalar(
            select(func.count())
            .select_from(Payment)
            .where(Payment.event_id == event_id, Payment.order_id == order_id, Payment.status == "cancelled")
        )
        or 0
    )


def get_refund(session: Session, event_id: UUID, refund_id: UUID) -> RefundOut:
    """Return one refund."""
    return RefundOut.model_validate(session.get_one(Refund, (event_id, refund_id)))


def refunds_of(session: Session, event_id: UUID, order_id: UUID) -> list[RefundOut]:
    """Return the order's refunds, the first one first."""
    refunds = session.scalars(
        select(Refund).where(Refund.event_id == event_id, Refund.order_id == order_id).order_by(Refund.id)
    )
    return [RefundOut.model_validate(refund) for refund in refunds]
