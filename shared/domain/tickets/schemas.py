from typing import Literal
from uuid import UUID

from shared.kit.fields import Output


class HolderOut(Output):
    """Who will use the ticket, once that is known."""

    name: str | None
    email: str | None


class TicketOut(Output):
    """One seat, with the code that its QR shows."""

    id: UUID
    number: str
    status: Literal["valid", "used", "void", "transferred"]
    holder: HolderOut | None
    code: str
