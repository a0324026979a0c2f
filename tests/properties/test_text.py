"""Any accepted text survives JSON, the database, and being sent again."""

import json
import re
import unicodedata
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared.domain.catalog.rules import slug_of
from shared.kit.fields import Email, Moment, Name, Paragraphs, Phone, Slug, Title
from tests.properties.strategies import texts, visible_texts

FIELDS: dict[str, tuple[Any, int]] = {"name": (Name, 100), "title": (Title, 200), "paragraphs": (Paragraphs, 1000)}
ADAPTERS: dict[str, TypeAdapter[Any]] = {name: TypeAdapter(kind) for name, (kind, _) in FIELDS.items()}
SLUG: TypeAdapter[Any] = TypeAdapter(Slug)
EMAIL: TypeAdapter[Any] = TypeAdapter(Email)
PHONE: TypeAdapter[Any] = TypeAdapter(Phone)
MOMENT: TypeAdapter[Any] = TypeAdapter(Moment)


def accepted(adapter: TypeAdapter[Any], text: str) -> Any:
    """The text as it is kept, or None if it is refused."""
    try:
        return adapter.validate_json(json.dumps(text))
    except ValidationError:
        return None


@pytest.mark.parametrize("field", FIELDS)
@given(text=texts)
@example(text="a\u2028b")
@example(text="a\u0085b")
@example(text="a\u202eb")
@example(text="\u0958" * 100)
def test_what_is_accepted_is_composed_trimmed_within_bounds_and_accepted_again(field, text):
    kept = accepted(ADAPTERS[field], text)
    if kept is not None:
        assert unicodedata.is_normalized("NFC", kept)
        assert kept == kept.strip() != ""
        assert 1 <= len(kept) <= FIELDS[field][1]
        assert accepted(ADAPTERS[field], kept) == kept
        assert not re.search(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]", kept)
        assert field == "paragraphs" or not re.search(r"\s*[\n\r\t]", kept)


@pytest.mark.parametrize("field", FIELDS)
@given(text=st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=30))
def test_letters_digits_and_punctuation_of_every_script_are_accepted(field, text):
    blank = all(character in "\u3164\u115f\u1160\uffa0" for character in unicodedata.normalize("NFC", text))
    assert (accepted(ADAPTERS[field], text) is None) == blank


@pytest.fixture(scope="module")
def database(database_url):
    with psycopg.connect(database_url, autocommit=True) as connection:
        yield connection


@settings(max_examples=60)
@given(text=visible_texts)
def test_what_is_accepted_survives_the_database_and_has_its_length_there(database, text):
    kept = accepted(ADAPTERS["name"], text)
    if kept is not None:
        assert database.execute("SELECT %s::text, length(%s::text)", [kept, kept]).fetchone() == (kept, len(kept))


@given(title=texts)
def test_a_slug_is_made_of_any_title_and_is_one(title):
    made = slug_of(title)
    assert 1 <= len(made) <= 60
    assert accepted(SLUG, f"{made}-x7y2") == f"{made}-x7y2"
    assert slug_of(made) == made


def test_a_slug_says_what_the_title_says():
    made = {
        "Gala at the Zoo!": "gala-at-the-zoo",
        "Été – Über": "ete-uber",
        "東京": "event",
        "": "event",
        "--": "event",
    }
    assert {title: slug_of(title) for title in made} == made
    assert slug_of("x" * 59 + " yz") == "x" * 59


@given(
    local=st.from_regex(r"[A-Za-z0-9._+-]{1,20}", fullmatch=True), domain=st.sampled_from(["Example.com", "büro.de"])
)
def test_an_address_that_is_accepted_is_in_lower_case_and_accepted_again(local, domain):
    kept = accepted(EMAIL, f"{local}@{domain}")
    if kept is not None:
        assert kept == kept.lower()
        assert accepted(EMAIL, kept) == kept
    else:
        assert re.search(r"^\.|\.$|\.\.", local)


@given(text=texts)
def test_a_phone_number_holds_nothing_but_digits_and_signs(text):
    kept = accepted(PHONE, text)
    assert kept is None or re.fullmatch(r"\+?[0-9 ()/.-]{4,31}", kept)


@given(moment=st.datetimes(timezones=st.timezones()))
def test_a_moment_comes_back_as_the_same_moment_in_utc(moment):
    kept = accepted(MOMENT, moment.isoformat())
    if 1971 < moment.year < 8999:
        # ISO 8601 can't express the seconds in the offsets that some zones had before they were standardised.
        if moment.utcoffset().total_seconds() % 60 == 0:
            # Compared in UTC: in the hour that comes twice, Python finds a moment unequal to itself in another zone.
            assert kept == moment.astimezone(UTC)
            assert kept.tzinfo is UTC
            assert json.loads(MOMENT.dump_json(kept)).endswith("Z")
            assert accepted(MOMENT, json.loads(MOMENT.dump_json(kept))) == kept
    elif moment.year < 1970 or moment.year > 9000:
        assert kept is None


@given(number=st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False)), quoted=st.booleans())
def test_a_number_is_no_moment(number, quoted):
    with pytest.raises(ValidationError):
        MOMENT.validate_json(json.dumps(str(number) if quoted else number))


@given(moment=st.datetimes(min_value=datetime(1972, 1, 1), max_value=datetime(8000, 1, 1)))  # noqa: DTZ001 - naive
def test_a_time_without_a_zone_is_no_moment(moment):
    assert accepted(MOMENT, moment.isoformat()) is None
