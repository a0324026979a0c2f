"""The states of an order, and every change from one to another that is allowed (R-ORD-1). Pure."""

from enum import StrEnum


class State(StrEnum):
    """The state of an order."""

    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.PAID, State.FAILED, State.EXPIRED, State.CANCELLED}),
    # A late payment is accepted if the stock is still available.
    State.FAILED: frozenset({State.PAID}),
    State.EXPIRED: frozenset({State.PAID}),
    # A paid order is refunded; it is cancelled only if nothing was owed, because then there is nothing to refund.
    State.PAID: frozenset({State.PARTIALLY_REFUNDED, State.REFUNDED, State.CANCELLED}),
    State.PARTIALLY_REFUNDED: frozenset({State.PARTIALLY_REFUNDED, State.REFUNDED}),
    State.CANCELLED: frozenset(),
    State.REFUNDED: frozenset(),
}

SOLD = frozenset({State.PAID, State.PARTIALLY_REFUNDED})
"""The states in which an order's packages are sold and its tickets are issued."""


def may_become(state: str, other: State) -> bool:
    """Whether an order may go from one state to the other."""
    return other in TRANSITIONS[State(state)]
