"""Charges: exact to the cent against fractions, never negative, included ones never more than the price."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.orders.lines.charges import Rates, charges_on

percent = st.decimals(0, 100, places=3)
cents = st.integers(0, 10**10)


def half_up(amount: Fraction) -> int:
    return int(amount + Fraction(1, 2) // 1) if amount % 1 == 0 else int((amount + Fraction(1, 2)) // 1)


@given(cents, st.integers(1, 100), percent, st.booleans(), percent, st.integers(0, 10**8), st.booleans())
def test_charges_are_what_fractions_say(line, quantity, tax, tax_included, fee, fee_cents, fee_included):
    charges = charges_on(line, quantity, Rates(tax, tax_included, fee, fee_cents, fee_included))
    if line == 0:
        assert charges == charges_on(0, 1, Rates())
        return
    whole_fee = half_up(Fraction(line) * Fraction(fee) / 100) + quantity * fee_cents
    of = Fraction(tax) / (100 + Fraction(tax)) if tax_included else Fraction(tax) / 100
    whole_tax = half_up(line * of)
    assert (charges.fee_cents, charges.included_fee_cents) == (
        (0, min(whole_fee, line)) if fee_included else (whole_fee, 0)
    )
    assert (charges.tax_cents, charges.included_tax_cents) == ((0, whole_tax) if tax_included else (whole_tax, 0))
    assert charges.included_tax_cents <= line


@given(cents, st.integers(1, 100))
def test_without_rates_nothing_is_charged(line, quantity):
    assert charges_on(line, quantity, Rates(tax_percent=Decimal(0))) == charges_on(0, 1, Rates())
