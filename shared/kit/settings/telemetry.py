from typing import ClassVar, Literal

from pydantic import Field

from shared.kit.settings.group import Group, read


class TelemetrySettings(Group):
    """What the app reports about itself."""

    heading: ClassVar[str] = "Logs and traces"
    can_do_without: ClassVar[frozenset[str]] = frozenset({"applicationinsights_connection_string"})

    log_format: Literal["json", "text"] = Field(
        "json",
        description="`json` writes one object a line, in which errors tell where they happened and nothing personal; "
        "`text` is for reading along, and on a developer's machine errors tell all.",
        examples=["text"],
    )
    access_log: bool = Field(
        default=True, description="Whether each request is logged: function, route, status and time, no query."
    )
    applicationinsights_connection_string: str | None = Field(
        None,
        pattern=r"^InstrumentationKey=",
        repr=False,
        exclude=True,
        description="Application Insights; with it traces go to Azure Monitor by OpenTelemetry. Set "
        "`PYTHON_ENABLE_OPENTELEMETRY=true` as well, so that they continue those of the Functions host.",
        examples=[""],
    )


def telemetry_settings() -> TelemetrySettings:
    """Return the process's settings of this group."""
    return read(TelemetrySettings)
