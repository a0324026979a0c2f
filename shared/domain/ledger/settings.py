from typing import ClassVar

from pydantic import Field

from shared.kit.settings.group import Group, read
from shared.kit.settings.values import Schedule


class LedgerSettings(Group):
    """When the books are checked."""

    heading: ClassVar[str] = "Books"

    reconcile_schedule: Schedule = Field(
        "0 23 * * * *",
        description="When orders, stock, books and payments are checked against each other.",
    )


def ledger_settings() -> LedgerSettings:
    """Return the process's settings of this group."""
    return read(LedgerSettings)
