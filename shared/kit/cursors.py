"""Cursors of lists: a cursor tells where the previous page ended, as a text that means nothing to a client."""

import base64
import binascii
from typing import Any

import orjson

from shared.kit.errors import InvalidInput


def written(place: list[Any]) -> str:
    """Return the cursor for a place in a list, which is given as JSON values, ids and times."""
    return base64.urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")


def read(cursor: str) -> list[Any]:
    """Return the place that a cursor names; raises `InvalidInput` for a text that `written` did not make."""
    try:
        place = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        place = None
    if not isinstance(place, list):
        raise not_ours()
    return place


def not_ours() -> InvalidInput:
    """Return the error for a cursor that does not belong to the list."""
    return InvalidInput("This cursor does not belong to this list.", pointer="/query/cursor")
