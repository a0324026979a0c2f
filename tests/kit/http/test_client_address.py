"""Whose request it is: told by our own proxies, never by the client."""

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
    ],
)
def test_the_address_is_the_one_that_the_outermost_trusted_proxy_saw(forwarded_for, hops, address):
    assert client_address({"x-forwarded-for": forwarded_for}, trusted_hops=hops) == address


def test_without_the_header_the_address_is_not_known():
    assert client_address({}, trusted_hops=1) == UNKNOWN
