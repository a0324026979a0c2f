from shared.kit.errors import Conflict, NotFound


class NoSuchFinding(NotFound):
    """There is no such finding."""

    code = "finding_not_found"


class NotRepairable(Conflict):
    """This can't be repaired automatically; people have to decide."""

    code = "not_repairable"
