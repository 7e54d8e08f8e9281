"""What stands behind a gateway and keeps, byte for byte, whatever reaches it as a request.

`Recorder` is an upstream on a raw socket, which reads by the letter of RFC 9112 and notes as a fault what does not
obey it. `RecordingApp` is the same for a gateway inside an app's own server.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any

from tests.talk import Fields

_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (/[\x21-\x7e]*) HTTP/1\.1")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)")
_LENGTH = re.compile(rb"0|[1-9][0-9]*")


@dataclass
class Seen:
    """A request that has arrived, names and values as received; `whole` once its body is complete."""

    method: bytes
    target: bytes
    fields: Fields
    body: bytes = b""
    whole: bool = False

    @property
    def path(self) -> bytes:
        return self.target.partition(b"?")[0]

    def every(self, name: bytes) -> list[bytes]:
        return [value for field, value in self.fields if field.lower() == name]


Respond = Callable[[Seen], bytes]
Extra = list[tuple[bytes, bytes]]


def ok(seen: Seen, extra: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """A plain answer, of which a HEAD gets the head."""
    head = b"HTTP/1.1 200 OK\r\n" + b"".join(b"%b: %b\r\n" % field for field in extra)
    return head + b"Content-Length: 2\r\n\r\n" + (b"" if seen.method == b"HEAD" else b"ok")


class Recorder:
    """The upstream. It answers with `extra` fields, or as `respond` says.

    `connections` counts what was accepted; `faults` is what was not HTTP to the letter.
    """

    def __init__(self, bound: socket.socket) -> None:
        self.url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        self.respond: Respond | None = None
        self.extra: Extra = []
        self.connections = 0
        self.faults: list[str] = []
        self.requests: list[Seen] = []
        self.transports: set[asyncio.Transport] = set()

    def take(self) -> list[Seen]:
        """Return what arrived since the last time; what is not HTTP to the letter is a failure."""
        assert not self.faults, self.faults
        taken, self.requests = self.requests, []
        return taken

    def reset(self) -> None:
        self.respond, self.extra, self.faults, self.requests = None, [], [], []

    def answer(self, seen: Seen) -> bytes:
        return self.respond(seen) if self.respond is not None else ok(seen, self.extra)


class _Connection(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._unread = b""
        self._request: Seen | None = None  # whose body is being read
        self._left: int | None = 0  # bytes of it still to come; None: chunked

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._recorder.connections += 1
        self._recorder.transports.add(transport)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        try:
            while self._step():
                pass
        except ValueError as fault:
            self._recorder.faults.append(f"{fault}: {self._unread[:2000]!r}")
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._recorder.transports.discard(self.transport)
        if self._unread and self._request is None:
            self._recorder.faults.append(f"a head without end: {self._unread[:2000]!r}")

    def _step(self) -> bool:
        if self._request is None:
            return self._read_head()
        return self._read_chunk(self._request) if self._left is None else self._read_counted(self._request)

    def _read_head(self) -> bool:
        block, end, rest = self._unread.partition(b"\r\n\r\n")
        if not end:
            return False
        first, *lines = block.split(b"\r\n")
        line = _LINE.fullmatch(first)
        fields = [_FIELD.fullmatch(each) for each in lines]
        if line is None or None in fields:
            raise ValueError("no request head")
        self._unread = rest
        self._request = Seen(
            line[1], line[2], tuple((field[1], field[2].strip(b" \t")) for field in fields if field is not None)
        )
        self._left = _judge_framing(self._request)
        self._recorder.requests.append(self._request)
        return True

    def _read_counted(self, request: Seen) -> bool:
        assert self._left is not None
        piece, self._unread = self._unread[: self._left], self._unread[self._left :]
        request.body += piece
        self._left -= len(piece)
        if not self._left:
            self._finish(request)
        return not self._left

    def _read_chunk(self, request: Seen) -> bool:
        line, end, rest = self._unread.partition(b"\r\n")
        if not end:
            return False
        if not re.fullmatch(rb"[0-9a-f]+", line):
            raise ValueError("no chunk size")
        size = int(line, 16)
        if len(rest) < size + 2:
            return False
        if rest[size : size + 2] != b"\r\n":
            raise ValueError("a chunk without end, or a trailer")
        request.body += rest[:size]
        self._unread = rest[size + 2 :]
        if not size:
            self._finish(request)
        return True

    def _finish(self, request: Seen) -> None:
        request.whole = True
        self._request = None
        self.transport.write(self._recorder.answer(request))


def _judge_framing(request: Seen) -> int | None:
    lengths, codings = request.every(b"content-length"), request.every(b"transfer-encoding")
    if len(request.every(b"host")) != 1 or len(lengths) + len(codings) > 1:
        raise ValueError("a request with two readings")
    if codings not in ([], [b"chunked"]) or not all(_LENGTH.fullmatch(length) for length in lengths):
        raise ValueError("a body with two readings")
    return None if codings else int(lengths[0]) if lengths else 0


@contextlib.contextmanager
def record() -> Generator[Recorder]:
    """Serve a recorder on a free port, in a thread with a loop of its own: what came first is noted first."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    with socket.create_server(("127.0.0.1", 0), backlog=256) as bound:
        recorder = Recorder(bound)
        serving = loop.create_server(lambda: _Connection(recorder), sock=bound)
        thread.start()
        server = asyncio.run_coroutine_threadsafe(serving, loop).result(10)
        try:
            yield recorder
        finally:
            asyncio.run_coroutine_threadsafe(_close(server, recorder), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(timeout=10)
            loop.close()


async def _close(server: asyncio.Server, recorder: Recorder) -> None:
    server.close()
    for transport in recorder.transports:
        transport.abort()
    await asyncio.sleep(0)  # in which they hear of it


class RecordingApp:
    """An ASGI app that keeps its requests, headers looked at only once the body has come; `extra` as above."""

    def __init__(self) -> None:
        self.connections = 0
        self.extra: Extra = []
        self.requests: list[Seen] = []

    def take(self) -> list[Seen]:
        taken, self.requests = self.requests, []
        return taken

    def reset(self) -> None:
        self.extra, self.requests = [], []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        self.connections += 1
        if scope["type"] == "websocket":
            self.requests.append(_read_scope(scope, b""))
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close"})
            return
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.requests.append(_read_scope(scope, body))
        headers = [*self.extra, (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})


def _read_scope(scope: Any, body: bytes) -> Seen:
    query = scope["query_string"]
    target = scope["raw_path"] + (b"?" + query if query else b"")
    return Seen(scope.get("method", "GET").encode(), target, tuple(scope["headers"]), body, whole=True)
