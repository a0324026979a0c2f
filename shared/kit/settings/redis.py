from typing import ClassVar

from pydantic import Field

from shared.kit.settings.group import Group, read


class RedisSettings(Group):
    """The cache, which may be missing."""

    heading: ClassVar[str] = "Redis"
    can_do_without: ClassVar[frozenset[str]] = frozenset({"redis_url"})

    redis_url: str | None = Field(
        None,
        repr=False,
        exclude=True,
        pattern=r"^(rediss?|unix)://",
        description="The cache. Without it, or while it is down, everything works from the database, slower.",
        examples=["redis://127.0.0.1:6379/0"],
    )
    redis_timeout_ms: int = Field(
        100, ge=10, le=5_000, description="The longest that a call to Redis may hold up a request."
    )


def redis_settings() -> RedisSettings:
    """Return the process's settings of this group."""
    return read(RedisSettings)
