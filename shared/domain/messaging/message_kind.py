"""What Boxoffice has to know of each kind of message, beyond what the outbox itself must know."""

from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from shared.kit.outbox.kinds import Kind


class Queue(StrEnum):
    """The queues that messages go through; each has a function that reads it."""

    EMAIL = "email"
    PAYMENTS = "payments"


class OnceErased(Enum):
    """What an erasure of the order does to a message about it that still waits."""

    DROPPED = auto()
    """It is never done: it would be sent to somebody who has been forgotten."""
    SETTLED = auto()
    """It is done all the same: money is owed, or nobody may pay any more."""
    NOT_CONCERNED = auto()
    """It is about no order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageKind(Kind):
    """A kind of message. It stands in the area that writes it, and in the list of `messaging/kinds.py`.

    The docstring of its `work` says what it does. A message about an order names it as `order_id` in its payload.
    """

    timeline: str | None
    """What the timeline of an order calls it; None where the timeline does not show it."""
    once_erased: OnceErased
    is_news: bool
    """Whether it tells that something was sold, refunded or let go, so that sales are worth computing anew."""
