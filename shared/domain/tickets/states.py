"""The states of a ticket (R-TKT-1). Pure."""

from enum import StrEnum


class TicketState(StrEnum):
    """The state of a ticket."""

    RESERVED = "reserved"
    """Its order is not paid yet, and the ticket is shown to nobody."""
    VALID = "valid"
    USED = "used"
    TRANSFERRED = "transferred"
    VOID = "void"
    """Refunded or cancelled: it admits nobody, and is not counted."""


ADMITS = frozenset({TicketState.VALID, TicketState.TRANSFERRED})
"""The states of a ticket whose holder may still come in."""
