"""The HTTP protocol of our own server, as far as requests are read that may take the short way.

What comes again is known by its bytes, and no parser sees it: a header block of the plain kind, with a counted body
behind it or none. The parser reads all else, but for the bodies: a counted one that is large only passes through.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Final

from gateway.server.client_connection import BODY, REST
from gateway.server.protocol import LARGE_HEAD
from gateway.server.short.asking import ChecksProtocol
from gateway.server.short.entry import ShortWay
from gateway.server.short.exchange import ShortExchange
from gateway.server.short.header_block import cut_count
from gateway.server.short.learned import LearnedBlock

LARGE: Final = 64 * 1024
"""Bytes of a counted body from which on it goes past the parser, whoever has read the head."""
_WITHOUT_BODY: Final = (b"GET ", b"HEAD ")
"""How requests begin that have none, usually; where they do, the parser has them."""


class ReadingProtocol(ChecksProtocol):
    """One client connection, whose requests are read."""

    short_way: ClassVar[ShortWay]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._exchange: ShortExchange | None = None  # the request in hand, if it is on the short way
        self._body_taker: Callable[..., None] | None = None  # where the body under way goes; None: to the app
        self._keep_alive = True
        self._block: LearnedBlock | None = None  # of the last request; only while the connection is at rest
        self._straight = False  # the body of the request in hand goes past the parser
        self._early = b""  # what came after a request for a WebSocket

    # The event loop's side

    def data_received(self, data: bytes) -> None:
        """Take a request with a header block of the plain kind at once; feed the parser with anything else."""
        block, self._block = self._block, None
        if block is not None and data.endswith(block.raw) and self._take_learned(block, data):
            return
        if self._ending or self._waiting or self._dropping:
            super().data_received(data)
        elif self._straight:
            self._take_straight(data)
        elif self._to_websocket:
            self._keep_for_tunnel(data)
        elif self._phase != REST or not self._take_plain(data):
            super().data_received(data)

    def _parse(self, data: bytes, at: int = 0) -> None:
        super()._parse(data, at)
        if self._exchange is not None:
            self._exchange.flush()
            body = self._exchange.body
            if self._body_taker is not None and body is not None and body.left >= LARGE:
                self._straight = True
                self._renew_parser()  # the old one waits for this body

    def _take_learned(self, block: LearnedBlock, data: bytes) -> bool:
        exchange = self.short_way.take_learned(self, block, data[: -len(block.raw)])  # type: ignore[arg-type]  # a subclass
        if exchange is None:
            return False
        if not exchange.done:
            self._exchange = exchange
        self._keep_alive = self._served = True
        return True

    def _take_plain(self, data: bytes) -> bool:
        """Take a request with a header block of the plain kind, and nothing behind it but a counted body."""
        if self.asked is not None and data.startswith(self.asked.begins):
            return False
        begin = data.find(b"\r\n")
        end = data.find(b"\r\n\r\n", begin) + 4
        if end < 4 or not self._may_begin():
            return False
        cut = None if data.startswith(_WITHOUT_BODY) else cut_count(data, begin, end)
        if cut is not None:
            return self._take_counted(data, begin, end, *cut)
        if end < len(data):
            return False
        block = self.short_way.read_block(data[begin:], self.peer, self.scheme or "http")
        return block is not None and self._take_learned(block, data)

    def _take_counted(self, data: bytes, begin: int, end: int, raw: bytes, length: int) -> bool:
        """Take a request with a counted body, as far as that is here."""
        if end > LARGE_HEAD:  # while its body is waited for it counts as something that waits
            return False
        block = self.short_way.read_block(raw, self.peer, self.scheme or "http", counted=True)
        if block is None or (end < len(data) and not length):
            return False
        self._keep_alive = True
        if length:  # an answer from now on is an early one
            self._phase, self._body_taker = BODY, _nobody
        exchange = self.short_way.take_learned(self, block, data[:begin], length)  # type: ignore[arg-type]  # a subclass
        if exchange is None:
            self._phase, self._body_taker = REST, None
            return False
        self._served = True
        if not exchange.done:
            self._exchange = exchange
        if length and not exchange.done:
            self._straight, self._body_taker = True, exchange.take_body
            self._barren, self._came, self._since = 0, 0, self.loop.time()
            self._body_since = self._since
            if end < len(data):
                self._take_straight(data[end:])
        return True

    def _take_straight(self, data: bytes) -> None:
        """Pass on some of a counted body, past the parser, which would only copy it."""
        exchange = self._exchange
        if exchange is None or exchange.body is None or exchange.done:  # the connection is about to end
            return
        self._note_body(len(data))
        left = exchange.body.left
        if len(data) < left:
            exchange.take_body(data, last=False)
            exchange.flush()
            return
        self._straight = False
        exchange.take_body(data[:left], last=True)
        self._phase, self._body_taker = REST, None
        exchange.flush()
        if len(data) > left:
            self._parse(data, left)

    def _give_up_body(self) -> None:
        if self._exchange is not None:  # whose head the parser may never have seen; who asks stands there
            self.headers = list(self._exchange.head().headers)
        super()._give_up_body()

    @abstractmethod
    def _keep_for_tunnel(self, data: bytes) -> None:
        """Keep what came behind a request for a WebSocket."""


def _nobody(_: bytes, *, last: bool) -> None:
    """Stand for whoever takes a body, until it is known who does."""
