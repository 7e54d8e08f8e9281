"""The app behind the proxies when bodies are measured. It takes as little CPU as can be.

    python -m benchmarks.servers.bodies PORT

`GET /bytes/N` is answered with N bytes, sent from memory; a body sent with `POST` is thrown away, counted, and answered
with its size in bytes as text; `GET /bench/headers` with the request head as it arrived.

One thread for all connections (see `crowd`): what it costs to serve them hardly grows with their number.
"""

from __future__ import annotations

import re
import socket
import sys

from benchmarks.servers.app import HEADERS
from benchmarks.servers.crowd import READABLE, WRITABLE, Crowd, Work

BLOCK = 1 << 17
"""Bytes moved by one system call at most: few enough to stay in the CPU's cache."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_block = memoryview(b"x" * BLOCK)
_nowhere = bytearray(BLOCK)


def send(sock: socket.socket, count: int) -> Work[int]:
    """Send up to `count` bytes from memory; returns how many were taken."""
    while True:
        try:
            return sock.send(_block[:count])
        except BlockingIOError:
            yield WRITABLE


def say(sock: socket.socket, data: bytes) -> Work[None]:
    """Send all of it."""
    while data:
        try:
            data = data[sock.send(data) :]
        except BlockingIOError:
            yield WRITABLE


def discard(sock: socket.socket, count: int) -> Work[int]:
    """Take up to `count` bytes that have come, and throw them away within the kernel; 0 when the peer has closed."""
    while True:
        try:
            # tcp(7): MSG_TRUNC lets received bytes be discarded rather than copied
            return sock.recv_into(_nowhere, min(count, BLOCK), socket.MSG_TRUNC)
        except BlockingIOError:
            yield READABLE


def receive(sock: socket.socket) -> Work[bytes]:
    """Return some bytes that have come; b"" when the peer has closed."""
    while True:
        try:
            return sock.recv(16384)
        except BlockingIOError:
            yield READABLE


def read_head(sock: socket.socket) -> Work[tuple[bytes, bytes]]:
    """Return the head of a message, and what of its body came with it. Two empty ones: the peer has closed."""
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        more = yield from receive(sock)
        if not more:
            return b"", b""
        data += more
    return data[: end + 2], data[end + 4 :]


def read_length(head: bytes) -> int:
    """The Content-Length of a head, in bytes; -1 without one."""
    found = _LENGTH.search(head)
    return int(found.group(1)) if found else -1


def is_chunked(head: bytes) -> bool:
    """Whether the body comes in chunks."""
    return _CHUNKED.search(head) is not None


def serve(sock: socket.socket) -> Work[None]:
    """Answer request after request."""
    while (parts := (yield from read_head(sock))) != (b"", b""):
        yield from _answer(sock, *parts)


def _answer(sock: socket.socket, head: bytes, rest: bytes) -> Work[None]:
    if head.startswith(b"GET /bytes/"):
        count = int(re.split(rb"[ ?]", head[len(b"GET /bytes/") :], maxsplit=1)[0])
        yield from say(sock, b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % count)
        while count:
            count -= yield from send(sock, count)
        return
    if b"\r\nexpect: 100-continue" in head.lower():
        yield from say(sock, b"HTTP/1.1 100 Continue\r\n\r\n")
    if is_chunked(head):
        size = yield from _swallow_chunks(sock, rest)
    else:
        size = yield from _swallow(sock, max(read_length(head), 0), len(rest))
    text = head if head.startswith(f"GET {HEADERS}".encode()) else b"%d" % size
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(text)
    yield from say(sock, answer + text)


def _swallow(sock: socket.socket, length: int, have: int) -> Work[int]:
    while have < length:
        taken = yield from discard(sock, length - have)
        if not taken:
            raise ConnectionError("closed within a body")
        have += taken
    return length


def _swallow_chunks(sock: socket.socket, data: bytes) -> Work[int]:
    """RFC 9112 section 7.1, without trailers."""
    size = 0
    while True:
        line, data = yield from _read_line(sock, data)
        chunk = int(line.split(b";")[0], 16)
        yield from _swallow(sock, chunk, min(chunk, len(data)))
        _, data = yield from _read_line(sock, data[chunk:])  # the end of the chunk's data, or of the body
        if not chunk:
            return size
        size += chunk


def _read_line(sock: socket.socket, data: bytes) -> Work[tuple[bytes, bytes]]:
    while (end := data.find(b"\r\n")) < 0:
        more = yield from receive(sock)
        if not more:
            raise ConnectionError("closed within a body")
        data += more
    return data[:end], data[end + 2 :]


def main() -> None:
    """Serve until killed."""
    crowd = Crowd()

    def accept(listener: socket.socket) -> Work[None]:
        while True:
            yield READABLE
            sock, _ = listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            crowd.add(sock, serve(sock))

    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=4096)
    crowd.add(listener, accept(listener))
    crowd.run(None)


if __name__ == "__main__":
    main()
