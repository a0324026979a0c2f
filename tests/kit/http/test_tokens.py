"""The verifier of tokens alone: it uses the issuer's keys, whatever else the issuer publishes."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from infra.local.services.issuer import Issuer, SigningKey
from infra.local.tokens import claims_for
from shared.kit.http.problems import DependencyDown, InvalidToken
from shared.kit.http.tokens import TokenVerifier
from shared.kit.settings.group import load
from shared.kit.settings.http import HttpSettings
from tests.factories import at_once

KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
LOOK = 2  # two documents: the issuer's description of itself, and its keys


class OddIssuer(Issuer):
    """An issuer that publishes `others` in addition to its own key, and counts how often it is asked."""

    others: list[Any]
    spoilt: Any = None
    asked = 0

    def documents(self) -> dict[str, Any]:
        documents = super().documents()
        self.asked += 1
        if self.spoilt is not None:
            return documents | {"/jwks.json": self.spoilt}
        documents["/jwks.json"]["keys"] = [*self.others, *documents["/jwks.json"]["keys"]]
        return documents


@pytest.fixture
def odd_issuer():
    issuer = OddIssuer()
    issuer.others = []
    issuer.start()
    yield issuer
    issuer.stop()


class Clock:
    """A clock that stands until it is set."""

    seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


def verifier_for(issuer: Issuer, *, clock: Callable[[], float] = time.monotonic, **changes: str) -> TokenVerifier:
    environment = {
        "ENVIRONMENT": "local",
        "PUBLIC_URL": "http://localhost",
        "DATABASE_URL": "postgresql://localhost/x",
        "AzureWebJobsStorage": "UseDevelopmentStorage=true",
        "OIDC_ISSUER": issuer.url,
        "TICKET_SIGNING_KEY": KEY,
        "ORDER_LINK_KEY": KEY,
    }
    return TokenVerifier(load(HttpSettings, environment | changes), clock=clock)


def test_a_token_says_who_somebody_is(odd_issuer):
    identity = verifier_for(odd_issuer).verify(odd_issuer.token("Ada@Example.com", name="Ada"))
    assert (identity.email, identity.name, identity.email_verified) == ("ada@example.com", "Ada", True)
    assert (identity.issuer, identity.is_super_admin) == (odd_issuer.url, False)


@pytest.mark.parametrize(
    "other",
    [
        {"kty": "AKP", "kid": "post-quantum", "alg": "ML-DSA-65", "pub": "AAAA"},
        {"kty": "OKP", "crv": "X448", "kid": "unknown-curve", "x": "AAAA"},
        {"kty": "EC", "crv": "P-256", "kid": "not-on-the-curve", "x": "AAAA", "y": "AAAA"},
        {"kty": "RSA", "kid": "no-modulus"},
        {"kty": "RSA", "kid": 7, "n": "AQAB", "e": "AQAB"},
        {"kty": "oct", "kid": "symmetric", "k": "AAAA"},
        {"kid": "no-kind"},
        {},
        "a word",
        None,
        {"kty": "EC", "kid": None},
    ],
    ids=repr,
)
def test_a_published_key_that_we_cannot_use_spoils_no_other(other, odd_issuer):
    odd_issuer.others = [other]
    assert verifier_for(odd_issuer).verify(odd_issuer.token("ada@example.com")).email == "ada@example.com"


def test_a_key_for_encryption_signs_nothing(odd_issuer):
    other = SigningKey.generate()
    odd_issuer.others = [other.jwk | {"use": "enc"}]
    claims = claims_for("ada@example.com", issuer=odd_issuer.url)
    with pytest.raises(InvalidToken):
        verifier_for(odd_issuer).verify(odd_issuer.sign(claims, key=other, headers={"kid": other.kid}))


def test_a_symmetric_algorithm_in_the_settings_opens_nothing(odd_issuer):
    lax = verifier_for(odd_issuer, OIDC_ALGORITHMS="HS256, none")
    with pytest.raises(InvalidToken):
        lax.verify(odd_issuer.token("ada@example.com"))


def forge(issuer, verifier, number):
    claims = claims_for("ada@example.com", issuer=issuer.url)
    with pytest.raises(InvalidToken):
        verifier.verify(issuer.sign(claims, headers={"kid": f"forged-{number}"}))


def test_forged_key_ids_do_not_make_us_ask_the_issuer_each_time(odd_issuer, clock):
    verifier = verifier_for(odd_issuer, clock=clock)
    verifier.verify(odd_issuer.token("ada@example.com"))
    asked = odd_issuer.asked
    for number in range(50):
        forge(odd_issuer, verifier, number)
    assert odd_issuer.asked - asked == 3 * LOOK
    clock.seconds += 29
    forge(odd_issuer, verifier, 50)
    assert odd_issuer.asked - asked == 3 * LOOK
    clock.seconds += 2
    for number in range(51, 60):
        forge(odd_issuer, verifier, number)
    assert odd_issuer.asked - asked == 4 * LOOK


def test_forged_key_ids_from_many_threads_ask_no_more(odd_issuer, clock):
    verifier = verifier_for(odd_issuer, clock=clock)
    verifier.verify(odd_issuer.token("ada@example.com"))
    asked = odd_issuer.asked
    at_once(16, lambda number: forge(odd_issuer, verifier, number))
    assert odd_issuer.asked - asked == 3 * LOOK


def test_a_new_key_works_with_its_first_token_and_the_old_one_no_more(odd_issuer, clock):
    verifier = verifier_for(odd_issuer, clock=clock)
    old = odd_issuer.token("ada@example.com")
    verifier.verify(old)
    odd_issuer.rotate()
    asked = odd_issuer.asked
    assert verifier.verify(odd_issuer.token("ada@example.com")).email == "ada@example.com"
    assert odd_issuer.asked - asked == LOOK
    with pytest.raises(InvalidToken):
        verifier.verify(old)


def test_a_new_key_is_found_in_spite_of_forged_ones_within_half_a_minute(odd_issuer, clock):
    verifier = verifier_for(odd_issuer, clock=clock)
    verifier.verify(odd_issuer.token("ada@example.com"))
    for number in range(10):
        forge(odd_issuer, verifier, number)
    odd_issuer.rotate()
    with pytest.raises(InvalidToken):
        verifier.verify(odd_issuer.token("ada@example.com"))
    clock.seconds += 31
    forge(odd_issuer, verifier, 11)  # one thread fetches the key for all
    assert verifier.verify(odd_issuer.token("ada@example.com")).email == "ada@example.com"


def test_a_key_that_is_no_longer_published_dies_though_no_new_one_is_asked_for(odd_issuer, clock):
    verifier = verifier_for(odd_issuer, clock=clock)
    old = odd_issuer.token("ada@example.com")
    verifier.verify(old)
    odd_issuer.rotate()
    clock.seconds += 599
    assert verifier.verify(old).email == "ada@example.com"
    clock.seconds += 2
    with pytest.raises(InvalidToken):
        verifier.verify(old)


def test_while_the_issuer_is_away_known_keys_go_on_working_for_a_day(odd_issuer, clock):
    verifier = verifier_for(odd_issuer, clock=clock)
    token = odd_issuer.token("ada@example.com")
    verifier.verify(token)
    odd_issuer.stop()
    clock.seconds += 24 * 3600 - 1
    assert verifier.verify(token).email == "ada@example.com"
    clock.seconds += 2
    with pytest.raises(DependencyDown):
        verifier.verify(token)
    odd_issuer.start()
    clock.seconds += 3
    assert verifier.verify(token).email == "ada@example.com"


@pytest.mark.parametrize("spoilt", [{"keys": None}, {"keys": 7}, [], "words", {}], ids=repr)
def test_a_malformed_answer_takes_no_key_away(spoilt, odd_issuer, clock):
    verifier = verifier_for(odd_issuer, clock=clock)
    token = odd_issuer.token("ada@example.com")
    verifier.verify(token)
    odd_issuer.spoilt = spoilt
    clock.seconds += 601
    assert verifier.verify(token).email == "ada@example.com"


def test_an_issuer_that_never_answered_is_a_dependency_down_and_no_bad_token(odd_issuer):
    token = odd_issuer.token("ada@example.com")
    odd_issuer.stop()
    with pytest.raises(DependencyDown):
        verifier_for(odd_issuer).verify(token)


@pytest.mark.parametrize(
    ("setting", "claims", "admin"),
    [
        ("roles=super_admin", {"roles": ["super_admin"]}, True),
        ("roles=super_admin", {"roles": "super_admin"}, True),
        ("roles=super_admin", {"roles": "super_admin2"}, False),
        ("roles=super_admin", {"role": "super_admin"}, False),
        ("roles=super_admin", {"roles": {"super_admin": 1}}, False),
        ("", {"": ""}, False),
        ("", {"roles": ["super_admin"]}, False),
    ],
)
def test_a_claim_makes_a_super_admin_only_as_the_settings_say(setting, claims, admin, odd_issuer):
    verifier = verifier_for(odd_issuer, OIDC_SUPER_ADMIN_CLAIM=setting)
    token = odd_issuer.token("ada@example.com", roles=None)
    assert verifier.verify(token).is_super_admin is False
    assert verifier.verify(odd_issuer.token("ada@example.com", **{"roles": None} | claims)).is_super_admin is admin


@pytest.mark.parametrize("email", ["a\0b@example.com", "\ud800@example.com", 7, None, ["a@example.com"]])
def test_an_address_that_cannot_be_one_is_none(email, odd_issuer):
    claims = claims_for("ada@example.com", issuer=odd_issuer.url) | {"email": email}
    assert verifier_for(odd_issuer).verify(odd_issuer.sign(claims)).email is None


@pytest.mark.parametrize("subject", ["a\0b", "\udfff", "", "x" * 256])
def test_a_subject_that_cannot_be_kept_is_refused(subject, odd_issuer):
    claims = claims_for("ada@example.com", issuer=odd_issuer.url) | {"sub": subject}
    with pytest.raises(InvalidToken):
        verifier_for(odd_issuer).verify(odd_issuer.sign(claims))
