"""The port to whoever moves money online: what Boxoffice asks of a provider, and what it is told (R-ORD-6).

A provider is asked outside any transaction. Every request that moves money carries a key of ours, so that asking twice
moves it once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID


class PaymentStatus(StrEnum):
    """How far a payment is, from the first to the last; a later one is never undone by an earlier one."""

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
    """What a buyer is to pay, and for which order."""

    event_id: UUID
    order_id: UUID
    order_number: str
    amount_cents: int
    currency: str


class RefundStatus(StrEnum):
    """How far a refund is, from the first to the last; a bank may still send back what the provider has sent."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RefundFacts:
    """What a provider says of one refund."""

    reference: str
    amount_cents: int
    status: RefundStatus = RefundStatus.SUCCEEDED
    ours: UUID | None = None
    """Our id of it, as we told the provider; None for one that was made without us."""
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What a provider says of one payment, in a message or when it is asked; None where it does not say."""

    reference: str
    status: PaymentStatus | None = None
    amount_cents: int | None = None
    currency: str | None = None
    order: tuple[UUID, UUID] | None = None
    """The event and the order that it is for, as we told the provider."""
    client_secret: str | None = None
    """With which the buyer's browser goes on; never stored."""
    failure: str | None = None
    refunded_cents: int = 0
    """All refunds together, where the provider says no more of them."""
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
    """The provider does not answer, or asks to come back later; nothing is known to have happened."""


class ProviderRefused(Exception):
    """The provider says no, and will say so again; the text is its stable word for why."""


class BadSignature(Exception):
    """A message is not the provider's, or is too old."""


class UnreadableMessage(Exception):
    """A message is the provider's, but says nothing that can be understood."""


class Provider(Protocol):
    """One provider."""

    name: str

    def open(self, bill: Bill, *, key: str) -> Facts:
        """Begin a payment; the same key gives the same payment. Raises `ProviderDown`, `ProviderRefused`."""
        ...

    def look(self, reference: str) -> Facts:
        """Ask how a payment is. Raises `ProviderDown`, `ProviderRefused`."""
        ...

    def give_up(self, reference: str) -> Facts:
        """Cancel a payment unless it has succeeded; says how it stands then.

        Raises `ProviderDown`, `ProviderRefused`.
        """
        ...

    def refund(self, reference: str, amount_cents: int, currency: str, *, refund_id: UUID) -> RefundFacts:
        """Send money back and say how that stands; the same id sends it once.

        Raises `ProviderDown`, `ProviderRefused`.
        """
        ...

    def read(self, body: bytes, signature: str, *, now: datetime) -> Message:
        """Check and read a message. Raises `BadSignature`, `UnreadableMessage`."""
        ...
