"""Local tokens say who somebody is, the same each time."""

from datetime import UTC, datetime

import pytest

from infra.local.services.issuer import SigningKey
from infra.local.tokens import claims_for, display_name

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def test_a_token_is_valid_for_twelve_hours_and_names_its_bearer():
    claims = claims_for("Customer@demo.test ", issuer="http://issuer.test", now=NOW)
    assert claims == {
        "iss": "http://issuer.test",
        "aud": "boxoffice",
        "sub": claims_for("customer@demo.test", issuer="http://other.test")["sub"],
        "email": "customer@demo.test",
        "email_verified": True,
        "name": "Carla Customer",
        "iat": 1_795_176_000,
        "nbf": 1_795_176_000,
        "exp": 1_795_176_000 + 12 * 3600,
    }


def test_only_the_demo_administrator_is_one():
    roles = {email: claims_for(email, issuer="x").get("roles") for email in ("admin@demo.test", "staff@demo.test")}
    assert roles == {"admin@demo.test": ["super_admin"], "staff@demo.test": None}


@pytest.mark.parametrize(
    ("email", "name"),
    [("admin@demo.test", "Ada Admin"), ("jane.van_der-berg@x.test", "Jane Van Der Berg"), ("bob@x.test", "Bob")],
)
def test_a_name_is_known_or_made_from_the_address(email, name):
    assert display_name(email) == name


def test_the_signing_key_is_made_once_and_is_private(tmp_path):
    path = tmp_path / "issuer" / "key.pem"
    first, second = SigningKey.kept_in(path), SigningKey.kept_in(path)
    assert first.jwk == second.jwk
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["key.pem"]
