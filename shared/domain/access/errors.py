from shared.kit.errors import Conflict, Forbidden, NotFound


class PermissionMissing(Forbidden):
    """Your role does not include this."""

    code = "permission_missing"


class EmailUnverified(Forbidden):
    """Your sign-in service has not confirmed your e-mail address, and this needs one."""

    code = "email_unverified"


class NoSuchEvent(NotFound):
    """There is no such event, or you may not know of it."""

    code = "event_not_found"


class NoSuchMember(NotFound):
    """Nobody with this address is in the event's team."""

    code = "member_not_found"


class LastCoordinator(Conflict):
    """An event keeps at least one coordinator."""

    code = "last_coordinator"
