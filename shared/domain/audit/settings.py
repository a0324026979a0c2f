from typing import ClassVar

from pydantic import Field

from shared.kit.settings.group import Group, read
from shared.kit.settings.values import Schedule


class AuditSettings(Group):
    """When audit trails are archived."""

    heading: ClassVar[str] = "Audit trail"

    audit_archive_schedule: Schedule = Field(
        "0 30 3 * * *",
        description="When closed months of audit trails are archived, and proven months older than seven years are "
        "pruned from the database.",
    )


def audit_settings() -> AuditSettings:
    """Return the process's settings of this group."""
    return read(AuditSettings)
