import base64
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.domain.tickets.codes import TicketCode, key_id, sign_code, signing_key, verifying_keys
from shared.domain.tickets.models import Ticket
from shared.domain.tickets.schemas import HolderOut, TicketKeyOut, TicketKeysOut, TicketOut


def tickets_of(session: Session, event_id: UUID, item_ids: Sequence[UUID]) -> list[TicketOut]:
    """The tickets of some order items that have been issued, by number."""
    tickets = session.scalars(
        select(Ticket)
        .where(Ticket.event_id == event_id, Ticket.order_item_id.in_(item_ids), Ticket.status != "reserved")
        .order_by(Ticket.number)
    )
    return [_out(ticket) for ticket in tickets]


def _out(ticket: Ticket) -> TicketOut:
    known = ticket.holder_name is not None or ticket.holder_email is not None
    return TicketOut.model_validate(
        {
            "id": ticket.id,
            "number": ticket.number,
            "status": ticket.status,
            "holder": HolderOut(name=ticket.holder_name, email=ticket.holder_email) if known else None,
            "code": sign_code(TicketCode(ticket.event_id, ticket.id, ticket.code_revision), signing_key()),
        }
    )


def ticket_keys() -> TicketKeysOut:
    """The public keys by which a scanner tells a genuine code, the signing one first."""
    return TicketKeysOut(
        keys=[
            TicketKeyOut(kid=key_id(key).hex(), x=base64.urlsafe_b64encode(key.public_bytes_raw()).decode().rstrip("="))
            for key in verifying_keys()
        ]
    )
