"""The states of an order, and every way from one to another (R-ORD-1). Pure."""

from enum import StrEnum


class State(StrEnum):
    """Where an order stands."""

    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.PAID, State.FAILED, State.EXPIRED, State.CANCELLED}),
    # A payment that comes late is taken if the stock is still there.
    State.FAILED: frozenset({State.PAID}),
    State.EXPIRED: frozenset({State.PAID}),
    # Cancelling what was paid returns the money; where nothing was owed, there is nothing to return.
    State.PAID: frozenset({State.PARTIALLY_REFUNDED, State.REFUNDED, State.CANCELLED}),
    State.PARTIALLY_REFUNDED: frozenset({State.PARTIALLY_REFUNDED, State.REFUNDED}),
    State.CANCELLED: frozenset(),
    State.REFUNDED: frozenset(),
}

SOLD = frozenset({State.PAID, State.PARTIALLY_REFUNDED})
"""Its packages are sold, and its tickets issued."""


def may_become(state: str, other: State) -> bool:
    """Whether an order may go from one state to the other."""
    return other in TRANSITIONS[State(state)]
