"""Amounts as text, and amounts in parts."""

import pytest

from shared.kit.money import decimal_text, split


@pytest.mark.parametrize(
    ("units", "currency", "text"),
    [
        (10_000, "USD", "100.00"),
        (5, "USD", "0.05"),
        (-5, "USD", "-0.05"),
        (-12_345, "EUR", "-123.45"),
        (1_500, "JPY", "1500"),
        (-1, "JPY", "-1"),
        (1_005, "KWD", "1.005"),
        (0, "USD", "0.00"),
    ],
)
def test_an_amount_is_written_with_the_digits_of_its_currency(units, currency, text):
    assert decimal_text(units, currency) == text


def test_what_is_left_over_goes_to_the_largest_remainders_and_then_to_the_first():
    assert split(100, [1, 1, 1]) == [34, 33, 33]
    assert split(101, [1, 1, 1]) == [34, 34, 33]
    # A tenth of 15, 16 and 19: the remainders are 0.5, 0.6 and 0.9.
    assert split(5, [15, 16, 19]) == [1, 2, 2]
    assert split(10, [1, 2, 97]) == [0, 0, 10]


def test_without_weight_there_is_nothing_to_divide():
    assert split(0, [0, 0]) == [0, 0]
    assert split(7, [0, 3]) == [0, 7]
    assert split(0, []) == []
