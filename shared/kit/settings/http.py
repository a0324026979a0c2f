from typing import ClassVar, Literal

from pydantic import Field

from shared.kit.settings.group import Group, read
from shared.kit.settings.values import RateLimitText, Url


class HttpSettings(Group):
    """Who may ask, and how often."""

    heading: ClassVar[str] = "Requests"

    oidc_issuer: Url = Field(
        description="The OpenID Connect issuer whose bearer tokens are accepted; its keys are found by discovery.",
        examples=["http://127.0.0.1:8090"],
    )
    oidc_audience: str = Field("boxoffice", min_length=1, description="The `aud` that a token must carry.")
    oidc_algorithms: str = Field("RS256,ES256", description="The signature algorithms accepted, asymmetric ones only.")
    oidc_super_admin_claim: str | None = Field(
        None,
        pattern=r"^[^=]+=[^=]+$",
        description="`claim=value` that makes a user super admin; without it, only the database does.",
        examples=["roles=super_admin"],
    )
    rate_limits: Literal["production", "generous", "off"] = Field(
        "production",
        description="`generous` allows a hundred times as much, for development; `off` counts nothing.",
        examples=["generous"],
    )
    rate_limit_user_requests: RateLimitText = Field("100/minute", description="Requests of one signed-in user.")
    rate_limit_event_writes: RateLimitText = Field(
        "1000/minute", description="Changes of one event by its whole team; sales at the box office do not count."
    )
    trusted_proxy_hops: int = Field(
        1,
        ge=0,
        le=5,
        description="How many proxies of your own append to `X-Forwarded-For`: 1 on Azure Functions, 2 behind Front "
        "Door. Rate limits take the client's address from there; with 0 all clients count as one.",
    )


def http_settings() -> HttpSettings:
    """Return the process's settings of this group."""
    return read(HttpSettings)
