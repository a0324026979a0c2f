from functions.edge import endpoints
from shared.domain.access.permissions import Permission
from shared.domain.tickets import queries
from shared.domain.tickets.schemas import TicketKeysOut
from shared.kit.http.call import Call

bp = endpoints("Tickets")


@bp.get("v1/public/ticket-keys", permission=Permission.PUBLIC, takes_tokens=False, max_age=300)
def list_ticket_keys(call: Call) -> TicketKeysOut:
    """List the public keys that prove ticket codes, so that a scanner can check the codes without a network.

    A code names its key (`kid`) in its first two bytes. A scanner asks again when it meets a key that it does not know.
    """
    return queries.ticket_keys()
