"""Taxes and fees of an order's lines, to the cent (R-ORD-5). Pure.

Rates are percentages with up to three decimals; each line is rounded half up. *Added* charges come on top of the price;
*included* charges are a part of the price and are only shown. Both are computed from what the line costs after its
discount; a line that costs nothing has no fee per package either.
"""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

_HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class Rates:
    """The rates of a package's charges: the package's own rates, or else its event's."""

    tax_percent: Decimal = Decimal(0)
    tax_included: bool = False
    fee_percent: Decimal = Decimal(0)
    fee_cents: int = 0
    fee_included: bool = False


NO_RATES = Rates()


@dataclass(frozen=True, slots=True)
class Charges:
    """The charges on one line, in cents."""

    fee_cents: int = 0
    tax_cents: int = 0
    included_fee_cents: int = 0
    included_tax_cents: int = 0


NOTHING = Charges()


def charges_on(line_cents: int, quantity: int, rates: Rates) -> Charges:
    """Return the charges on a line of `quantity` packages that cost `line_cents` together, after the discount."""
    if line_cents == 0 or not (rates.tax_percent or rates.fee_percent or rates.fee_cents):
        return NOTHING
    fee = _rounded(line_cents * rates.fee_percent / _HUNDRED) + quantity * rates.fee_cents
    if rates.fee_included:
        fee = min(fee, line_cents)
    if rates.tax_included:
        tax = _rounded(line_cents * rates.tax_percent / (_HUNDRED + rates.tax_percent))
    else:
        tax = _rounded(line_cents * rates.tax_percent / _HUNDRED)
    return Charges(
        fee_cents=0 if rates.fee_included else fee,
        tax_cents=0 if rates.tax_included else tax,
        included_fee_cents=fee if rates.fee_included else 0,
        included_tax_cents=tax if rates.tax_included else 0,
    )


def _rounded(amount: Decimal) -> int:
    return int(amount.quantize(Decimal(1), rounding=ROUND_HALF_UP))
