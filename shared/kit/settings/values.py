"""Kinds of values that settings have, each checked where it is read."""

import base64
import binascii
import re
from typing import Annotated

from pydantic import AfterValidator


def key_of_32_bytes(text: str) -> str:
    """Return the text if it is 32 bytes in base64; else raise `ValueError`."""
    try:
        size = len(base64.b64decode(text, validate=True))
    except binascii.Error:
        size = 0
    if size != 32:
        raise ValueError("must be 32 bytes in base64; make one with: openssl rand -base64 32")
    return text


def _six_fields(text: str) -> str:
    if len(text.split()) != 6:
        raise ValueError("must have six fields (second minute hour day month weekday), such as 0 */5 * * * *")
    return text


def _http_url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError("must be an http or https address")
    return text.rstrip("/")


def _rate_limit(text: str) -> str:
    if not re.fullmatch(r"[1-9]\d{0,5} ?/ ?([1-9]\d{0,3} )?(second|minute|hour|day)s?", text):
        raise ValueError("must read like 30/minute or 5/10 seconds")
    return text


type Key = Annotated[str, AfterValidator(key_of_32_bytes)]
type RateLimitText = Annotated[str, AfterValidator(_rate_limit)]
type Schedule = Annotated[str, AfterValidator(_six_fields)]
type Url = Annotated[str, AfterValidator(_http_url)]
