"""Prices: whatever is bought with whatever code, parts add up and nothing goes below zero (R-PROMO-2, R-ORD-5)."""

from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.promotions.rules import Promo, customer_key, discount_of, discounts
from shared.kit.money import split

NOW = datetime(2027, 4, 17, tzinfo=UTC)
CENTS = st.integers(0, 100_000_000)
LINES = st.lists(st.tuples(st.integers(1, 6).map(lambda number: UUID(int=number)), CENTS), min_size=1, max_size=12)
KINDS = st.one_of(
    st.tuples(st.just("percentage"), st.integers(100, 10_000)),
    st.tuples(st.just("fixed_amount"), st.integers(100, 1_000_000)),
)


def promo(kind, value, package_ids=frozenset()):
    return Promo(
        id=UUID(int=99),
        code="ANYCODE",
        discount_type=kind,
        discount_value=value,
        max_uses=None,
        uses=0,
        max_uses_per_customer=None,
        uses_by_customer=0,
        starts_at=None,
        expires_at=None,
        min_order_cents=None,
        package_ids=package_ids,
        is_active=True,
        terms=1,
    )


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
