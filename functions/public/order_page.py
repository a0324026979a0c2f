"""The page that the link in a confirmation opens; it shows the order to anybody who has the link.

The secret is after the `#` of the link, which browsers never send; the page's script reads it there.
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
    """Return the CSP source of the page's only inline element of this kind."""
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
    """Open an order's page; the part of the link after `#` is the secret that shows the order."""
    return Content(_PAGE.encode(), "text/html; charset=utf-8", headers=_HEADERS)
