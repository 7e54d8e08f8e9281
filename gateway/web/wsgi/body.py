"""Bodies under WSGI (PEP 3333): of a request, read or counted; of an answer, ended when its session ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from gateway.errors import ContentTooLarge, MalformedRequest
from gateway.flows.gate import Passage
from gateway.flows.live import Live, seconds_of_grace, why
from gateway.web.asgi_head import Message, Receive
from gateway.web.body_limit import MAX_OWN_BODY
from gateway.web.wsgi.environ import Environ
from gateway.web.wsgi.loop import Here


def receive_from(environ: Environ, here: Here) -> Receive:
    """Return what reads the body as one ASGI message, when it is asked for and not before.

    Of a body that is larger than any that is wanted, so much comes that this is seen.
    """

    async def receive() -> Message:
        return {"type": "http.request", "body": await here(lambda: _read_body(environ)), "more_body": False}

    return receive


def _read_body(environ: Environ) -> bytes:
    """Read a request's body, in the server's own thread. Raises `MalformedRequest` when it breaks off."""
    announced = environ.get("CONTENT_LENGTH")
    ends = bool(environ.get("wsgi.input_terminated"))  # so that even a body without a length may be read to its end
    if not announced and not ends:
        if "HTTP_TRANSFER_ENCODING" in environ:
            raise MalformedRequest("the server does not tell where a chunked body ends")
        return b""
    wanted = min(int(announced), MAX_OWN_BODY + 1) if announced else MAX_OWN_BODY + 1
    try:
        body: bytes = environ["wsgi.input"].read(wanted)
    except Exception as error:  # noqa: BLE001 -- every server has exceptions of its own for this
        raise MalformedRequest(f"the body could not be read ({type(error).__name__})") from None
    if announced and len(body) < wanted:
        raise MalformedRequest("the client hung up within the body")
    return body


class LimitedInput:
    """A request body that ends in `ContentTooLarge` beyond its limit (PEP 3333, "Input and Error Streams").

    Where a length was announced it has been checked; this is for bodies that come in chunks.
    """

    def __init__(self, body: Any, limit: int) -> None:
        self._body = body
        self._left = limit

    def read(self, size: int = -1) -> bytes:
        """Read up to so many bytes; a negative number reads all."""
        return self._count(self._body.read(self._left + 1 if size < 0 else size))

    def readline(self, size: int = -1) -> bytes:
        """Read a line, or as much of it."""
        return self._count(self._body.readline(self._left + 1 if size < 0 else size))

    def readlines(self, hint: int = -1) -> list[bytes]:
        """Read all lines."""
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def _count(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise ContentTooLarge("a request body of more bytes than the route allows")
        return data


class ToldBody:
    """The body of an answer, with a word when it is complete.

    What the app does when it is closed after that (PEP 3333, "close()") is its own affair, and takes its own time.
    """

    def __init__(self, body: Iterable[bytes], at_end: Callable[[], None]) -> None:
        """`at_end` is called once: after the last chunk, or when the server gives up."""
        self._body = body
        self._chunks = iter(body)
        self._at_end: Callable[[], None] | None = at_end

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._chunks)
        except StopIteration:
            self._finish()
            raise

    def close(self) -> None:
        """Close the app's body; servers always call this."""
        self._finish()
        close: Callable[[], None] | None = getattr(self._body, "close", None)
        if close is not None:
            close()

    def _finish(self) -> None:
        at_end, self._at_end = self._at_end, None
        if at_end is not None:
            at_end()


class LiveBody(ToldBody):
    """The body of an answer, given out as long as its session lives; then it breaks off, and the server with it.

    A thread that waits for the app's next chunk cannot be interrupted: the chunk is made, and not given out.
    """

    asked = None

    def __init__(self, body: Iterable[bytes], at_end: Callable[[], None], passage: Passage, live: Live) -> None:
        super().__init__(body, at_end)
        self.passage: Passage | None = passage
        self._live = live
        self._begun_at = time.monotonic()
        self._code: int | None = None
        live.opened.add(self)

    def end(self, code: int) -> None:
        """Give out nothing more, once the grace is over."""
        self._code = code

    def __next__(self) -> bytes:
        chunk = super().__next__()
        if self._code is not None and not seconds_of_grace(self._begun_at, time.monotonic()):
            raise why(self._code)
        return chunk

    def _finish(self) -> None:
        self._live.opened.discard(self)
        super()._finish()
