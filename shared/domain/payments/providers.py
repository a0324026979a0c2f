"""Which provider takes payments online here."""

from functools import lru_cache

from shared.domain.payments.development import DevelopmentProvider
from shared.domain.payments.provider import Provider
from shared.domain.payments.settings import payment_settings
from shared.domain.payments.stripe_provider import StripeProvider
from shared.kit.settings.app import app_settings


@lru_cache(maxsize=1)
def online_provider() -> Provider | None:
    """Return Stripe if it is configured, else the test provider on a developer's machine, else None."""
    config = payment_settings()
    if config.stripe_secret_key and config.stripe_webhook_secret:
        return StripeProvider(
            config.stripe_secret_key,
            webhook_secret=config.stripe_webhook_secret,
            api_url=config.stripe_api_url,
            timeout_seconds=config.stripe_timeout_seconds,
        )
    return DevelopmentProvider() if app_settings().is_local else None


def provider_named(name: str) -> Provider | None:
    """Return the provider that a payment was made with, if it is still configured."""
    provider = online_provider()
    return provider if provider is not None and provider.name == name else None
