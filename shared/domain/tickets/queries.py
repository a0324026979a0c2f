from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from shared.domain.tickets.codes import TicketCode, sign_code, signing_key
from shared.domain.tickets.schemas import HolderOut, TicketOut


def tickets_out(event_id: UUID, tickets: Iterable[Mapping[str, Any]]) -> list[TicketOut]:
    """What is shown of tickets as they were read: `id`, `number`, `status`, `name`, `email`, `revision`."""
    return [_out(event_id, ticket) for ticket in tickets]


def _out(event_id: UUID, ticket: Mapping[str, Any]) -> TicketOut:
    id_, name, email = UUID(ticket["id"]), ticket["name"], ticket["email"]
    return TicketOut(
        id=id_,
        number=ticket["number"],
        status=ticket["status"],
        holder=None if name is None and email is None else HolderOut(name=name, email=email),
        code=sign_code(TicketCode(event_id, id_, ticket["revision"]), signing_key()),
    )
