from typing import ClassVar

from pydantic import Field

from shared.kit.settings.group import Group, read
from shared.kit.settings.values import Schedule


class MessagingSettings(Group):
    """How messages are sent after an order."""

    heading: ClassVar[str] = "Messages"

    mail_from: str = Field("Boxoffice <tickets@localhost>", description="The sender of all e-mails.")
    outbox_schedule: Schedule = Field(
        "15 * * * * *",
        description="When messages (e-mails, refunds) are queued that could not be queued right after their cause. All "
        "others do not wait for this.",
    )


def messaging_settings() -> MessagingSettings:
    """Return the process's settings of this group."""
    return read(MessagingSettings)
