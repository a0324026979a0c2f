import base64
import hashlib
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from infra.local.private_files import create_private
from infra.local.tokens import AUDIENCE, claims_for

ALGORITHM = "ES256"


class SigningKey:
    """An ES256 key and its public half as a JSON Web Key."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        self.private = private
        numbers = private.public_key().public_numbers()
        x, y = (_base64url(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
        # RFC 7638: the thumbprint of the required members in alphabetical order, without white space
        thumbprint = json.dumps({"crv": "P-256", "kty": "EC", "x": x, "y": y}, separators=(",", ":"))
        self.kid = _base64url(hashlib.sha256(thumbprint.encode()).digest())
        self.jwk = {"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": self.kid, "use": "sig", "alg": ALGORITHM}

    @classmethod
    def generate(cls) -> "SigningKey":
        """A new key."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def kept_in(cls, path: Path) -> "SigningKey":
        """The key kept in `path` (PEM, readable by its owner alone), made when there is none."""
        if not path.exists():
            create_private(path, cls.generate().pem())
        private = serialization.load_pem_private_key(path.read_bytes(), password=None)
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        return cls(private)

    def pem(self) -> bytes:
        """The private key as unencrypted PEM."""
        return self.private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


class Issuer:
    """An OpenID Connect issuer on 127.0.0.1: discovery, JWKS, and tokens for any user."""

    name = "issuer"

    def __init__(self, *, key: SigningKey | None = None, port: int = 0) -> None:
        self.port = port
        self.key = key or SigningKey.generate()
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """The issuer's identifier, which is also its address."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen in a thread; a port of 0 becomes a free one."""
        issuer = self

        class Handler(_IssuerHandler):
            documents = staticmethod(issuer.documents)

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="issuer", daemon=True).start()

    def stop(self) -> None:
        """Stop listening; a program without a copy of the key can't check tokens any more."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def documents(self) -> dict[str, Any]:
        """The JSON documents served, by path."""
        return {
            "/.well-known/openid-configuration": {
                "issuer": self.url,
                "jwks_uri": f"{self.url}/jwks.json",
                "authorization_endpoint": f"{self.url}/authorize",
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": [ALGORITHM],
            },
            "/jwks.json": {"keys": [self.key.jwk]},
        }

    def token(self, email: str, **overrides: Any) -> str:
        """A token for `email`; `overrides` replace claims, and a claim given as None is left out."""
        claims = claims_for(email, issuer=self.url, audience=AUDIENCE) | overrides
        return self.sign({name: value for name, value in claims.items() if value is not None})

    def sign(
        self,
        claims: Mapping[str, Any],
        *,
        key: Any = None,
        algorithm: str = ALGORITHM,
        headers: Mapping[str, Any] | None = None,
    ) -> str:
        """Sign exactly `claims`; another key, algorithm or header makes the forgeries that tests need."""
        signing_key = key.private if isinstance(key, SigningKey) else key
        return jwt.encode(
            dict(claims),
            self.key.private if signing_key is None else signing_key,
            algorithm=algorithm,
            headers={"kid": self.key.kid} | dict(headers or {}),
        )

    def rotate(self) -> None:
        """Sign with a new key from now on and no longer publish the old one."""
        self.key = SigningKey.generate()


class _IssuerHandler(BaseHTTPRequestHandler):
    """Answers GET with the issuer's documents."""

    protocol_version = "HTTP/1.1"

    @staticmethod
    def documents() -> dict[str, Any]:
        """Replaced for each issuer."""
        raise NotImplementedError

    def do_GET(self) -> None:
        """Serve one document."""
        document = self.documents().get(self.path.partition("?")[0])
        body = json.dumps(document if document is not None else {"error": "not found"}).encode()
        self.send_response(200 if document is not None else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log nothing, so that the terminal shows no access lines."""


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
