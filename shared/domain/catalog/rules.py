"""Pure rules of events and packages."""

import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime

from shared.kit.errors import InvalidInput

# What a buyer agrees to. After a change of any of these, an order that was computed with the old terms starts over.
TERMS = frozenset(
    {
        "price_cents",
        "seats_per_package",
        "min_per_order",
        "max_per_order",
        "sale_starts_at",
        "sale_ends_at",
        "name",
        "options_per",
        "tax_percent",
        "fee_percent",
        "fee_cents",
        "fair_market_value_cents",
    }
)
EVENT_TERMS = frozenset(
    {
        "currency",
        "ends_at",
        "max_tickets_per_customer",
        "capacity",
        "tax_percent",
        "tax_included",
        "fee_percent",
        "fee_cents",
        "fee_included",
    }
)


def slug_of(title: str) -> str:
    """Return a title as a word for URLs: `slug_of("Gala at the Zoo!") == "gala-at-the-zoo"`."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60].strip("-") or "event"


def check_times(starts_at: datetime, ends_at: datetime) -> None:
    """Refuse an event that ends before it starts."""
    if ends_at <= starts_at:
        raise InvalidInput("The event must end after it starts.", pointer="/ends_at")


def check_sale_rules(
    *,
    min_per_order: int,
    max_per_order: int | None,
    sale_starts_at: datetime | None,
    sale_ends_at: datetime | None,
) -> None:
    """Refuse a package that nobody could ever buy."""
    if max_per_order is not None and max_per_order < min_per_order:
        raise InvalidInput("max_per_order must not be below min_per_order.", pointer="/max_per_order")
    if sale_starts_at and sale_ends_at and sale_ends_at <= sale_starts_at:
        raise InvalidInput("The sale must end after it starts.", pointer="/sale_ends_at")


def why_not_on_sale(
    *,
    event_status: str,
    is_enabled: bool,
    sale_starts_at: datetime | None,
    sale_ends_at: datetime | None,
    now: datetime,
) -> str | None:
    """Return why the package can't be bought, in words for buyers, or None if it is on sale (R-PKG-6)."""
    if event_status == "cancelled":
        return "The event is cancelled."
    if event_status != "published" or not is_enabled:
        return "Not for sale."
    if sale_starts_at and now < sale_starts_at:
        return f"The sale begins on {sale_starts_at:%Y-%m-%d at %H:%M} UTC."
    if sale_ends_at and now >= sale_ends_at:
        return "The sale has ended."
    return None


def remaining(quantity_limit: int | None, *, held: int, sold: int) -> int | None:
    """Return how many packages are left; None where there is no limit."""
    return None if quantity_limit is None else max(0, quantity_limit - held - sold)


def check_choices(option_type: str, choices: Sequence[str], max_choices: int | None) -> int | None:
    """Return how many choices an answer may have, or None for types without choices; refuses a wrong combination."""
    if option_type != "multi_select":
        if choices or max_choices is not None:
            raise InvalidInput("Only a multi_select has choices.", pointer="/choices")
        return None
    if len(choices) < 2:
        raise InvalidInput("A multi_select has 2 to 10 choices.", pointer="/choices")
    if len(set(choices)) != len(choices):
        raise InvalidInput("Name each choice only once.", pointer="/choices")
    if (max_choices or 1) > len(choices):
        raise InvalidInput("max_choices can't exceed the number of choices.", pointer="/max_choices")
    return max_choices or 1
