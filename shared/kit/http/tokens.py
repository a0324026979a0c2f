"""Bearer tokens: JWTs of one OIDC issuer, checked against its published keys (JWKS)."""

import http.client
import json
import logging
import threading
import time
import urllib.request
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jwt

from shared.kit.actor import Identity
from shared.kit.http.problems import DependencyDown, InvalidToken
from shared.kit.settings.http import HttpSettings, http_settings

log = logging.getLogger(__name__)

CLOCK_SKEW_SECONDS = 60
_KEYS_FRESH_SECONDS = 600.0
# While the issuer does not answer, its last known keys are accepted for this long. After that time the issuer may have
# withdrawn a key without our knowing it, so the keys are no longer accepted.
_KEYS_LAST_SECONDS = 24 * 3600.0
# An unknown key id makes us fetch the keys at once, so that a new key works with its first token. But forged ids must
# not make us ask the issuer at every request, so fetches are limited: one more is allowed each time these seconds pass.
_LOOK_EACH_SECONDS = 30.0
_LOOKS_AT_MOST = 3
# After a failure the issuer is left alone for a moment; known keys are used meanwhile.
_LEFT_ALONE_SECONDS = 2.0
_TIMEOUT_SECONDS = 3.0


class IssuerKeys:
    """The issuer's public keys by key id: found by discovery, kept, and fetched again when a new id appears.

    A key that the issuer no longer publishes is dropped at the next fetch, ten minutes later at most.
    """

    def __init__(self, issuer: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is fetched until a key is asked for; `clock` is in seconds and never goes back."""
        self._issuer = issuer
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")
        self._failed_at = float("-inf")
        self._looks, self._saved_at = float(_LOOKS_AT_MOST), clock()
        self._lock = threading.Lock()

    def key(self, key_id: str) -> jwt.PyJWK | None:
        """Return the key, or None when the issuer does not publish it.

        Raises `DependencyDown` when no keys were ever fetched, or the last fetch is too long ago to rely on its keys.
        """
        found = self._keys.get(key_id)
        if found is None:
            self._look_for(key_id)
        elif self._clock() - self._fetched_at > _KEYS_FRESH_SECONDS:
            self._refresh()
        if self._clock() - self._fetched_at > _KEYS_LAST_SECONDS:
            raise DependencyDown("The sign-in service is out of reach, so tokens can't be checked just now.")
        return self._keys.get(key_id)

    def _refresh(self) -> None:
        """Fetch the keys again in one thread; the other threads go on with the present keys while these may be used."""
        if not self._lock.acquire(blocking=self._clock() - self._fetched_at > _KEYS_LAST_SECONDS):
            return
        try:
            if self._clock() - self._fetched_at > _KEYS_FRESH_SECONDS:
                self._fetch()
        finally:
            self._lock.release()

    def _look_for(self, key_id: str) -> None:
        """Fetch the keys because one is unknown, unless this happened too often recently."""
        with self._lock:
            if key_id in self._keys:
                return  # another thread has just fetched it
            now = self._clock()
            self._looks = min(_LOOKS_AT_MOST, self._looks + (now - self._saved_at) / _LOOK_EACH_SECONDS)
            self._saved_at = now
            is_stale = now - self._fetched_at > _KEYS_FRESH_SECONDS
            if not is_stale and self._looks < 1:
                return
            if not is_stale:
                self._looks -= 1
            self._fetch()

    def _fetch(self) -> None:
        if self._clock() - self._failed_at < _LEFT_ALONE_SECONDS:
            return
        try:
            about = _get_json(f"{self._issuer}/.well-known/openid-configuration")
            published = _get_json(about["jwks_uri"])["keys"]
            keys = {key.key_id: key for key in map(_usable, published) if key is not None and key.key_id}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, http.client.HTTPException) as error:
            log.warning("The issuer's keys can't be fetched: %s", type(error).__name__)
            self._failed_at = self._clock()
        else:
            self._keys, self._fetched_at = keys, self._clock()


def _get_json(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - the setting was checked to be http(s)
        return json.load(answer)


def _usable(entry: Any) -> jwt.PyJWK | None:
    """Return a published key if it can check signatures, else None: an unknown kind of key must not stop the others."""
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
    """Return `text` without NUL and lone surrogates: JSON can carry them, but the database can't store them."""
    return text.replace("\0", "").encode(errors="ignore").decode()


class TokenVerifier:
    """Turns a bearer token into an `Identity`, or refuses it."""

    def __init__(self, config: HttpSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Accept tokens of `config.oidc_issuer` for `config.oidc_audience`, signed with the configured algorithms."""
        self._keys = IssuerKeys(config.oidc_issuer, clock=clock)
        self._issuer, self._audience = config.oidc_issuer, config.oidc_audience
        self._algorithms = frozenset(
            name for name in config.oidc_algorithms.replace(" ", "").split(",") if not name.startswith(("HS", "none"))
        )
        claim, _, value = (config.oidc_super_admin_claim or "=").partition("=")
        self._super_admin = (claim, value)

    def verify(self, token: str) -> Identity:
        """Return the user that the token names; raises `InvalidToken` with the reason why it is refused."""
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
    return TokenVerifier(http_settings())
