"""The app behind every proxy: as small as an HTTP server can be, so that the proxies are what is measured.

    python -m benchmarks.servers.app PORT

| request                  | answer                                                     |
|--------------------------|------------------------------------------------------------|
| `GET /bench/headers`     | the request head as it arrived, as text                    |
| `GET /bench/socket`      | 101, then a WebSocket that echoes frames below 126 bytes   |
| any other, without body  | 1 KiB                                                      |
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import hashlib
import re
import socket
import sys
from typing import Any, cast

import uvloop

HEADERS, SOCKET = "/bench/headers", "/bench/socket"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n" + b"x" * 1024
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_KEY = re.compile(rb"\r\nsec-websocket-key: *([^\r ]+)", re.IGNORECASE)


class Answerer(asyncio.Protocol):
    """Answers each request head."""

    def __init__(self) -> None:
        self._rest = b""
        self._tunnel = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Count the heads that are complete, and answer each."""
        data = self._rest + data
        if self._tunnel:
            self._rest = self._echo(data)
            return
        heads = data.count(b"\r\n\r\n")
        self._rest = data[data.rfind(b"\r\n\r\n") + 4 :] if heads else data
        if heads:
            special = data.startswith(b"GET /bench/")
            self._transport.write(self._answer(data) if special else ANSWER * heads)

    def _answer(self, head: bytes) -> bytes:
        if head.startswith(f"GET {HEADERS}".encode()):
            return b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(head) + head
        key = _KEY.search(head)
        if key is None or not head.startswith(f"GET {SOCKET}".encode()):
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        self._tunnel = True
        accept = base64.b64encode(hashlib.sha1(key.group(1) + _GUID).digest())
        return (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )

    def _echo(self, data: bytes) -> bytes:
        """Send back each frame that is complete, unmasked; returns what is left."""
        while len(data) >= 6 and len(data) >= (end := 6 + (data[1] & 127)):
            mask, payload = data[2:6], data[6:end]
            plain = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
            self._transport.write(bytes((data[0], len(plain))) + plain)
            data = data[end:]
        return data


async def serve(port: int) -> None:
    """Serve until killed. Whoever waits is accepted at once: uvloop's own server takes one connection a turn."""
    loop = asyncio.get_running_loop()
    listener = socket.create_server(("127.0.0.1", port), backlog=4096)
    listener.setblocking(False)
    opening: set[asyncio.Task[Any]] = set()

    def accept() -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                sock, _ = listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                task = loop.create_task(loop.connect_accepted_socket(Answerer, sock))
                opening.add(task)
                task.add_done_callback(opening.discard)

    loop.add_reader(listener, accept)
    gc.disable()  # nothing here makes cycles worth a pause
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
