from shared.domain.access.permissions import Role
from shared.kit.fields import Input, Output


class MemberPut(Input):
    """The role to give to an address."""

    role: Role


class MemberOut(Output):
    """A member of the event's team; `name` is known once they have opened this event."""

    email: str
    name: str | None
    role: Role


class MemberList(Output):
    """The event's team, by address."""

    items: list[MemberOut]
