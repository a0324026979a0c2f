"""Which accounts money moves between (R-ORD-8)."""

from shared.domain.ledger.rules import Amounts, refund_pair, returned_pairs, sale_pairs

ALL = Amounts(subtotal=1_000, discount=100, fee=30, tax=90, included_fee=20, included_tax=70)


def test_a_sale_is_booked_piece_by_piece():
    assert sale_pairs(ALL, method="card") == [
        ("sale", "receivable", "sales", 1_000),
        ("discount", "discounts", "receivable", 100),
        ("fee", "receivable", "fees", 30),
        ("tax", "receivable", "taxes", 90),
        ("fee", "sales", "fees", 20),
        ("tax", "sales", "taxes", 70),
        ("charge", "money:card", "receivable", 1_020),
    ]


def test_what_is_nothing_is_not_booked():
    gift = Amounts(subtotal=1_000, discount=1_000, fee=0, tax=0, included_fee=0, included_tax=0)
    assert [pair.kind for pair in sale_pairs(gift, method="comp")] == ["sale", "discount"]


def test_after_a_sale_and_after_money_that_came_for_nothing_the_customer_owes_nothing():
    for pairs in (sale_pairs(ALL, method="card"), returned_pairs(500, method="card")):
        owed = sum(pair.amount_cents for pair in pairs if pair.debit == "receivable")
        assert owed == sum(pair.amount_cents for pair in pairs if pair.credit == "receivable")


def test_what_goes_back_leaves_the_account_that_it_came_to():
    assert refund_pair(500, method="cash") == ("refund", "refunds", "money:cash", 500)
    assert returned_pairs(500, method="stripe") == [
        ("charge", "money:stripe", "receivable", 500),
        ("refund", "receivable", "money:stripe", 500),
    ]
