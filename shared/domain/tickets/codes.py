"""Ticket codes: what the QR code carries, signed with Ed25519, so that a scanner needs no network (R-TKT-1).

    BX2 + base32( key id (2) | event id (16) | ticket id (16) | revision (2, big-endian) | signature of all this (64) )

The key id says which of several keys has signed the code, so that keys can be replaced while tickets are in use; the id
alone proves nothing. Older codes, from before there were key ids, begin with BX1 and have none: they are checked
against every key.

Base32 without padding uses only A–Z and 2–7, which QR codes pack as alphanumeric (5.5 bits a character) and which every
keyboard scanner types correctly. Ed25519 is deterministic, so the same code can be made again at any time and need not
be stored; raising a ticket's revision makes its older codes void.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from shared.domain.tickets.settings import ticket_settings

PREFIX = "BX2"
PREFIX_WITHOUT_KEY_ID = "BX1"
_PAYLOAD_BYTES = 34
_KEY_ID_BYTES = 2


@dataclass(frozen=True, slots=True)
class TicketCode:
    """What a genuine code says."""

    event_id: UUID
    ticket_id: UUID
    revision: int


@lru_cache(maxsize=1)
def signing_key() -> Ed25519PrivateKey:
    """Return the key with which this process signs ticket codes."""
    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(ticket_settings().ticket_signing_key))


@lru_cache(maxsize=1)
def verifying_keys() -> tuple[Ed25519PublicKey, ...]:
    """Return the public keys that codes are checked with: the signing key's own, and earlier or coming ones."""
    current = signing_key().public_key()
    others = [
        Ed25519PublicKey.from_public_bytes(base64.b64decode(text)) for text in ticket_settings().other_ticket_keys
    ]
    return (current, *(key for key in others if key != current))


def key_id(key: Ed25519PublicKey) -> bytes:
    """Return a key's id in codes: the first two bytes of its SHA-256. If two keys share an id, both are tried."""
    return hashlib.sha256(key.public_bytes_raw()).digest()[:_KEY_ID_BYTES]


def sign_code(code: TicketCode, key: Ed25519PrivateKey) -> str:
    """Return the code's text; the same ticket, revision and key always give the same text."""
    payload = _key_id_of(key) + code.event_id.bytes + code.ticket_id.bytes + code.revision.to_bytes(2, "big")
    return PREFIX + _written(payload + key.sign(PREFIX.encode() + payload))


def read_code(text: str, *keys: Ed25519PublicKey) -> TicketCode | None:
    """Return what a code says if one of the keys has signed it, else None."""
    prefix, encoded = text[: len(PREFIX)], text[len(PREFIX) :]
    if prefix not in {PREFIX, PREFIX_WITHOUT_KEY_ID}:
        return None
    named = _KEY_ID_BYTES if prefix == PREFIX else 0
    try:
        signed = base64.b32decode(encoded + "=" * (-len(encoded) % 8))
    except (binascii.Error, ValueError):
        return None
    if _written(signed) != encoded:  # without a key id, the last letter has an unused bit
        return None
    payload, signature = signed[: named + _PAYLOAD_BYTES], signed[named + _PAYLOAD_BYTES :]
    candidates = [key for key in keys if not named or key_id(key) == payload[:named]]
    if not any(_has_signed(key, prefix.encode() + payload, signature) for key in candidates):
        return None
    facts = payload[named:]
    return TicketCode(UUID(bytes=facts[:16]), UUID(bytes=facts[16:32]), int.from_bytes(facts[32:34], "big"))


@lru_cache(maxsize=8)
def _key_id_of(key: Ed25519PrivateKey) -> bytes:
    return key_id(key.public_key())


def _has_signed(key: Ed25519PublicKey, payload: bytes, signature: bytes) -> bool:
    try:
        key.verify(signature, payload)
    except (InvalidSignature, ValueError):
        return False
    return True


def _written(signed: bytes) -> str:
    return base64.b32encode(signed).decode().rstrip("=")
