"""How many connections an address may have, and what counts as one address."""

from __future__ import annotations

import pytest

from gateway.core.forwarded import TrustedProxies, unmap
from gateway.server.connections import ConnectionGuard

pytestmark = pytest.mark.anyio


class Silent:
    def check(self, now: float) -> None:
        """Nothing to end."""


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        ("192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("192.0.2.7", "::ffff:192.0.2.7", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
    ],
)
async def test_a_network_of_ipv6_is_one_address(first: str, second: str, is_one: bool) -> None:
    guard = ConnectionGuard(1, TrustedProxies(()))
    held = Silent()
    assert guard.admit(held, first)
    assert guard.admit(Silent(), second) is not is_one
    guard.discard(held)
    assert guard.admit(Silent(), first)


def test_an_ipv4_address_is_told_as_one_whatever_the_socket_is() -> None:
    assert unmap("::ffff:192.0.2.7") == "192.0.2.7"
    assert unmap("2001:db8::1") == "2001:db8::1"
    assert unmap("::ffff:c000:207") == "::ffff:c000:207"
