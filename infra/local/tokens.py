"""Who can sign in locally, and what their tokens say."""

import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

AUDIENCE = "boxoffice"
LIFETIME = timedelta(hours=12)
ADMIN = "admin@demo.test"
DEMO_NAMES = {
    ADMIN: "Ada Admin",
    "coordinator@demo.test": "Cora Coordinator",
    "other@demo.test": "Otto Other",
    "staff@demo.test": "Stan Staff",
    "customer@demo.test": "Carla Customer",
}


def claims_for(email: str, *, issuer: str, audience: str = AUDIENCE, now: datetime | None = None) -> dict[str, Any]:
    """The claims of a token for `email`, valid for twelve hours; the subject is the same each time."""
    email = email.strip().lower()
    issued = int((now or datetime.now(UTC)).timestamp())
    claims: dict[str, Any] = {
        "iss": issuer,
        "aud": audience,
        "sub": str(uuid.uuid5(uuid.NAMESPACE_URL, f"mailto:{email}")),
        "email": email,
        "email_verified": True,
        "name": display_name(email),
        "iat": issued,
        "nbf": issued,
        "exp": issued + int(LIFETIME.total_seconds()),
    }
    if email == ADMIN:
        claims["roles"] = ["super_admin"]
    return claims


def display_name(email: str) -> str:
    """A demo user's name, else one made from the address: jane.doe@x.test is Jane Doe."""
    words = re.split(r"[._+-]+", email.partition("@")[0])
    return DEMO_NAMES.get(email) or " ".join(word.capitalize() for word in words if word)
