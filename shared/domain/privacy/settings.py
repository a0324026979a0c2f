from typing import ClassVar

from pydantic import Field

from shared.kit.settings.group import Group, read
from shared.kit.settings.values import Schedule


class PrivacySettings(Group):
    """How long personal data and messages are kept."""

    heading: ClassVar[str] = "Personal data"

    personal_data_days: int = Field(
        0,
        ge=0,
        le=36_500,
        description="So many days after an event's end the personal data of its orders is erased by itself; 0 keeps "
        "it. Leave time for refunds and disputes: 120 or more.",
    )
    provider_message_days: int = Field(
        90, ge=0, le=36_500, description="So many days the payment provider's messages are kept; 0 keeps them."
    )
    outbox_days: int = Field(
        90, ge=0, le=36_500, description="So many days it is kept that a message was delivered; 0 keeps it."
    )
    retention_schedule: Schedule = Field(
        "0 47 * * * *",
        description="When what is older than the days above goes.",
    )


def privacy_settings() -> PrivacySettings:
    """Return the process's settings of this group."""
    return read(PrivacySettings)
