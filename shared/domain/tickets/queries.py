import base64
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from shared.domain.tickets.codes import TicketCode, key_id, sign_code, signing_key, verifying_keys
from shared.domain.tickets.models import FIRST_REVISION
from shared.domain.tickets.schemas import HolderOut, TicketKeyOut, TicketKeysOut, TicketOut


def tickets_out(event_id: UUID, tickets: Iterable[Mapping[str, Any]]) -> list[TicketOut]:
    """Return what is shown of tickets.

    Each has `id`, `number` and `status`, and may have `holder_name`, `holder_email` and `code_revision`.
    """
    return [_out(event_id, ticket) for ticket in tickets]


def _out(event_id: UUID, ticket: Mapping[str, Any]) -> TicketOut:
    id_ = ticket["id"] if isinstance(ticket["id"], UUID) else UUID(ticket["id"])
    name, email = ticket.get("holder_name"), ticket.get("holder_email")
    return TicketOut(
        id=id_,
        number=ticket["number"],
        status=ticket["status"],
        holder=None if name is None and email is None else HolderOut(name=name, email=email),
        code=sign_code(TicketCode(event_id, id_, ticket.get("code_revision", FIRST_REVISION)), signing_key()),
    )


def ticket_keys() -> TicketKeysOut:
    """Return the public keys with which a scanner checks that a code is genuine, the signing one first."""
    return TicketKeysOut(
        keys=[
            TicketKeyOut(kid=key_id(key).hex(), x=base64.urlsafe_b64encode(key.public_bytes_raw()).decode().rstrip("="))
            for key in verifying_keys()
        ]
    )
