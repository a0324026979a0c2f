"""What a promo code takes off, and when it is refused (R-PROMO-2, R-PROMO-3). Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from shared.domain.promotions import errors
from shared.kit.errors import InvalidInput
from shared.kit.money import split

POINTER = "/promo_code"


@dataclass(frozen=True, slots=True)
class Promo:
    """A promo code as it is at one moment, with how often it was used."""

    id: UUID
    code: str
    discount_type: str
    discount_value: int
    max_uses: int | None
    uses: int
    max_uses_per_customer: int | None
    uses_by_customer: int
    starts_at: datetime | None
    expires_at: datetime | None
    min_order_cents: int | None
    package_ids: frozenset[UUID]
    is_active: bool
    terms: int


def discounts(promo: Promo, lines: Sequence[tuple[UUID, int]], *, now: datetime) -> list[int]:
    """Return what is taken off each line (package, subtotal in cents); the parts add up to the discount to the cent.

    The discount applies once, to the eligible lines together, and never exceeds them. Raises one of
    `errors.REFUSALS`.
    """
    _check(promo, now)
    eligible = [cents if not promo.package_ids or package_id in promo.package_ids else 0 for package_id, cents in lines]
    if promo.package_ids and not any(package_id in promo.package_ids for package_id, _ in lines):
        raise errors.PromoCodeNotForThese(pointer=POINTER)
    total = sum(cents for _, cents in lines)
    if promo.min_order_cents is not None and total < promo.min_order_cents:
        raise errors.PromoCodeBelowMinimum(pointer=POINTER, min_order_cents=promo.min_order_cents)
    return split(discount_of(promo.discount_type, promo.discount_value, sum(eligible)), eligible)


def discount_of(discount_type: str, value: int, eligible_cents: int) -> int:
    """Return the discount in cents; a percentage (in hundredths) is rounded half up, a fixed amount is capped."""
    if discount_type == "percentage":
        return (eligible_cents * value + 5_000) // 10_000
    return min(value, eligible_cents)


def _check(promo: Promo, now: datetime) -> None:
    if not promo.is_active:
        raise errors.PromoCodeInactive(pointer=POINTER)
    if promo.starts_at is not None and now < promo.starts_at:
        raise errors.PromoCodeNotStarted(pointer=POINTER)
    if promo.expires_at is not None and now >= promo.expires_at:
        raise errors.PromoCodeExpired(pointer=POINTER)
    if promo.max_uses is not None and promo.uses >= promo.max_uses:
        raise errors.PromoCodeUsedUp(pointer=POINTER)
    if promo.max_uses_per_customer is not None and promo.uses_by_customer >= promo.max_uses_per_customer:
        raise errors.PromoCodeUsedByCustomer(pointer=POINTER)


def customer_key(user_id: UUID | None, email: str) -> str:
    """Return who counts as one customer: the signed-in user, else the address in its plain form.

    `bo+gala@example.com` reads the same mailbox as `bo@example.com`, so it is the same customer.
    """
    if user_id is not None:
        return f"user:{user_id}"
    local, _, domain = email.strip().lower().rpartition("@")
    return f"email:{local.split('+', 1)[0] or local}@{domain}"


def stored_value(discount_type: str, value: Decimal) -> int:
    """Return a discount as it is stored: hundredths of a percent, or cents."""
    if discount_type == "percentage":
        if not 1 <= value <= 100:
            raise InvalidInput("A percentage lies between 1 and 100.", pointer="/discount_value")
        return int(value * 100)
    if value != value.to_integral_value() or value < 100:
        raise InvalidInput("A fixed amount is 100 to 1,000,000 whole cents.", pointer="/discount_value")
    return int(value)


def shown_value(discount_type: str, stored: int) -> int | float:
    """Return a discount as people write it: percent with up to 2 decimals, or cents."""
    if discount_type == "fixed_amount":
        return stored
    return stored // 100 if stored % 100 == 0 else stored / 100


def check_window(starts_at: datetime | None, expires_at: datetime | None) -> None:
    """Refuse a code that would never be valid."""
    if starts_at and expires_at and expires_at <= starts_at:
        raise InvalidInput("The code must expire after it starts.", pointer="/expires_at")
