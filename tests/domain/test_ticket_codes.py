"""Ticket codes (R-TKT-1): genuine ones are read with the public key alone, anything else is not."""

from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

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
    assert len(TEXT) == 160


def test_a_code_with_any_one_character_changed_is_not_genuine():
    for at in range(len(TEXT)):
        for changed in "AQR7":
            if changed != TEXT[at]:
                assert read_code(TEXT[:at] + changed + TEXT[at + 1 :], PUBLIC) is None, (at, changed)


def test_a_code_has_one_way_to_be_written():
    """Its last letter carries one bit that nothing signs; only the letter that we write is taken."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
    genuine = [letter for letter in letters if read_code(TEXT[:-1] + letter, PUBLIC)]
    assert genuine == [TEXT[-1]]


def test_a_code_of_another_key_is_not_genuine():
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    assert read_code(sign_code(CODE, other), PUBLIC) is None
    assert read_code(TEXT, other.public_key()) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "BX1",
        TEXT[:-1],
        TEXT + "A",
        TEXT[3:],
        TEXT.lower(),
        "BX2" + TEXT[3:],
        TEXT + "=",
        " " + TEXT,
        "BX1é",
        "BX1=",
    ],
)
def test_what_is_no_code_is_not_genuine(text):
    assert read_code(text, PUBLIC) is None
