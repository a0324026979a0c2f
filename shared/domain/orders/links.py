"""The secret of an order's link, with which a guest opens the order.

The token is derived from the order's id with our own key. A buyer who repeats a request because its answer was lost
therefore gets the same link again, and the database holds no secret. A token opens an order if its hash is the one that
is stored with the order. So writing another hash there makes the link invalid, and old links still work after the key
has changed.
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
    """Return the hash of a token; the database stores only this hash."""
    return hashlib.sha256(token.encode()).digest()


def opens(token: str, stored_hash: bytes) -> bool:
    """Whether the token opens the order, in constant time."""
    return hmac.compare_digest(token_hash(token), stored_hash)
