"""The address of a request: our own proxies tell it, never the client."""

import pytest

from shared.kit.http.client_address import UNKNOWN, client_address


@pytest.mark.parametrize(
    ("forwarded_for", "hops", "address"),
    [
        ("203.0.113.7", 1, "203.0.113.7"),
        ("203.0.113.7:52144", 1, "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7:52144", 1, "203.0.113.7"),  # the first one came with the request
        ("6.6.6.6, 203.0.113.7, 10.0.0.9:1", 2, "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", 1, "2001:db8:1:2::/64"),
        ("[2001:db8:1:2:ffff::1]:443", 1, "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", 1, "203.0.113.7"),
        ("203.0.113.7", 2, UNKNOWN),
        ("203.0.113.7", 0, UNKNOWN),
        ("'; DROP TABLE users", 1, UNKNOWN),
        ("", 1, UNKNOWN),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", 1, "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", 1, "2001:db8:1:3::/64"),
        ("2001:DB8:1:2:0:0:0:1", 1, "2001:db8:1:2::/64"),  # another spelling is the same client
        ("[::ffff:203.0.113.7]:443", 1, "203.0.113.7"),
        ("::ffff:cb00:7107", 1, "203.0.113.7"),
        ("2002:cb00:7107:abcd::1", 1, "203.0.113.7"),  # 6to4: 65,536 networks of one IPv4 address
        ("fe80::1%eth0", 1, "fe80::/64"),
        ("fe80::1%made-up", 1, "fe80::/64"),
    ],
)
def test_the_address_is_the_one_that_the_outermost_trusted_proxy_saw(forwarded_for, hops, address):
    assert client_address({"x-forwarded-for": forwarded_for}, trusted_hops=hops) == address


@pytest.mark.parametrize(
    ("forwarded_for", "hops"),
    [
        ("203.0.113.7,", 1),
        (",", 2),
        ("203.0.113.7, , 10.0.0.9", 2),
        ("010.0.0.1", 1),
        ("203.0.113", 1),
        ("203.0.113.7.", 1),
        ("0xcb007107", 1),
        ("3405803783", 1),
        ("２０３.0.113.7", 1),
        ("203.0.113.7/24", 1),
        ("[2001:db8::1", 2),
        ("[]:443", 1),
        ("]", 1),
        ("unknown", 1),
        ("_hidden", 1),
        ("localhost", 1),
        ("for=203.0.113.7", 1),
        ("203.0.113.7\r\nX-Forwarded-For: 6.6.6.6", 1),
        ("\x00", 1),
        ("," * 60_000, 1),
    ],
)
def test_what_is_no_address_counts_as_one_unknown_client(forwarded_for, hops):
    assert client_address({"x-forwarded-for": forwarded_for}, trusted_hops=hops) == UNKNOWN


@pytest.mark.parametrize("invented", ["6.6.6.6", "::1", "127.0.0.1, 10.0.0.1", "x" * 10_000, ",,,", "203.0.113.8:1"])
@pytest.mark.parametrize("hops", [1, 2])
def test_whatever_a_client_invents_it_stays_the_same_client(invented, hops):
    seen = ", ".join(["203.0.113.7:52144", "10.0.0.9:1"][:hops])
    assert client_address({"x-forwarded-for": f"{invented}, {seen}"}, trusted_hops=hops) == "203.0.113.7"


def test_without_the_header_the_address_is_not_known():
    assert client_address({}, trusted_hops=1) == UNKNOWN
