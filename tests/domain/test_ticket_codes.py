"""Ticket codes (R-TKT-1): genuine codes can be read with only the public key; nothing else can."""

import base64
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.domain.tickets import codes
from shared.domain.tickets.codes import PREFIX, TicketCode, read_code, sign_code

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key()
CODE = TicketCode(
    UUID("01a1f996-9018-7324-ae43-1d3786128edc"), UUID("01a1f996-90a8-730c-a0c5-75a9487c448c"), revision=1
)
TEXT = sign_code(CODE, KEY)


def test_a_genuine_code_says_its_event_its_ticket_and_its_revision():
    assert read_code(TEXT, PUBLIC) == CODE


def test_the_same_ticket_always_has_the_same_code_and_another_revision_another():
    assert sign_code(CODE, KEY) == TEXT
    assert sign_code(TicketCode(CODE.event_id, CODE.ticket_id, 2), KEY) != TEXT


def test_a_code_is_made_of_what_qr_codes_pack_tightly_and_keyboards_type_right():
    assert TEXT.startswith(PREFIX)
    assert set(TEXT.removeprefix(PREFIX)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
    assert len(TEXT) == 163


def test_a_code_with_any_one_character_changed_is_not_genuine():
    for at in range(len(TEXT)):
        for changed in "AQR7":
            if changed != TEXT[at]:
                assert read_code(TEXT[:at] + changed + TEXT[at + 1 :], PUBLIC) is None, (at, changed)


# Signed by the same key before codes had key ids: buyers hold such tickets, and they stay valid.
OLD_TEXT = (
    "BX1AGQ7TFUQDBZSJLSDDU3YMEUO3QA2D6MWSCUHGDFAYV22SSD4ISGAAAMUMDLXHAFE2XL5N5MZR65MP"
    "JRFZBHXBVLNVJGSD4WE3LCDHJ4DNFVY23CHVYL6AHGVPITJW63VKZTLXVKPFF36MXB2ZTFP2TB2C6ZQK"
)


def test_a_code_without_a_key_id_is_genuine_as_long_as_its_key_is_there():
    others = [Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32).public_key() for n in range(3)]
    assert read_code(OLD_TEXT, *others, PUBLIC) == CODE
    assert read_code(OLD_TEXT, *others) is None
    assert read_code(OLD_TEXT) is None


@pytest.mark.parametrize("text", [TEXT, OLD_TEXT], ids=["with key id", "without"])
def test_a_code_has_one_way_to_be_written(text):
    """The last letter may carry a bit that is not signed; only the letter that we write is accepted."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    genuine = [letter for letter in letters if read_code(text[:-1] + letter, PUBLIC)]
    assert genuine == [text[-1]]


# --- several keys ---------------------------------------------------------------------------------------------------

NEW_KEY = Ed25519PrivateKey.from_private_bytes(bytes(reversed(range(32))))


def test_a_code_is_held_against_the_key_that_it_names_alone(monkeypatch):
    tried = []
    has_signed = codes._has_signed

    def note(key, *rest):
        tried.append(key)
        return has_signed(key, *rest)

    monkeypatch.setattr(codes, "_has_signed", note)
    assert read_code(TEXT, NEW_KEY.public_key(), PUBLIC) == CODE
    assert tried == [PUBLIC]


def test_a_code_of_a_key_that_was_taken_away_is_not_genuine():
    assert read_code(TEXT, NEW_KEY.public_key()) is None
    assert read_code(sign_code(CODE, NEW_KEY), NEW_KEY.public_key(), PUBLIC) == CODE


def renamed(text, key):
    """The same code with another key's id, as a forger would write it."""
    raw = base64.b32decode(text[3:] + "=" * (-len(text[3:]) % 8))
    return codes.PREFIX + base64.b32encode(codes.key_id(key) + raw[2:]).decode().rstrip("=")


def test_a_forger_who_names_a_known_key_is_not_believed():
    forged = sign_code(CODE, Ed25519PrivateKey.from_private_bytes(bytes(32)))
    for key in (PUBLIC, NEW_KEY.public_key()):
        assert read_code(renamed(forged, key), PUBLIC, NEW_KEY.public_key()) is None
    # A genuine code is refused too if it names another key, or none.
    assert read_code(renamed(TEXT, NEW_KEY.public_key()), PUBLIC, NEW_KEY.public_key()) is None
    raw = base64.b32decode(TEXT[3:])
    without = codes.PREFIX_WITHOUT_KEY_ID + base64.b32encode(raw[2:]).decode().rstrip("=")
    assert read_code(without, PUBLIC) is None


def test_two_keys_of_one_id_are_both_tried(monkeypatch):
    monkeypatch.setattr(codes, "key_id", lambda _: b"xx")
    codes._key_id_of.cache_clear()
    text = sign_code(CODE, KEY)
    codes._key_id_of.cache_clear()
    assert read_code(text, NEW_KEY.public_key(), PUBLIC) == CODE


def test_a_code_of_another_key_is_not_genuine():
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    assert read_code(sign_code(CODE, other), PUBLIC) is None
    assert read_code(TEXT, other.public_key()) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "BX2",
        TEXT[:-1],
        TEXT + "A",
        TEXT[3:],
        TEXT.lower(),
        "BX1" + TEXT[3:],
        "BX3" + TEXT[3:],
        TEXT + "=",
        " " + TEXT,
        "BX2é",
        "BX2=",
    ],
)
def test_what_is_no_code_is_not_genuine(text):
    assert read_code(text, PUBLIC) is None
