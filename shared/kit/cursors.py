"""Cursors of lists: where the page before ended, as a word that means nothing to a client."""

import base64
import binascii
from typing import Any

import orjson

from shared.kit.errors import InvalidInput


def written(place: list[Any]) -> str:
    """Return the cursor for a place: JSON values, ids and times."""
    return base64.urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")


def read(cursor: str) -> list[Any]:
    """Return the place; raises `InvalidInput` for what `written` did not make."""
    try:
        place = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        place = None
    if not isinstance(place, list):
        raise not_ours()
    return place


def not_ours() -> InvalidInput:
    """Return the refusal of a cursor that does not fit."""
    return InvalidInput("This is not a cursor of ours for this list.", pointer="/query/cursor")
