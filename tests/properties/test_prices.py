"""Prices: for any purchase with any code, parts add up and nothing goes below zero (R-PROMO-2, R-ORD-5)."""

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from shared.domain.promotions.errors import PromoCodeBelowMinimum, PromoCodeNotForThese
from shared.domain.promotions.rules import Promo, customer_key, discount_of, discounts
from shared.kit.money import split

NOW = datetime(2027, 4, 17, tzinfo=UTC)
CENTS = st.integers(0, 100_000_000)
LINES = st.lists(st.tuples(st.integers(1, 6).map(lambda number: UUID(int=number)), CENTS), min_size=1, max_size=12)
KINDS = st.one_of(
    st.tuples(st.just("percentage"), st.integers(100, 10_000)),
    st.tuples(st.just("fixed_amount"), st.integers(100, 1_000_000)),
)


PRICES = st.one_of(st.just(0), st.integers(1, 500), CENTS)
BASKETS = st.lists(
    st.tuples(st.integers(1, 6).map(lambda number: UUID(int=number)), PRICES, st.integers(1, 100)),
    min_size=1,
    max_size=50,
).map(lambda items: [(package, price * quantity) for package, price, quantity in items])
LIMITS = st.frozensets(st.integers(1, 7).map(lambda number: UUID(int=number)), max_size=4)


def promo(kind, value, package_ids=frozenset(), **fields: Any):
    known: dict[str, Any] = {
        "id": UUID(int=99),
        "code": "ANYCODE",
        "discount_type": kind,
        "discount_value": value,
        "max_uses": None,
        "uses": 0,
        "max_uses_per_customer": None,
        "uses_by_customer": 0,
        "starts_at": None,
        "expires_at": None,
        "min_order_cents": None,
        "package_ids": package_ids,
        "is_active": True,
        "terms": 1,
    }
    return Promo(**known | fields)


@given(amount=st.integers(0, 10**9), weights=st.lists(CENTS, min_size=1, max_size=30))
def test_parts_add_up_and_none_exceeds_its_weight(amount, weights):
    amount = min(amount, sum(weights))
    parts = split(amount, weights)
    assert sum(parts) == amount
    assert all(0 <= part <= weight for part, weight in zip(parts, weights, strict=True))


@given(lines=LINES, kind=KINDS, limited=st.booleans())
def test_a_discount_is_split_to_the_cent_over_the_lines_it_is_for(lines, kind, limited):
    package_ids = frozenset({lines[0][0]}) if limited else frozenset()
    off = discounts(promo(kind[0], kind[1], package_ids), lines, now=NOW)
    eligible = sum(cents for package, cents in lines if not limited or package in package_ids)
    assert sum(off) == discount_of(kind[0], kind[1], eligible) <= eligible
    for (package, cents), part in zip(lines, off, strict=True):
        assert 0 <= part <= cents
        assert part == 0 or not limited or package in package_ids


def half_up(amount: Fraction) -> int:
    return int(amount + Fraction(1, 2))


def shares(amount: int, weights: list[int]) -> list[int]:
    """The largest remainders, in exact fractions: shares are rounded down, then the largest remainders get one more."""
    exact = [Fraction(amount * weight, sum(weights) or 1) for weight in weights]
    cut_short = sorted(((share - int(share), -index) for index, share in enumerate(exact)), reverse=True)
    missing = amount - sum(int(share) for share in exact)
    lucky = {-index for _, index in cut_short[:missing]}
    return [int(share) + (index in lucky) for index, share in enumerate(exact)]


@given(lines=BASKETS, kind=KINDS, limit=LIMITS, minimum=st.one_of(st.none(), st.integers(0, 10**11)))
@example(lines=[(UUID(int=1), 0), (UUID(int=1), 0)], kind=("fixed_amount", 100), limit=frozenset(), minimum=0)
@example(lines=[(UUID(int=1), 1)] * 3, kind=("percentage", 5_000), limit=frozenset(), minimum=3)
def test_every_line_gets_its_share_of_the_discount_and_only_lines_that_it_is_for(lines, kind, limit, minimum):
    code = promo(kind[0], kind[1], limit, min_order_cents=minimum)
    subtotal = sum(cents for _, cents in lines)
    weights = [cents if not limit or package in limit else 0 for package, cents in lines]
    try:
        off = discounts(code, lines, now=NOW)
    except PromoCodeNotForThese:
        assert limit.isdisjoint(package for package, _ in lines)
        assert limit
        return
    except PromoCodeBelowMinimum:
        assert minimum is not None
        assert subtotal < minimum
        return
    assert not limit or not limit.isdisjoint(package for package, _ in lines)
    assert minimum is None or subtotal >= minimum
    percentage, value = kind[0] == "percentage", kind[1]
    whole = half_up(Fraction(sum(weights) * value, 10_000)) if percentage else min(value, sum(weights))
    assert off == shares(whole, weights)
    assert sum(off) == whole <= sum(weights)
    assert all(0 <= part <= weight for part, weight in zip(off, weights, strict=True))
    assert sum(cents - part for (_, cents), part in zip(lines, off, strict=True)) == subtotal - whole >= 0
    assert discounts(code, lines, now=NOW) == off


@given(lines=BASKETS, kind=st.sampled_from(["percentage", "fixed_amount"]), limit=LIMITS, data=st.data())
def test_a_greater_discount_never_makes_an_order_dearer(lines, kind, limit, data):
    most = {"percentage": 10_000, "fixed_amount": 1_000_000}[kind]
    low = data.draw(st.integers(100, most))
    high = data.draw(st.integers(low, most))
    limit = limit | {lines[0][0]} if limit else limit
    less, more = (discounts(promo(kind, value, limit), lines, now=NOW) for value in (low, high))
    assert sum(less) <= sum(more)
    if kind == "percentage" and high == 10_000:
        assert more == [cents if not limit or package in limit else 0 for package, cents in lines]


@given(lines=BASKETS, kind=KINDS)
def test_equal_remainders_go_to_the_lines_that_come_first(lines, kind):
    """This way a repeated request is split in the same way on any machine."""
    off = discounts(promo(*kind), lines, now=NOW)
    of_equal_lines: dict[int, list[int]] = {}
    for (_, cents), part in zip(lines, off, strict=True):
        of_equal_lines.setdefault(cents, []).append(part)
    for parts in of_equal_lines.values():
        assert parts == sorted(parts, reverse=True)
        assert parts[0] - parts[-1] <= 1


@given(eligible=CENTS, low=st.integers(100, 10_000), more=st.integers(0, 9_900))
def test_a_higher_percentage_never_takes_off_less(eligible, low, more):
    high = min(10_000, low + more)
    assert discount_of("percentage", low, eligible) <= discount_of("percentage", high, eligible) <= eligible


@given(lines=LINES, kind=KINDS)
def test_a_discount_does_not_depend_on_the_order_of_the_lines(lines, kind):
    assert sum(discounts(promo(*kind), lines, now=NOW)) == sum(discounts(promo(*kind), lines[::-1], now=NOW))


@given(local=st.from_regex(r"[a-z0-9.]{1,12}", fullmatch=True), tag=st.from_regex(r"[a-z0-9]{0,6}", fullmatch=True))
def test_one_mailbox_is_one_customer_however_it_is_written(local, tag):
    plain = customer_key(None, f"{local}@example.com")
    assert customer_key(None, f"{local}+{tag}@Example.COM".upper()) == plain
    assert customer_key(UUID(int=5), f"{local}@example.com") == customer_key(UUID(int=5), "other@example.com") != plain
