"""Which accounts a sale and a refund move money between (R-ORD-8). Pure.

    sale      receivable → sales            what the packages cost
    discount  discounts  → receivable       what a promo code takes off, or the price of tickets that are given away
    fee, tax  receivable → fees, taxes      added to the price; where included in it: sales → fees, taxes
    charge    money:<method> → receivable   what the customer paid
    refund    refunds → money:<method>      what went back

The first account is debited, the second credited. After a sale a customer's receivable is zero.
"""

from dataclasses import dataclass
from typing import NamedTuple

RECEIVABLE, SALES, DISCOUNTS, FEES, TAXES, REFUNDS = "receivable", "sales", "discounts", "fees", "taxes", "refunds"


class Pair(NamedTuple):
    """One movement: the same amount debited and credited."""

    kind: str
    debit: str
    credit: str
    amount_cents: int


@dataclass(frozen=True, slots=True)
class Amounts:
    """The amounts of an order, in cents."""

    subtotal: int
    discount: int
    fee: int
    tax: int
    included_fee: int
    included_tax: int

    @property
    def total(self) -> int:
        """What is owed."""
        return self.subtotal - self.discount + self.fee + self.tax


def money_account(method: str) -> str:
    """Return the account for money that is paid with this method."""
    return f"money:{method}"


def sale_pairs(amounts: Amounts, *, method: str) -> list[Pair]:
    """Return the movements of a sale that is paid in full; movements of 0 cents are left out."""
    pairs = [
        Pair("sale", RECEIVABLE, SALES, amounts.subtotal),
        Pair("discount", DISCOUNTS, RECEIVABLE, amounts.discount),
        Pair("fee", RECEIVABLE, FEES, amounts.fee),
        Pair("tax", RECEIVABLE, TAXES, amounts.tax),
        Pair("fee", SALES, FEES, amounts.included_fee),
        Pair("tax", SALES, TAXES, amounts.included_tax),
        Pair("charge", money_account(method), RECEIVABLE, amounts.total),
    ]
    return [pair for pair in pairs if pair.amount_cents]


def refund_pair(amount_cents: int, *, method: str) -> Pair:
    """Return the movement of a refund."""
    return Pair("refund", REFUNDS, money_account(method), amount_cents)


def returned_pairs(amount_cents: int, *, method: str) -> list[Pair]:
    """Return the movements of a payment that bought nothing and goes back."""
    account = money_account(method)
    return [Pair("charge", account, RECEIVABLE, amount_cents), Pair("refund", RECEIVABLE, account, amount_cents)]
