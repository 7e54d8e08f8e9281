"""A connection that a balancer makes for somebody else: its first words say for whom (PROXY protocol).

Only whom `trusted_proxies` lists is heard; anybody else could be whoever they like. From there on the connection is the
client's: it counts for it, and what it says of further proxies is believed only if it is trusted itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from gateway.core.proxy_protocol import read_proxy_header
from gateway.errors import MalformedRequest
from gateway.server.arriving import Arriving, Reception


class AnnouncedConnection(Arriving):
    """One such connection. `make` is called for what comes next, once it is known for whom it is."""

    def __init__(self, make: Callable[[], Any], reception: Reception) -> None:
        super().__init__(reception)
        self._make = make
        self._read = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, if it comes from a balancer of ours."""
        super().connection_made(transport)
        if not transport.is_closing() and not self.guard.trusts(self.address):
            self._refuse("it is not in trusted_proxies")

    def data_received(self, data: bytes) -> None:
        """Take the header, and leave what is behind it to what comes next."""
        if self._raw.is_closing():
            return
        self._read += data
        try:
            announced = read_proxy_header(self._read)
        except MalformedRequest as error:
            self._refuse(str(error))
            return
        if announced is None:
            return
        rest, self._read = self._read[announced.size :], b""
        self.came_from = announced.client
        above = self._make()
        self.pass_on_to(above)
        self._raw.set_protocol(above)
        above.connection_made(self._raw)
        if rest and not self._raw.is_closing():
            above.data_received(rest)

    def _refuse(self, reason: str) -> None:
        self.guard.warn(
            "proxy_protocol_refused",
            client=self.address or "unix",
            reason=reason,
            advice="this listener has `proxy_protocol`: only a balancer in trusted_proxies that sends it may connect",
        )
        self.refuse("connection_not_begun", reason)
