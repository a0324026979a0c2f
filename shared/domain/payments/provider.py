"""The port to payment providers: what Boxoffice asks of a provider, and what the provider answers (R-ORD-6).

A provider is asked outside any transaction. Every request that moves money carries our own key, so that asking twice
moves the money once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID


class PaymentStatus(StrEnum):
    """The states of a payment, from the first to the last; an earlier state never replaces a later one."""

    CREATED = "created"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    FAILED = "failed"
    """Declined; the buyer may try again."""
    CANCELLED = "cancelled"
    """Given up for good."""
    SUCCEEDED = "succeeded"


FINAL = frozenset({PaymentStatus.CANCELLED, PaymentStatus.SUCCEEDED})


@dataclass(frozen=True, slots=True)
class Bill:
    """What a buyer has to pay, and for which order."""

    event_id: UUID
    order_id: UUID
    order_number: str
    amount_cents: int
    currency: str


class RefundStatus(StrEnum):
    """The states of a refund, from the first to the last; a bank may still return what the provider has sent."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RefundFacts:
    """What a provider says about one refund."""

    reference: str
    amount_cents: int
    status: RefundStatus = RefundStatus.SUCCEEDED
    ours: UUID | None = None
    """Our id of the refund, as we told the provider; None for a refund that was made without us."""
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What a provider says about one payment, in a message or when it is asked; None if it does not say."""

    reference: str
    status: PaymentStatus | None = None
    amount_cents: int | None = None
    currency: str | None = None
    order: tuple[UUID, UUID] | None = None
    """The event and the order that the payment is for, as we told the provider."""
    client_secret: str | None = None
    """The secret with which the buyer's browser continues the payment; it is never stored."""
    failure: str | None = None
    refunded_cents: int = 0
    """All refunds together, if the provider says no more about them."""
    refunds: tuple[RefundFacts, ...] = ()
    """Single refunds, some or all of them."""
    disputed: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """A provider's message, whose signature has been checked."""

    id: str
    kind: str
    facts: Facts | None
    """None for kinds that do not matter here."""
    payload: Mapping[str, Any]


class ProviderDown(Exception):
    """The provider does not answer, or asks us to try again later; whether anything happened is unknown."""


class ProviderRefused(Exception):
    """The provider refuses, and will refuse again; the text is its stable code for the reason."""


class BadSignature(Exception):
    """A message is not from the provider, or is too old."""


class UnreadableMessage(Exception):
    """A message is from the provider, but can't be understood."""


class Provider(Protocol):
    """One provider."""

    name: str

    def open(self, bill: Bill, *, key: str) -> Facts:
        """Begin a payment; the same key gives the same payment. Raises `ProviderDown`, `ProviderRefused`."""
        ...

    def look(self, reference: str) -> Facts:
        """Ask for a payment's state. Raises `ProviderDown`, `ProviderRefused`."""
        ...

    def give_up(self, reference: str) -> Facts:
        """Cancel a payment unless it has succeeded; return its state after that.

        Raises `ProviderDown`, `ProviderRefused`.
        """
        ...

    def refund(self, reference: str, amount_cents: int, currency: str, *, refund_id: UUID) -> RefundFacts:
        """Send money back and return the refund's state; the same id sends the money once.

        Raises `ProviderDown`, `ProviderRefused`.
        """
        ...

    def read(self, body: bytes, signature: str, *, now: datetime) -> Message:
        """Check and read a message. Raises `BadSignature`, `UnreadableMessage`."""
        ...
