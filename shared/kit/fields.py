"""Input types with the bounds and rules that every schema shares: strict, trimmed, free of control characters."""

import re
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, ClassVar
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    Strict,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from shared.kit.money import MINOR_DIGITS

MAX_CENTS = 100_000_000  # 1,000,000.00, the highest price of anything (R-PKG-1)

# Direction marks can make a name look like another one. Joiners are allowed, because emoji and Indic scripts need them.
_DIRECTION_MARKS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_LINE_BREAKS = frozenset("\n\r\t")
_INVISIBLE = frozenset("\u2800\u3164\u115f\u1160\uffa0")  # letters and symbols that show nothing
_RFC_3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}")
_NOTHING_TO_SEE = frozenset({"Cf", "Zs", "Cn", "Cc", "Mn"})


def normal_text(text: object) -> object:
    """Return a text as trimmed NFC before its length is checked: NFC can be longer, and the database counts NFC."""
    return unicodedata.normalize("NFC", text).strip() if isinstance(text, str) else text


def _readable(text: str, *, allow: frozenset[str] = frozenset()) -> str:
    """Return `text`; refuse control characters, lone surrogates, and text that shows nothing."""
    for character in text:
        bad = unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or character in _DIRECTION_MARKS
        if bad and character not in allow:
            raise PydanticCustomError("control_character", "must not contain control characters")
    if all(unicodedata.category(c) in _NOTHING_TO_SEE or c in _INVISIBLE for c in text):
        raise PydanticCustomError("blank", "must not be blank")
    return text


def one_line(text: str) -> str:
    """Return `text`; refuse text that is not one readable line."""
    return _readable(text)


def readable_text(text: str) -> str:
    """Return `text`; refuse control characters other than line breaks. The empty text is allowed."""
    return _readable(text, allow=_LINE_BREAKS) if text else text


def _paragraphs(text: str) -> str:
    return _readable(text, allow=_LINE_BREAKS)


def _no_number(moment: object) -> object:
    """Return a moment that can be RFC 3339; pydantic would also read "1" and 1 as seconds since 1970."""
    if isinstance(moment, datetime) or (isinstance(moment, str) and _RFC_3339.match(moment)):
        return moment
    raise PydanticCustomError("datetime_parsing", "must be a time such as 2027-04-17T18:00:00Z")


def _utc(moment: datetime) -> datetime:
    """Return the moment in UTC; refuse years so far away that a time zone could move them out of range."""
    if not 1971 <= moment.year <= 8999:
        raise PydanticCustomError("out_of_range", "must lie between the years 1971 and 8999")
    return moment.astimezone(UTC)


def _email(address: str) -> str:
    """Return the address in lower case; its form is checked, not whether the mailbox exists."""
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415 - it takes 50 ms, which a start should not wait for

    try:
        # `test_environment` allows names under .test, which examples and tests use; it changes nothing else.
        checked = validate_email(address, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise PydanticCustomError("invalid_email", "must be an e-mail address: {why}", {"why": str(error)}) from None
    if "." not in checked.domain:
        raise PydanticCustomError("invalid_email", "must be an e-mail address with a full domain")
    return checked.normalized.lower()


def _currency(code: str) -> str:
    if code not in MINOR_DIGITS:
        raise PydanticCustomError("unknown_currency", "must be an ISO 4217 currency code such as USD")
    return code


def _zone(name: str) -> str:
    if name not in available_timezones() or name in {"Factory", "localtime"}:
        raise PydanticCustomError("unknown_timezone", "must be an IANA time zone such as Europe/London")
    return name


def number(value: object) -> object:
    """Return a number as it is written: a float's shortest digits, not its exact binary value."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PydanticCustomError("number_type", "must be a number")
    return Decimal(str(value))


def _schema(**schema: Any) -> WithJsonSchema:
    """Describe, for the reference, a type that has checks that JSON Schema can't express."""
    return WithJsonSchema({"type": "string", **schema})


# The bounds stand right behind `str`, because there they count characters. The `BeforeValidator` still runs first.
type Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=100),
    BeforeValidator(normal_text),
    AfterValidator(one_line),
    _schema(minLength=1, maxLength=100, pattern=r"\S", description="One line, not blank, no control characters."),
]
type Title = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    BeforeValidator(normal_text),
    AfterValidator(one_line),
    _schema(minLength=1, maxLength=200, pattern=r"\S", description="One line, not blank, no control characters."),
]
type Paragraphs = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1000),
    BeforeValidator(normal_text),
    AfterValidator(_paragraphs),
    _schema(minLength=1, maxLength=1000, pattern=r"\S", description="Not blank; line breaks are kept."),
]
type Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", min_length=3, max_length=80)]
type Email = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=3, max_length=254),
    AfterValidator(_email),
    _schema(format="email", minLength=3, maxLength=254, examples=["bo@example.com"]),
]
type Phone = Annotated[str, StringConstraints(pattern=r"^\+?[0-9][0-9 ()/.-]{2,28}[0-9]$")]
type Cents = Annotated[int, Field(ge=0, le=MAX_CENTS)]
type Percent = Annotated[
    Decimal,
    BeforeValidator(number),
    Field(ge=0, le=100, decimal_places=3),
    PlainSerializer(float, return_type=float, when_used="json"),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 100, "description": "Percent with up to 3 decimals."}),
]
type Moment = Annotated[
    AwareDatetime,
    Strict(strict=False),  # `_no_number` has refused everything but text and datetimes
    BeforeValidator(_no_number),
    AfterValidator(_utc),
    PlainSerializer(lambda m: m.astimezone(UTC).isoformat().replace("+00:00", "Z"), return_type=str, when_used="json"),
    _schema(format="date-time", examples=["2027-04-17T22:00:00Z"]),
]
type TimeZone = Annotated[
    str,
    Field(max_length=64),
    AfterValidator(_zone),
    _schema(maxLength=64, description="IANA name.", examples=["Europe/London"]),
]
type Currency = Annotated[
    str,
    StringConstraints(min_length=3, max_length=3),
    AfterValidator(_currency),
    _schema(pattern="^[A-Z]{3}$", description="ISO 4217.", examples=["USD"]),
]


# Validators are built when they are first used (`defer_build`), because a start needs few of them.


class Input(BaseModel):
    """What a client sends: strict types, no unknown fields."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, defer_build=True)


class Output(BaseModel):
    """What a client gets."""

    model_config = ConfigDict(frozen=True, from_attributes=True, defer_build=True)

    unchanged_by: ClassVar[frozenset[str]] = frozenset()
    """Fields that the ETag ignores: when only these change, the ETag stays the same."""


def unset() -> Any:
    """Stand in for a field that a PATCH leaves out; it is never read (`model_fields_set` tells what was sent)."""
