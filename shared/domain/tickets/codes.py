"""Ticket codes: what the QR code carries, signed with Ed25519, so that a scanner needs no network (R-TKT-1).

    BX1 + base32( event id (16) | ticket id (16) | revision (2, big-endian) | signature of all before it (64) )

Base32 without padding uses only A–Z and 2–7, which QR codes pack as alphanumeric (5.5 bits a character) and which every
keyboard scanner types right. Ed25519 is deterministic, so a code can be made anew at any time and need not be stored;
raising a ticket's revision makes its older codes void.
"""

import base64
import binascii
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from shared.kit.settings import settings

PREFIX = "BX1"
_PAYLOAD_BYTES = 34


@dataclass(frozen=True, slots=True)
class TicketCode:
    """What a genuine code says."""

    event_id: UUID
    ticket_id: UUID
    revision: int


@lru_cache(maxsize=1)
def signing_key() -> Ed25519PrivateKey:
    """The process's key for ticket codes."""
    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(settings().ticket_signing_key))


def sign_code(code: TicketCode, key: Ed25519PrivateKey) -> str:
    """Return the code's text; the same ticket and revision always give the same text."""
    payload = PREFIX.encode() + code.event_id.bytes + code.ticket_id.bytes + code.revision.to_bytes(2, "big")
    signed = payload[len(PREFIX) :] + key.sign(payload)
    return PREFIX + base64.b32encode(signed).decode().rstrip("=")


def read_code(text: str, key: Ed25519PublicKey) -> TicketCode | None:
    """Return what a code says if it is genuine, else None."""
    if not text.startswith(PREFIX):
        return None
    encoded = text.removeprefix(PREFIX)
    try:
        signed = base64.b32decode(encoded + "=" * (-len(encoded) % 8))
        payload, signature = signed[:_PAYLOAD_BYTES], signed[_PAYLOAD_BYTES:]
        key.verify(signature, PREFIX.encode() + payload)
        if base64.b32encode(signed).decode().rstrip("=") != encoded:  # the last letter has a bit to spare
            return None
    except (binascii.Error, InvalidSignature, ValueError):
        return None
    return TicketCode(UUID(bytes=payload[:16]), UUID(bytes=payload[16:32]), int.from_bytes(payload[32:34], "big"))
