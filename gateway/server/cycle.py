"""A request that the ASGI app answers, and its answer: uvicorn's, tied to our connection.

uvicorn's cycle writes to the transport, and closes it, by itself. Here it goes through an `Outlet`, which closes as
gently as the connection does, and writes nothing once the client is gone. Nothing of a cycle leads back to a connection
that has ended: its memory is free at once, without a search for rings of objects.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, cast

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class _UntilClose(int):
    """A Content-Length that every body has, for an answer that ends with its connection (RFC 9112 §6.3)."""

    def __lt__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return False

    def __sub__(self, other: object) -> _UntilClose:
        return self

    __hash__ = int.__hash__


class Answering(Protocol):
    """The connection that an answer goes to."""

    transport: asyncio.Transport

    def end_answer(self) -> None:
        """Close, after what was written."""


class Outlet:
    """What a cycle sees of the transport."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Answering) -> None:
        self._connection: Answering | None = connection

    def write(self, data: bytes) -> None:
        """Send, unless the client is gone."""
        if self._connection is not None and not self._connection.transport.is_closing():
            self._connection.transport.write(data)

    def close(self) -> None:
        """Close, after what was written."""
        if self._connection is not None:
            self._connection.end_answer()

    def is_closing(self) -> bool:
        """Whether nobody hears any more."""
        return self._connection is None or self._connection.transport.is_closing()

    def let_go(self) -> None:
        """Forget the connection, which has ended."""
        self._connection = None


class Cycle(RequestResponseCycle):
    """One request and its answer."""

    def __init__(self, outlet: Outlet, http_version: str, **parts: Any) -> None:
        super().__init__(transport=cast("asyncio.Transport", outlet), message_event=asyncio.Event(), **parts)
        self._outlet = outlet
        if http_version == "1.0":  # it knows no chunks (RFC 9112 §6.1)
            self.chunked_encoding = False
            self.expected_content_length = _UntilClose()

    async def send(self, message: Any) -> None:
        """Send a part of the answer, and wait until it is taken; an early one ends the connection."""
        if self.more_body and not self.response_started:
            self.keep_alive = False
        await super().send(message)
        if self.flow.write_paused and not self.disconnected:  # before the app makes more of it
            await self.flow.drain()

    def let_go(self) -> None:
        """Forget the connection, which has ended."""
        self._outlet.let_go()
        self.on_response = _nothing


class Flow(FlowControl):
    """Who reads on: whoever takes what is read, and only once nothing of it waits here."""

    def __init__(self, transport: asyncio.Transport, go_on: Callable[[], None]) -> None:
        super().__init__(transport)
        self._go_on = go_on
        self._full = False  # something that was read waits to be parsed

    def resume_reading(self) -> None:
        """Read on; first of all what waits."""
        if self.read_paused:
            self.read_paused = False
            if self._full:
                self._go_on()
            else:
                self._transport.resume_reading()

    def pause_reading(self) -> None:
        """Read no more for now."""
        if not self.read_paused:
            self.read_paused = True
            if not self._full:
                self._transport.pause_reading()

    def fill(self) -> None:
        """Note that something waits to be parsed."""
        if not self._full:
            self._full = True
            if not self.read_paused:
                self._transport.pause_reading()

    def empty(self) -> None:
        """Note that nothing waits any more."""
        if self._full:
            self._full = False
            if not self.read_paused:
                self._transport.resume_reading()

    def let_go(self) -> None:
        """Forget the connection, which has ended."""
        self._go_on = _nothing


def _nothing() -> None:
    pass
