from typing import ClassVar

from pydantic import Field

from shared.kit.settings.group import Group, read
from shared.kit.settings.values import RateLimitText


class PromotionSettings(Group):
    """How often codes may be tried."""

    heading: ClassVar[str] = "Promo codes"

    rate_limit_promo_previews: RateLimitText = Field(
        "30/minute", description="Previews of promo codes, per address and event."
    )
    rate_limit_promo_guesses: RateLimitText = Field(
        "10/minute", description="Unknown promo codes in orders, per address and event."
    )


def promotion_settings() -> PromotionSettings:
    """Return the process's settings of this group."""
    return read(PromotionSettings)
