from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from shared.kit.settings.group import Group, read
from shared.kit.settings.values import RateLimitText, Schedule


class ImageSettings(Group):
    """How uploaded images are received and checked."""

    heading: ClassVar[str] = "Images"

    rate_limit_uploads: RateLimitText = Field("60/minute", description="Uploads of images, per event.")
    uploads_schedule: Schedule = Field(
        "45 */5 * * * *",
        description="When the timer checks images that wait for the malware scanner, or whose storage event was lost. "
        "With Defender, `*/10 * * * * *` shows images sooner.",
    )
    blob_trigger_source: Literal["EventGrid", "LogsAndContainerScan"] = Field(
        "EventGrid",
        description="What reports new uploads: `EventGrid` on Azure (Flex Consumption has nothing else), "
        "`LogsAndContainerScan` locally.",
    )
    malware_scanner: Literal["none", "defender", "clamd"] = Field(
        "none",
        description="Who scans uploaded images for malware: `defender` (Defender for Storage, by its blob index tags), "
        "`clamd` (a ClamAV daemon), or `none`. With a scanner, no image is shown before it was found clean.",
    )
    clamd_host: str | None = Field(
        None,
        min_length=1,
        description="The host on which clamd listens, for `MALWARE_SCANNER=clamd`. Keep it in a private network: clamd "
        "has no sign-in.",
        examples=["127.0.0.1"],
    )
    clamd_port: int = Field(3310, ge=1, le=65_535, description="The TCP port of clamd.")

    @model_validator(mode="after")
    def _scanner_is_reachable(self) -> Self:
        if self.malware_scanner == "clamd" and not self.clamd_host:
            raise ValueError("CLAMD_HOST is missing: MALWARE_SCANNER=clamd needs it")
        return self


def image_settings() -> ImageSettings:
    """Return the process's settings of this group."""
    return read(ImageSettings)
