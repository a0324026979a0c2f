from shared.kit.errors import NotFound


class NoSuchArchive(NotFound):
    """This month of the event's audit trail is not in the archive."""

    code = "audit_archive_not_found"
