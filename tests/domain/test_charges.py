"""Taxes and fees of one line, to the cent (R-ORD-5)."""

from decimal import Decimal

import pytest

from shared.domain.orders.lines.charges import Charges, Rates, charges_on

ONE_PERCENT = Decimal(1)


@pytest.mark.parametrize(("line_cents", "charged"), [(49, 0), (50, 1), (149, 1), (150, 2), (249, 2), (250, 3)])
def test_half_a_cent_of_a_tax_or_a_fee_is_rounded_up(line_cents, charged):
    assert charges_on(line_cents, 1, Rates(tax_percent=ONE_PERCENT)) == Charges(tax_cents=charged)
    assert charges_on(line_cents, 1, Rates(fee_percent=ONE_PERCENT)) == Charges(fee_cents=charged)


def test_half_a_cent_of_an_included_tax_is_rounded_up():
    # A tax of 100 % on top is one half of the price that includes it: 0.5, 1.5 and 2.5 cents.
    rates = Rates(tax_percent=Decimal(100), tax_included=True)
    assert [charges_on(cents, 1, rates).included_tax_cents for cents in (1, 3, 5)] == [1, 2, 3]


def test_an_included_tax_is_the_part_of_the_price_that_is_on_top_of_the_net_price():
    # 1,190 is 1,000 and 19 % of it; 19 % of 1,190 would be 226.
    included = Rates(tax_percent=Decimal(19), tax_included=True)
    assert charges_on(1_190, 1, included) == Charges(included_tax_cents=190)
    assert charges_on(1_000, 1, Rates(tax_percent=Decimal(19))) == Charges(tax_cents=190)


def test_an_included_fee_is_never_more_than_the_price():
    rates = Rates(fee_percent=Decimal(10), fee_cents=95, fee_included=True)
    assert charges_on(1_000, 2, rates) == Charges(included_fee_cents=290)
    assert charges_on(200, 2, rates) == Charges(included_fee_cents=200)
    assert charges_on(200, 2, Rates(fee_percent=Decimal(10), fee_cents=95)) == Charges(fee_cents=210)


def test_each_package_bears_the_fee_and_the_tax_is_on_the_line_alone():
    assert charges_on(3_000, 3, Rates(fee_cents=30)) == Charges(fee_cents=90)
    rates = Rates(tax_percent=Decimal(10), fee_cents=30)
    assert charges_on(3_000, 3, rates) == Charges(fee_cents=90, tax_cents=300)


def test_what_is_free_bears_no_fee():
    assert charges_on(0, 3, Rates(fee_cents=30)) == Charges()
