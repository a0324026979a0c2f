"""The page that a confirmation's link opens: it shows the order to whoever holds the link.

The secret stands after the `#`, which browsers send to nobody; the page's script takes it from there.
"""

import base64
import hashlib
from pathlib import Path
from uuid import UUID

from functions.edge import endpoints
from shared.domain.access.permissions import Permission
from shared.kit.http.call import Call, Content

bp = endpoints("Orders")

_PAGE = (Path(__file__).parent / "order_page.html").read_text(encoding="utf-8")


def _hash_of(tag: str) -> str:
    """The CSP source of the page's one inline element of that kind."""
    text = _PAGE.split(f"<{tag}>", 1)[1].split(f"</{tag}>", 1)[0]
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; script-src {_hash_of('script')}; style-src {_hash_of('style')}; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "public, max-age=300",
}


@bp.get("v1/public/orders/{order_id}/page", permission=Permission.PUBLIC, takes_tokens=False, content_type="text/html")
def get_order_page(call: Call, order_id: UUID) -> Content:
    """Open an order's page; the part of the link after `#` is what shows the order."""
    return Content(_PAGE.encode(), "text/html; charset=utf-8", headers=_HEADERS)
