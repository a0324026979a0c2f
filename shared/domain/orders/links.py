"""The secret of an order's link, by which a guest reaches it.

The token is derived from the order's id with a key of ours, so that a buyer who repeats a request whose answer was lost
gets the same link again, and no secret stands in the database. What opens an order is the hash stored with it: writing
another hash there takes a link away, and old links outlive a change of the key.
"""

import base64
import hashlib
import hmac
from functools import lru_cache
from uuid import UUID

from shared.domain.orders.settings import order_settings


@lru_cache(maxsize=1)
def _key() -> bytes:
    return base64.b64decode(order_settings().order_link_key)


def access_token(order_id: UUID) -> str:
    """Return the order's secret: 43 characters, 256 bits."""
    digest = hmac.digest(_key(), b"order link " + order_id.bytes, "sha256")
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def token_hash(token: str) -> bytes:
    """Return what is stored of a token."""
    return hashlib.sha256(token.encode()).digest()


def opens(token: str, stored_hash: bytes) -> bool:
    """Whether the token opens the order, in constant time."""
    return hmac.compare_digest(token_hash(token), stored_hash)
