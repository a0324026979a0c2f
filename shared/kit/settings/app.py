import os
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from shared.kit.settings.group import Group, read
from shared.kit.settings.values import Url


class AppSettings(Group):
    """What this app is, and where."""

    heading: ClassVar[str] = "The app"

    environment: Literal["local", "production"] = Field(
        "production", description="`local` allows the test payment provider; it is refused on Azure."
    )
    public_url: Url = Field(
        description="Where buyers reach the app, for links in e-mails.", examples=["http://localhost:7071"]
    )
    metrics_key: str | None = Field(
        None,
        min_length=16,
        repr=False,
        exclude=True,
        description="What Prometheus must send as `Authorization: Bearer …`. Required in production.",
        examples=["<openssl rand -hex 16>"],
    )

    @model_validator(mode="after")
    def _safe_in_production(self) -> Self:
        if self.environment == "local" and "WEBSITE_INSTANCE_ID" in os.environ:
            raise ValueError("ENVIRONMENT=local is refused on Azure: it would let anybody pay with the test provider")
        if self.environment == "production" and not self.metrics_key:
            raise ValueError("METRICS_KEY is missing: in production the metrics are not public")
        return self

    @property
    def is_local(self) -> bool:
        """Whether this is a developer's machine, where the test payment provider works."""
        return self.environment == "local"


def app_settings() -> AppSettings:
    """Return the process's settings of this group."""
    return read(AppSettings)
