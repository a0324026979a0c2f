from typing import ClassVar

from pydantic import Field

from shared.kit.settings.group import Group, read
from shared.kit.settings.values import Schedule


class MessagingSettings(Group):
    """What goes out after an order."""

    heading: ClassVar[str] = "Messages"

    mail_from: str = Field("Boxoffice <tickets@localhost>", description="Sender of all e-mails.")
    outbox_schedule: Schedule = Field(
        "15 * * * * *",
        description="When e-mails and refunds go on that could not be sent right after their order; all others do not "
        "wait for it.",
    )


def messaging_settings() -> MessagingSettings:
    """Return the process's settings of this group."""
    return read(MessagingSettings)
