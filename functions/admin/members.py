from pydantic import TypeAdapter, ValidationError

from functions.edge import endpoints
from shared.domain.access import commands, queries
from shared.domain.access.errors import LastCoordinator, NoSuchMember
from shared.domain.access.permissions import Permission
from shared.domain.access.schemas import MemberList, MemberOut, MemberPut
from shared.domain.catalog.queries import get_event
from shared.kit.errors import InvalidInput
from shared.kit.fields import Email
from shared.kit.http.call import Call

bp = endpoints("Team")
_email: TypeAdapter[str] = TypeAdapter(Email)


@bp.get("v1/admin/events/{event_id}/members", permission=Permission.MEMBERS_READ)
def list_members(call: Call) -> MemberList:
    """List the event's team."""
    get_event(call.session, call.event_id)
    return MemberList(items=queries.list_members(call.session, call.event_id))


@bp.put("v1/admin/events/{event_id}/members/{email}", permission=Permission.MEMBERS_WRITE, refusals=(LastCoordinator,))
def put_member(call: Call, email: str, body: MemberPut) -> MemberOut:
    """Give somebody a role in the event; somebody who has not signed in yet gets it when they do."""
    get_event(call.session, call.event_id)
    return commands.put_member(call.session, call.event_id, _address(email), body.role, actor=call.actor, now=call.now)


@bp.delete(
    "v1/admin/events/{event_id}/members/{email}",
    permission=Permission.MEMBERS_WRITE,
    status=204,
    refusals=(LastCoordinator, NoSuchMember),
)
def remove_member(call: Call, email: str) -> None:
    """Take somebody out of the event's team."""
    get_event(call.session, call.event_id)
    commands.remove_member(call.session, call.event_id, _address(email), actor=call.actor, now=call.now)


def _address(text: str) -> str:
    try:
        return _email.validate_python(text)
    except ValidationError:
        raise InvalidInput("The path must end in an e-mail address.", pointer="/path/email") from None
