"""The states of a ticket (R-TKT-1). Pure."""

from enum import StrEnum


class TicketState(StrEnum):
    """Where a ticket stands."""

    RESERVED = "reserved"
    """Its order is not paid yet, and nobody is shown it."""
    VALID = "valid"
    USED = "used"
    TRANSFERRED = "transferred"
    VOID = "void"
    """Refunded or cancelled: it opens no door, and counts for nothing."""


ADMITS = frozenset({TicketState.VALID, TicketState.TRANSFERRED})
"""Whoever has one of these may still come in."""
