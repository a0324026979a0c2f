from typing import ClassVar, Self

from pydantic import Field, model_validator

from shared.kit.settings.group import Group, read
from shared.kit.settings.values import Url


class PaymentSettings(Group):
    """Stripe, which takes payments online."""

    heading: ClassVar[str] = "Payments"
    can_do_without: ClassVar[frozenset[str]] = frozenset({"stripe_secret_key", "stripe_publishable_key"})

    stripe_secret_key: str | None = Field(
        None,
        pattern=r"^(sk|rk)_",
        repr=False,
        exclude=True,
        description="Stripe's secret key; with it buyers pay online by Stripe. A test key (`sk_test_…`) works as well.",
        examples=["sk_test_..."],
    )
    stripe_publishable_key: str | None = Field(
        None, pattern=r"^pk_", description="Stripe's key for browsers.", examples=["pk_test_..."]
    )
    stripe_webhook_secret: str | None = Field(
        None,
        pattern=r"^whsec_",
        repr=False,
        exclude=True,
        description="The secret with which Stripe signs its messages; required with the secret key.",
        examples=["whsec_..."],
    )
    stripe_api_url: Url = Field("https://api.stripe.com", description="The address of Stripe's API; tests use another.")
    stripe_timeout_seconds: float = Field(
        10, gt=0, le=60, description="How many seconds to wait for Stripe; then buyers are told to try again."
    )

    @model_validator(mode="after")
    def _is_heard(self) -> Self:
        if self.stripe_secret_key and not self.stripe_webhook_secret:
            raise ValueError("STRIPE_WEBHOOK_SECRET is missing: without it the app would not hear of payments")
        return self


def payment_settings() -> PaymentSettings:
    """Return the process's settings of this group."""
    return read(PaymentSettings)
