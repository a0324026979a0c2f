from typing import Literal
from uuid import UUID

from pydantic import Field

from shared.kit.fields import Output


class HolderOut(Output):
    """Who will use the ticket, once that is known."""

    name: str | None
    email: str | None


class TicketOut(Output):
    """One ticket, with the code that its QR code contains."""

    id: UUID
    number: str
    status: Literal["valid", "used", "void", "transferred"]
    holder: HolderOut | None
    code: str


class TicketKeyOut(Output):
    """A public key as a JSON Web Key (RFC 8037); `kid` is the key's id in codes, in hexadecimal."""

    kty: Literal["OKP"] = "OKP"
    crv: Literal["Ed25519"] = "Ed25519"
    use: Literal["sig"] = "sig"
    alg: Literal["EdDSA"] = "EdDSA"
    kid: str
    x: str = Field(description="The key's 32 bytes, base64url without padding.")


class TicketKeysOut(Output):
    """The keys with which ticket codes are checked; the first one signs."""

    keys: list[TicketKeyOut]
