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
        description="How many days after an event's end the personal data of its orders is erased automatically; 0 "
        "keeps it. Leave time for refunds and disputes: 120 or more.",
    )
    provider_message_days: int = Field(
        90, ge=0, le=36_500, description="How many days the payment provider's messages are kept; 0 keeps them forever."
    )
    outbox_days: int = Field(
        90, ge=0, le=36_500, description="How many days delivered messages stay in the outbox; 0 keeps them forever."
    )
    retention_schedule: Schedule = Field(
        "0 47 * * * *",
        description="When data that is older than the days above is removed.",
    )


def privacy_settings() -> PrivacySettings:
    """Return the process's settings of this group."""
    return read(PrivacySettings)
