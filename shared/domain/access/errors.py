from shared.kit.errors import Conflict, Forbidden, NotFound


class PermissionMissing(Forbidden):
    """Your role does not allow this."""

    code = "permission_missing"


class EmailUnverified(Forbidden):
    """This needs a confirmed e-mail address, and your sign-in service has not confirmed yours."""

    code = "email_unverified"


class NoSuchEvent(NotFound):
    """There is no such event, or you may not see it."""

    code = "event_not_found"


class NoSuchMember(NotFound):
    """Nobody with this address is in the event's team."""

    code = "member_not_found"


class LastCoordinator(Conflict):
    """An event must keep at least one coordinator."""

    code = "last_coordinator"
