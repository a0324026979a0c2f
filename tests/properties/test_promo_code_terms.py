"""Which refusal a promo code gets, at which microsecond and at which use (R-PROMO-3)."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import example, given
from hypothesis import strategies as st

from shared.domain.promotions import errors
from shared.domain.promotions.rules import Promo, discounts

NOW = datetime(2027, 4, 17, 18, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
OURS, OTHER = UUID(int=1), UUID(int=2)

# Relative to now: often exactly now, or one microsecond away.
OFFSETS = st.one_of(st.integers(-2, 2), st.integers(-(10**12), 10**12)).map(lambda number: number * MICROSECOND)
MOMENTS = st.none() | OFFSETS.map(lambda offset: NOW + offset)
COUNTS = st.tuples(st.none() | st.integers(1, 4), st.integers(0, 4))
PROMOS = st.builds(
    lambda starts_at, expires_at, total, mine, limit, least, active: Promo(
        id=UUID(int=99),
        code="ANYCODE",
        discount_type="fixed_amount",
        discount_value=100,
        max_uses=total[0],
        uses=total[1],
        max_uses_per_customer=mine[0],
        uses_by_customer=mine[1],
        starts_at=starts_at,
        expires_at=expires_at,
        min_order_cents=least,
        package_ids=limit,
        is_active=active,
        terms=1,
    ),
    MOMENTS,
    MOMENTS,
    COUNTS,
    COUNTS,
    st.sampled_from([frozenset(), frozenset({OURS}), frozenset({OTHER}), frozenset({OURS, OTHER})]),
    st.none() | st.sampled_from([0, 999, 1_000, 1_001]),
    st.sampled_from([True, True, True, False]),
)


def first_refusal(promo: Promo, subtotal: int) -> type[Exception] | None:
    """The requirement's reasons in its own sequence: return the first one that applies."""
    after_the_start = promo.starts_at is None or promo.starts_at <= NOW
    before_the_end = promo.expires_at is None or promo.expires_at > NOW
    left = 1 if promo.max_uses is None else promo.max_uses - promo.uses
    left_for_me = 1 if promo.max_uses_per_customer is None else promo.max_uses_per_customer - promo.uses_by_customer
    reasons: list[tuple[bool, type[Exception]]] = [
        (not promo.is_active, errors.PromoCodeInactive),
        (not after_the_start, errors.PromoCodeNotStarted),
        (not before_the_end, errors.PromoCodeExpired),
        (left <= 0, errors.PromoCodeUsedUp),
        (left_for_me <= 0, errors.PromoCodeUsedByCustomer),
        (promo.package_ids == {OTHER}, errors.PromoCodeNotForThese),
        (promo.min_order_cents is not None and promo.min_order_cents > subtotal, errors.PromoCodeBelowMinimum),
    ]
    return next((reason for holds, reason in reasons if holds), None)


def outcome(promo: Promo, subtotal: int = 1_000, *, now: datetime = NOW) -> type[Exception] | None:
    try:
        assert discounts(promo, [(OURS, subtotal)], now=now) == [100]
    except errors.REFUSALS as refusal:
        return type(refusal)
    return None


@given(promo=PROMOS)
def test_of_several_reasons_the_first_is_told(promo):
    assert outcome(promo) is first_refusal(promo, 1_000)


OPEN = Promo(
    id=UUID(int=99),
    code="ANYCODE",
    discount_type="fixed_amount",
    discount_value=100,
    max_uses=None,
    uses=7,
    max_uses_per_customer=None,
    uses_by_customer=7,
    starts_at=NOW,
    expires_at=NOW + timedelta(days=1),
    min_order_cents=None,
    package_ids=frozenset(),
    is_active=True,
    terms=1,
)


@given(offset=OFFSETS)
@example(offset=-MICROSECOND)
@example(offset=timedelta())
@example(offset=timedelta(days=1) - MICROSECOND)
@example(offset=timedelta(days=1))
def test_a_code_holds_from_its_start_until_just_before_its_end(offset):
    told = outcome(OPEN, now=NOW + offset)
    if offset < timedelta():
        assert told is errors.PromoCodeNotStarted
    elif offset < timedelta(days=1):
        assert told is None
    else:
        assert told is errors.PromoCodeExpired
