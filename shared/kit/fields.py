"""Input types with the bounds and manners that every schema shares: strict, trimmed, free of control characters."""

import unicodedata
from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from shared.kit.money import MINOR_DIGITS

MAX_CENTS = 100_000_000  # 1,000,000.00, the highest price of anything (R-PKG-1)

# Explicit direction marks can make a name read as something else; joiners stay, for emoji and Indic scripts need them.
_DIRECTION_MARKS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LINE_BREAKS = frozenset("\n\r\t")


def _readable(text: str, *, allow: frozenset[str] = frozenset()) -> str:
    """Return `text` in NFC; refuse control characters, lone surrogates, and text in which nothing is to be seen."""
    for character in text:
        bad = unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or character in _DIRECTION_MARKS
        if bad and character not in allow:
            raise PydanticCustomError("control_character", "must not contain control characters")
    if text and all(unicodedata.category(c) in {"Cf", "Zs", "Cn", "Cc"} or c == "\u3164" for c in text):
        raise PydanticCustomError("blank", "must not be blank")
    return unicodedata.normalize("NFC", text)


def _one_line(text: str) -> str:
    return _readable(text)


def _paragraphs(text: str) -> str:
    return _readable(text, allow=_LINE_BREAKS)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _sane_year(moment: datetime) -> datetime:
    if not 1970 <= moment.year <= 9000:
        raise PydanticCustomError("out_of_range", "must lie between the years 1970 and 9000")
    return moment


def _email(address: str) -> str:
    """Return the address in lower case; its form is checked, not whether anybody reads it."""
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415 - 50 ms that a start need not wait for

    try:
        # `test_environment` lets the names under .test through, which examples and tests use; nothing else changes.
        checked = validate_email(address, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise PydanticCustomError("invalid_email", "must be an e-mail address: {why}", {"why": str(error)}) from None
    return checked.normalized.lower()


def _currency(code: str) -> str:
    if code not in MINOR_DIGITS:
        raise PydanticCustomError("unknown_currency", "must be an ISO 4217 currency code such as USD")
    return code


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise PydanticCustomError("unknown_timezone", "must be an IANA time zone such as Europe/London")
    return name


type Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), AfterValidator(_one_line)
]
type Title = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(_one_line)
]
type Paragraphs = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000), AfterValidator(_paragraphs)
]
type Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", min_length=3, max_length=80)]
type Email = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=3, max_length=254),
    AfterValidator(_email),
    WithJsonSchema({"type": "string", "format": "email", "minLength": 3, "maxLength": 254}, mode="validation"),
]
type Phone = Annotated[str, StringConstraints(pattern=r"^\+?[0-9 ()/.-]{4,30}$")]
type Cents = Annotated[int, Field(ge=0, le=MAX_CENTS)]
type Moment = Annotated[
    AwareDatetime,
    AfterValidator(_sane_year),
    AfterValidator(_utc),
    PlainSerializer(lambda m: m.astimezone(UTC).isoformat().replace("+00:00", "Z"), return_type=str, when_used="json"),
]
type TimeZone = Annotated[str, Field(max_length=64), AfterValidator(_zone)]
type Currency = Annotated[str, StringConstraints(min_length=3, max_length=3), AfterValidator(_currency)]


class Input(BaseModel):
    """What a client sends: strict types, no unknown fields."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Output(BaseModel):
    """What a client gets."""

    model_config = ConfigDict(frozen=True, from_attributes=True)
