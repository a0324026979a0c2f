"""Amounts keep their value, parts add up, ids sort by time, and changed codes are refused."""

from decimal import Decimal
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.domain.orders.errors import QuantityOutOfRange, SoldOut, TooManyTickets
from shared.domain.orders.lines.offers import Offer
from shared.domain.orders.lines.packages import PACKAGE
from shared.domain.orders.placing.basket import Wanted
from shared.domain.orders.placing.rules import MAX_TICKETS, price_lines, quantities
from shared.domain.tickets.codes import PREFIX, TicketCode, read_code, sign_code
from shared.kit.clock import utc_now
from shared.kit.ids import UNAMBIGUOUS, new_id, random_word
from shared.kit.money import MINOR_DIGITS, decimal_text

amounts = st.integers(min_value=-(10**14), max_value=10**14)


@given(cents=amounts, currency=st.sampled_from(sorted(MINOR_DIGITS)))
def test_an_amount_written_as_a_decimal_keeps_its_value_and_its_digits(cents, currency):
    written, digits = decimal_text(cents, currency), MINOR_DIGITS[currency]
    assert Decimal(written).scaleb(digits) == cents
    assert len(written.partition(".")[2]) == digits
    assert written.isascii()
    assert "E" not in written


def test_amounts_are_written_as_people_write_them():
    written = {
        (10_000, "USD"): "100.00",
        (5, "USD"): "0.05",
        (-5, "USD"): "-0.05",
        (0, "EUR"): "0.00",
        (500, "JPY"): "500",
        (5, "KWD"): "0.005",
    }
    assert {amount: decimal_text(*amount) for amount in written} == written


offers = st.lists(
    st.builds(
        Offer,
        kind=st.just(PACKAGE),
        id=st.uuids(),
        name=st.just("Package"),
        price_cents=st.integers(0, 100_000_000),
        tickets_each=st.integers(1, 100),
        is_enabled=st.just(True),
        min_per_order=st.integers(1, 3),
        max_per_order=st.one_of(st.none(), st.integers(3, 100)),
        sale_starts_at=st.none(),
        sale_ends_at=st.none(),
        remaining=st.one_of(st.none(), st.integers(0, 50)),
        terms=st.just(1),
        options_per=st.just("item"),
        options=st.just(()),
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda offer: offer.id,
)


@given(data=st.data(), known=offers)
def test_an_order_adds_up_and_keeps_to_every_limit_or_is_refused(data, known):
    by_id = {offer.id: offer for offer in known}
    items = data.draw(
        st.lists(
            st.builds(Wanted, kind=st.just(PACKAGE), id=st.sampled_from(list(by_id)), quantity=st.integers(1, 8)),
            min_size=1,
            max_size=8,
        )
    )
    wanted = {
        package_id: sum(item.quantity for item in items if item.id == package_id)
        for package_id in {item.id for item in items}
    }
    fits = all(
        offer.min_per_order <= quantity <= (offer.max_per_order or quantity)
        and quantity <= (quantity if offer.remaining is None else offer.remaining)
        for offer, quantity in ((by_id[package_id], quantity) for package_id, quantity in wanted.items())
    )
    tickets = sum(by_id[package_id].tickets_each * quantity for package_id, quantity in wanted.items())
    try:
        lines = price_lines(items, by_id, now=utc_now())
    except (QuantityOutOfRange, SoldOut, TooManyTickets):
        assert not fits or tickets > MAX_TICKETS
        return
    assert fits
    assert sum(line.ticket_count for line in lines) == tickets <= MAX_TICKETS
    assert quantities(lines) == wanted
    assert [(line.offer.id, line.quantity) for line in lines] == [(i.id, i.quantity) for i in items]
    total = sum(by_id[package_id].price_cents * quantity for package_id, quantity in wanted.items())
    assert sum(line.total_cents for line in lines) == sum(line.subtotal_cents for line in lines) == total


@given(times=st.lists(st.integers(0, 2**48 - 1), min_size=2, max_size=20, unique=True))
def test_ids_made_later_sort_later(times):
    made = []
    for milliseconds in sorted(times):
        with _clock_at(milliseconds):
            made.append(new_id())
    assert made == sorted(made)
    assert [str(one) for one in made] == sorted(str(one) for one in made)
    assert [one.int >> 80 for one in made] == sorted(times)


def _clock_at(milliseconds: int):
    from unittest import mock

    return mock.patch("shared.kit.ids.time.time_ns", return_value=milliseconds * 1_000_000 + 999_999)


def test_ids_are_version_7_of_rfc_9562_and_never_the_same():
    made = [new_id() for _ in range(10_000)]
    assert len(set(made)) == 10_000
    assert {(one.version, one.variant) for one in made} == {(7, "specified in RFC 4122")}


@given(length=st.integers(0, 40))
def test_a_random_word_has_its_length_and_no_letter_that_is_mistaken_for_another(length):
    word = random_word(length)
    assert len(word) == length
    assert set(word) <= set(UNAMBIGUOUS)
    assert not set(UNAMBIGUOUS) & set("01OIL")


keys = st.binary(min_size=32, max_size=32).map(Ed25519PrivateKey.from_private_bytes)
codes = st.builds(TicketCode, st.uuids(), st.uuids(), st.integers(1, 65_535))


@given(code=codes, key=keys)
def test_a_code_comes_back_as_it_was_signed(code, key):
    assert read_code(sign_code(code, key), key.public_key()) == code


@given(code=codes, key=keys, other=keys)
def test_a_code_is_genuine_for_its_own_key_alone(code, key, other):
    assume(key.private_bytes_raw() != other.private_bytes_raw())
    assert read_code(sign_code(code, key), other.public_key()) is None


@given(code=codes, key=keys, data=st.data())
def test_a_code_that_was_tampered_with_is_not_genuine(code, key, data):
    text = sign_code(code, key)
    at = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567=0 a"))
    assume(letter != text[at])
    assert read_code(text[:at] + letter + text[at + 1 :], key.public_key()) is None


@given(text=st.one_of(st.text(max_size=200), st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567=", max_size=200)))
def test_no_text_breaks_the_reader_of_codes(text):
    key = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    assert read_code(text, key) is None
    assert read_code(PREFIX + text, key) is None


def test_a_code_is_read_whoever_made_the_ids():
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    code = TicketCode(UUID(int=0), UUID(int=2**128 - 1), 65_535)
    assert read_code(sign_code(code, key), key.public_key()) == code
