"""What Boxoffice needs to know about each kind of message, in addition to what the outbox needs."""

from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from shared.kit.outbox.kinds import Kind


class Queue(StrEnum):
    """The queues that messages go through; a function reads each of them."""

    EMAIL = "email"
    PAYMENTS = "payments"


class OnceErased(Enum):
    """What the erasure of an order does to a message about it that still waits."""

    DROPPED = auto()
    """The message is dropped: it would go to a person whose data was erased."""
    SETTLED = auto()
    """The message is done as planned: money is owed, or a payment has to be given up."""
    NOT_CONCERNED = auto()
    """The message is not about an order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageKind(Kind):
    """A kind of message. It is declared in the area that writes it, and listed in `messaging/kinds.py`.

    The docstring of its `work` says what the message does. A message about an order has its `order_id` in the payload.
    """

    timeline: str | None
    """The name of this kind in an order's timeline; None if the timeline does not show it."""
    once_erased: OnceErased
    is_news: bool
    """Whether it means that something was sold, refunded or released, so that sales must be computed again."""
