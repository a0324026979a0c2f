"""How a payment stands, asked of whoever knows."""

from dataclasses import replace

from shared.domain.payments.commands import require_provider
from shared.domain.payments.development import CARDS, DevelopmentProvider
from shared.domain.payments.provider import Facts


def ask_provider(reference: str, *, card: str | None) -> Facts:
    """What the provider says of a payment now; with the test provider, what the `card` does. Raises `ProviderDown`."""
    provider = require_provider()
    if isinstance(provider, DevelopmentProvider):
        return replace(CARDS[card or "succeeds"], reference=reference)
    return provider.look(reference)
