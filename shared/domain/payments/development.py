"""The payment provider for development: it accepts cards that do not exist.

It is refused on Azure (`ENVIRONMENT=local` only). The confirmation of a payment says what the buyer's card does. Only
our own `payments` row stores that answer, so `look` says nothing new.
"""

from datetime import datetime
from uuid import UUID, uuid5

from shared.domain.payments.provider import (
    BadSignature,
    Bill,
    Facts,
    Message,
    PaymentStatus,
    ProviderRefused,
    RefundFacts,
)

_NAMESPACE = UUID("6f7b1f0e-53a5-4c38-9a56-0a1a5a8f7f10")

CARDS: dict[str, Facts] = {
    "succeeds": Facts("", PaymentStatus.SUCCEEDED),
    "declined": Facts("", PaymentStatus.FAILED, failure="card_declined"),
    "requires_action": Facts("", PaymentStatus.REQUIRES_ACTION),
    "processing": Facts("", PaymentStatus.PROCESSING),
}


class DevelopmentProvider:
    """Does everything at once, and nothing for real."""

    name = "test"

    def open(self, bill: Bill, *, key: str) -> Facts:
        """Begin a payment."""
        reference = f"test_{uuid5(_NAMESPACE, key).hex}"
        return Facts(
            reference,
            PaymentStatus.CREATED,
            amount_cents=bill.amount_cents,
            currency=bill.currency,
            order=(bill.event_id, bill.order_id),
            client_secret=f"{reference}_secret",
        )

    def look(self, reference: str) -> Facts:
        """Say nothing new."""
        return Facts(reference)

    def give_up(self, reference: str) -> Facts:
        """Cancel the payment."""
        return Facts(reference, PaymentStatus.CANCELLED)

    def refund(
        self,
        reference: str,
        amount_cents: int,
        currency: str,  # noqa: ARG002 - the port asks for it
        *,
        refund_id: UUID,
    ) -> RefundFacts:
        """Send the money back, at once."""
        if not reference.startswith("test_"):
            raise ProviderRefused("unknown_payment")
        return RefundFacts(f"test_refund_{refund_id}", amount_cents, ours=refund_id)

    def read(self, body: bytes, signature: str, *, now: datetime) -> Message:  # noqa: ARG002
        """Refuse: there are no messages."""
        raise BadSignature
