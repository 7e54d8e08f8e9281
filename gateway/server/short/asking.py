"""The HTTP protocol of our own server, where fronts ask: a check that may be answered at once is.

Everything else goes to the parser, and from there to the app.
"""

from __future__ import annotations

from typing import ClassVar, Final

from gateway.server.client_connection import REST
from gateway.server.protocol import StrictHttpProtocol
from gateway.server.short.checks import Checks, WaitingCheck

MOST_AT_ONCE: Final = 16
"""Checks of one connection that are answered in one go, before others have their turn; the rest go to the app."""


class ChecksProtocol(StrictHttpProtocol):
    """One connection, maybe of a front that asks on it."""

    asked: ClassVar[Checks | None] = None  # what answers checks; None: the app
    _dated: ClassVar[tuple[object, bytes]] = (None, b"")
    _check: WaitingCheck | None = None  # the one in hand, while the store is being asked
    _last_check = False  # the connection ends with it

    # The event loop's side

    def data_received(self, data: bytes) -> None:
        """Answer what are plainly checks; feed the parser with anything else."""
        if self.asked is None or not data.startswith(self.asked.begins) or not self._take_checks(data, self.asked):
            super().data_received(data)

    def _take_checks(self, data: bytes, asked: Checks) -> bool:
        """Take one check after the other; returns whether the first was one that may be."""
        if self._phase != REST or self._ending or self._waiting or self._dropping:
            return False
        at, size = 0, len(data)
        for _ in range(MOST_AT_ONCE):
            if at == size or not self._may_begin() or not data.startswith(asked.begins, at):
                break
            end = data.find(b"\r\n\r\n", at) + 4
            if end < 4 or not asked.take(self, data[at:end]):
                break
            self._served = True
            self._since = self.loop.time()
            at = end
        if 0 < at < size:
            self._parse(data, at)
        return at > 0

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is in hand."""
        check, self._check = self._check, None
        if check is not None:
            check.abandon()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """End after the check in hand."""
        if self._check is not None:
            self._last_check = True
        else:
            super().shutdown()

    # The check's side

    @property
    def peer(self) -> str | None:
        """The address of the other end."""
        return self.client[0] if self.client else None

    @property
    def spoken(self) -> str:
        """The scheme that is spoken."""
        return self.scheme or "http"

    def date_field(self) -> bytes:
        """Return the line that dates an answer."""
        headers = self.server_state.default_headers
        if self._dated[0] is not headers:  # made anew every second
            type(self)._dated = headers, b"".join([b"%b: %b\r\n" % field for field in headers])
        return self._dated[1]

    def check_fields(self) -> bytes:
        """Return the lines of a yes that are the server's own."""
        return self.date_field() + b"connection: close\r\n" if self._last_check else self.date_field()

    def wait_for(self, check: WaitingCheck) -> None:
        """Take nothing more until the check ends."""
        self._check = check

    def end_check(self) -> None:
        """Go on with what was pipelined, wait for the next request, or close."""
        self._check = None
        if self.transport.is_closing():
            return
        self._since = self.loop.time()
        if self._last_check:
            self._end()
        elif self._waiting:
            self._go_on_soon()

    def leave_check(self, data: bytes) -> None:
        """Have the app answer it."""
        self._check = None
        if self.transport.is_closing():
            return
        if self._last_check:
            self._waiting = b""  # what is behind it comes too late
            self._note_waiting(unread=0)
        if self._waiting:
            self._waiting, self._parsed = data + self._waiting[self._parsed :], 0
            self._go_on_soon()
        else:
            self._parse(data)
        if self._last_check:
            self._last_of_connection()

    def _is_free(self) -> bool:
        return self._check is None and super()._is_free()

    def _last_of_connection(self) -> None:
        self._last_check = True
        super()._last_of_connection()
