"""What a promo code takes off, and whom it refuses (R-PROMO-2, R-PROMO-3)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from shared.domain.promotions.errors import (
    PromoCodeBelowMinimum,
    PromoCodeExpired,
    PromoCodeInactive,
    PromoCodeNotForThese,
    PromoCodeNotStarted,
    PromoCodeUsedByCustomer,
    PromoCodeUsedUp,
)
from shared.domain.promotions.rules import (
    Promo,
    check_window,
    customer_key,
    discount_of,
    discounts,
    shown_value,
    stored_value,
)
from shared.kit.errors import InvalidInput

NOW = datetime(2027, 4, 17, 18, tzinfo=UTC)
A_MOMENT = timedelta(microseconds=1)
CHAIR, TABLE = UUID(int=1), UUID(int=2)
TENTH = Promo(
    id=UUID(int=9),
    code="TENTH",
    discount_type="percentage",
    discount_value=1_000,
    max_uses=None,
    uses=0,
    max_uses_per_customer=None,
    uses_by_customer=0,
    starts_at=None,
    expires_at=None,
    min_order_cents=None,
    package_ids=frozenset(),
    is_active=True,
    terms=1,
)


def off(*lines: tuple[UUID, int], now: datetime = NOW, **changed: Any) -> list[int]:
    return discounts(replace(TENTH, **changed), lines, now=now)


def test_the_minimum_is_asked_of_the_whole_order_and_the_discount_is_on_what_it_is_for():
    for_chairs: dict[str, Any] = {"package_ids": frozenset({CHAIR}), "min_order_cents": 5_000}
    assert off((CHAIR, 1_000), (TABLE, 4_000), **for_chairs) == [100, 0]
    with pytest.raises(PromoCodeBelowMinimum) as refused:
        off((CHAIR, 1_000), (TABLE, 3_999), **for_chairs)
    assert refused.value.fields == {"min_order_cents": 5_000}


def test_a_code_for_other_packages_is_refused_whatever_the_order_comes_to():
    with pytest.raises(PromoCodeNotForThese):
        off((TABLE, 100), package_ids=frozenset({CHAIR}), min_order_cents=5_000)


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"starts_at": NOW}, None),
        ({"starts_at": NOW + A_MOMENT}, PromoCodeNotStarted),
        ({"expires_at": NOW + A_MOMENT}, None),
        ({"expires_at": NOW}, PromoCodeExpired),
        ({"max_uses": 3, "uses": 2}, None),
        ({"max_uses": 3, "uses": 3}, PromoCodeUsedUp),
        ({"max_uses_per_customer": 2, "uses_by_customer": 1}, None),
        ({"max_uses_per_customer": 2, "uses_by_customer": 2}, PromoCodeUsedByCustomer),
        ({"is_active": False}, PromoCodeInactive),
    ],
)
def test_a_code_works_from_its_start_until_its_end_and_as_often_as_it_says(changed, refusal):
    if refusal is None:
        assert off((CHAIR, 1_000), **changed) == [100]
    else:
        with pytest.raises(refusal):
            off((CHAIR, 1_000), **changed)


def test_a_percentage_is_rounded_half_up_and_an_amount_never_exceeds_the_price():
    assert [discount_of("percentage", 1_000, cents) for cents in (4, 5, 14, 15, 24, 25)] == [0, 1, 1, 2, 2, 3]
    assert [discount_of("fixed_amount", 500, cents) for cents in (499, 500, 501)] == [499, 500, 500]


def test_one_mailbox_is_one_customer_with_whatever_tag_it_is_written():
    bo = customer_key(None, "bo@example.com")
    assert bo == "email:bo@example.com"
    assert customer_key(None, " Bo+Gala@Example.com ") == bo
    assert customer_key(None, "bo+gala+more@example.com") == bo
    assert customer_key(None, "bo.gala@example.com") != bo
    assert customer_key(None, "+gala@example.com") == "email:+gala@example.com"  # nothing would be left of it
    assert customer_key(UUID(int=7), "bo+gala@example.com") == f"user:{UUID(int=7)}"


@pytest.mark.parametrize(
    ("kind", "value", "stored"),
    [
        ("percentage", Decimal(1), 100),
        ("percentage", Decimal("12.34"), 1_234),
        ("percentage", Decimal(100), 10_000),
        ("fixed_amount", Decimal(100), 100),
        ("fixed_amount", Decimal(12_345), 12_345),
    ],
)
def test_a_discount_is_stored_in_hundredths_and_shown_as_it_was_written(kind, value, stored):
    assert stored_value(kind, value) == stored
    assert Decimal(str(shown_value(kind, stored))) == value


@pytest.mark.parametrize(
    ("kind", "value"),
    [("percentage", "0.99"), ("percentage", "100.01"), ("fixed_amount", "99"), ("fixed_amount", "100.5")],
)
def test_a_discount_of_nothing_or_of_more_than_all_is_refused(kind, value):
    with pytest.raises(InvalidInput) as refused:
        stored_value(kind, Decimal(value))
    assert refused.value.faults[0].pointer == "/discount_value"


def test_a_code_that_never_holds_is_refused():
    for window in ((NOW, NOW + A_MOMENT), (NOW, None), (None, NOW)):
        check_window(*window)
    with pytest.raises(InvalidInput) as refused:
        check_window(NOW, NOW)
    assert refused.value.faults[0].pointer == "/expires_at"
