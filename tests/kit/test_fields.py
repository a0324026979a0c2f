"""What the input types let through, and what they make of it."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError, create_model

from shared.kit.fields import Cents, Currency, Email, Input, Moment, Name, Paragraphs, Percent, Phone, Slug, TimeZone

REFUSED = "refused"


def read(kind: Any, value: object) -> Any:
    """The value as the type has it, or `REFUSED`."""
    try:
        asked = create_model("Asked", __base__=Input, value=(kind, ...))
        return dict(asked.model_validate({"value": value}))["value"]
    except ValidationError:
        return REFUSED


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("  Bo ", "Bo"),
        ("x" * 100, "x" * 100),
        ("x" * 101, REFUSED),
        ("", REFUSED),
        (" \t ", REFUSED),
        ("two\nlines", REFUSED),
        ("a\x00b", REFUSED),
        ("a\u2028b", REFUSED),
        ("a\u202eb", REFUSED),  # what follows would read from right to left
        ("\u3164", REFUSED),  # a letter that shows nothing
        ("\u200d", REFUSED),
        ("e\u0301", "é"),
        (7, REFUSED),
    ],
)
def test_a_name_is_one_readable_line(text, name):
    assert read(Name, text) == name


def test_paragraphs_keep_their_line_breaks():
    assert read(Paragraphs, " one\r\n\ttwo ") == "one\r\n\ttwo"
    assert read(Paragraphs, "\n\n") == REFUSED
    assert read(Paragraphs, "a\x07b") == REFUSED


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (" Bo@Example.COM ", "bo@example.com"),
        ("Bo+Gala@example.com", "bo+gala@example.com"),
        ("bo@localhost", REFUSED),
        ("bo@test", REFUSED),
        ("bo@demo.test", "bo@demo.test"),
        ("bo", REFUSED),
        ("@example.com", REFUSED),
    ],
)
def test_an_email_address_is_kept_in_lower_case_and_has_a_full_domain(text, address):
    assert read(Email, text) == address


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2027-04-17T20:00:00+02:00", datetime(2027, 4, 17, 18, tzinfo=UTC)),
        ("1971-01-01T00:00:00Z", datetime(1971, 1, 1, tzinfo=UTC)),
        ("1970-12-31T23:59:59Z", REFUSED),
        ("8999-12-31T23:59:59Z", datetime(8999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("9000-01-01T00:00:00Z", REFUSED),
        ("2027-04-17T20:00:00", REFUSED),
        ("2027-04-17", REFUSED),
        ("1800000000", REFUSED),
        (1_800_000_000, REFUSED),
    ],
)
def test_a_moment_has_an_offset_and_lies_between_1971_and_8999(text, moment):
    assert read(Moment, text) == moment


@pytest.mark.parametrize(
    ("value", "percent"),
    [
        (8.875, Decimal("8.875")),
        (0.1, Decimal("0.1")),
        (0, Decimal(0)),
        (100, Decimal(100)),
        (8.8751, REFUSED),
        (-0.001, REFUSED),
        (100.001, REFUSED),
        (True, REFUSED),
        ("8", REFUSED),
    ],
)
def test_a_percentage_is_the_number_that_was_written(value, percent):
    assert read(Percent, value) == percent


@pytest.mark.parametrize(
    ("cents", "fits"),
    [(0, True), (100_000_000, True), (100_000_001, False), (-1, False), (1.0, False), (True, False), ("1", False)],
)
def test_an_amount_is_up_to_a_million_in_whole_cents(cents, fits):
    assert read(Cents, cents) == (cents if fits else REFUSED)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Currency, "USD", ["usd", "XXX", "US"]),
        (TimeZone, "Europe/London", ["Factory", "localtime", "Mars/Base", ""]),
        (Slug, "gala-2027", ["Gala", "-gala", "gala-", "a--b", "ab"]),
        (Phone, "+49 (0)30 123-45", ["12", "+", "phone", "123-"]),
    ],
)
def test_words_of_a_list_or_of_a_form(kind, good, bad):
    assert read(kind, good) == good
    assert [read(kind, word) for word in bad] == [REFUSED] * len(bad)
