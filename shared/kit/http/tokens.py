"""Bearer tokens: JWTs of one OIDC issuer, checked against its published keys (JWKS)."""

import json
import logging
import threading
import time
import urllib.request
from functools import lru_cache
from typing import Any

import jwt

from shared.kit.actor import Identity
from shared.kit.http.problems import DependencyDown, InvalidToken
from shared.kit.settings import Settings, settings

log = logging.getLogger(__name__)

CLOCK_SKEW_SECONDS = 60
_KEYS_FRESH_SECONDS = 600.0
# An unknown key id makes us look for new keys, but forged ids must not make us ask the issuer at every request.
_REFETCH_SECONDS = 2.0
_TIMEOUT_SECONDS = 3.0


class IssuerKeys:
    """The issuer's public keys by key id: fetched by discovery, kept, fetched again when a new id appears."""

    def __init__(self, issuer: str) -> None:
        """Nothing is fetched until a key is asked for."""
        self._issuer = issuer
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._lock = threading.Lock()

    def key(self, key_id: str) -> jwt.PyJWK | None:
        """Return the key, or None when the issuer does not publish it; `DependencyDown` when none were ever got."""
        found = self._keys.get(key_id)
        if found is None or time.monotonic() - self._fetched_at > _KEYS_FRESH_SECONDS:
            self._fetch()
            found = self._keys.get(key_id)
        if not self._keys:
            raise DependencyDown("The sign-in service is out of reach, so tokens can't be checked just now.")
        return found

    def _fetch(self) -> None:
        with self._lock:
            if time.monotonic() - self._tried_at < _REFETCH_SECONDS:
                return
            try:
                about = _get_json(f"{self._issuer}/.well-known/openid-configuration")
                published = _get_json(about["jwks_uri"])["keys"]
            except (OSError, ValueError, KeyError, TypeError) as error:
                log.warning("The issuer's keys can't be fetched: %s", type(error).__name__)
            else:
                self._keys = {key.key_id: key for key in map(_usable, published) if key is not None and key.key_id}
                self._fetched_at = time.monotonic()
            self._tried_at = time.monotonic()


def _get_json(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - a setting, checked to be http(s)
        return json.load(answer)


def _usable(entry: Any) -> jwt.PyJWK | None:
    """Return a published key that can check signatures; of a kind we don't know it is left out, the others stay."""
    if not isinstance(entry, dict) or not isinstance(entry.get("kid"), str) or entry.get("kty") == "oct":
        return None
    if entry.get("use", "sig") != "sig":
        return None
    try:
        return jwt.PyJWK(entry)
    except (jwt.PyJWTError, ValueError, TypeError):
        log.warning("A key of the issuer can't be used and is left out")
        return None


def _storable(text: str) -> str:
    """Return `text` without what JSON can carry and the database can't: NUL and lone surrogates."""
    return text.replace("\0", "").encode(errors="ignore").decode()


class TokenVerifier:
    """Turns a bearer token into an `Identity`, or refuses it."""

    def __init__(self, config: Settings) -> None:
        """Accept tokens of `config.oidc_issuer` for `config.oidc_audience`, signed with the configured algorithms."""
        self._keys = IssuerKeys(config.oidc_issuer)
        self._issuer, self._audience = config.oidc_issuer, config.oidc_audience
        self._algorithms = frozenset(
            name for name in config.oidc_algorithms.replace(" ", "").split(",") if not name.startswith(("HS", "none"))
        )
        claim, _, value = (config.oidc_super_admin_claim or "=").partition("=")
        self._super_admin = (claim, value)

    def verify(self, token: str) -> Identity:
        """Return who the token speaks of; `InvalidToken` says why not."""
        try:
            header = jwt.get_unverified_header(token)
            algorithm, key_id = header.get("alg"), header.get("kid")
            if not isinstance(algorithm, str) or algorithm not in self._algorithms:
                raise InvalidToken("The token's signature algorithm is not accepted.")
            key = self._keys.key(key_id) if isinstance(key_id, str) else None
            if key is None or key.algorithm_name != algorithm:
                raise InvalidToken("The token was not signed with a key of the sign-in service.")
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._audience,
                issuer=self._issuer,
                leeway=CLOCK_SKEW_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise InvalidToken("The token has expired; sign in again.") from error
        except (jwt.InvalidTokenError, jwt.PyJWKError, ValueError) as error:
            raise InvalidToken("The token is not valid here.") from error
        return self._identity(claims)

    def _identity(self, claims: dict[str, Any]) -> Identity:
        email, name = claims.get("email"), claims.get("name")
        subject = claims["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= 255 or _storable(subject) != subject:
            raise InvalidToken("The token's subject can't be used.")
        held = claims.get(self._super_admin[0])
        return Identity(
            issuer=self._issuer,
            subject=subject,
            email=email.lower()[:254] if isinstance(email, str) and _storable(email) == email else None,
            email_verified=claims.get("email_verified") is True,
            name=_storable(name)[:200] if isinstance(name, str) else None,
            is_super_admin=bool(self._super_admin[0])
            and (held == self._super_admin[1] or (isinstance(held, list) and self._super_admin[1] in held)),
        )


@lru_cache(maxsize=1)
def verifier() -> TokenVerifier:
    """Return the process's verifier."""
    return TokenVerifier(settings())
