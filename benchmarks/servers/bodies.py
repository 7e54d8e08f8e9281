"""The app behind the proxies when bodies are measured. It takes as little CPU as can be.

    python -m benchmarks.servers.bodies PORT

`GET /bytes/N` is answered with N bytes, sent from memory; a body sent with `POST` is thrown away, counted, and answered
with its size in bytes as text; `GET /bench/headers` with the request head as it arrived.

A thread a connection: each sits in one system call that lets the others run.
"""

from __future__ import annotations

import re
import socket
import sys
import threading

from benchmarks.servers.app import HEADERS

BLOCK = 1 << 17
"""Bytes moved by one system call at most: few enough to stay in the CPU's cache."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_block = memoryview(b"x" * BLOCK)
_nowhere = bytearray(BLOCK)


def send(sock: socket.socket, count: int) -> int:
    """Send up to `count` bytes from memory; returns how many were taken."""
    return sock.send(_block[:count])


def discard(sock: socket.socket, count: int) -> int:
    """Take up to `count` bytes that have come, and throw them away within the kernel; 0 when the peer has closed."""
    # tcp(7): MSG_TRUNC lets received bytes be discarded rather than copied
    return sock.recv_into(_nowhere, min(count, BLOCK), socket.MSG_TRUNC)


def read_head(sock: socket.socket) -> tuple[bytes, bytes]:
    """Return the head of a message, and what of its body came with it. Two empty ones: the peer has closed."""
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        more = sock.recv(65536)
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


def _serve(sock: socket.socket) -> None:
    try:
        while (parts := read_head(sock)) != (b"", b""):
            _answer(sock, *parts)
    except OSError:
        pass  # the proxy has gone
    finally:
        sock.close()


def _answer(sock: socket.socket, head: bytes, rest: bytes) -> None:
    if head.startswith(b"GET /bytes/"):
        count = int(re.split(rb"[ ?]", head[len(b"GET /bytes/") :], maxsplit=1)[0])
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % count)
        while count:
            count -= send(sock, count)
        return
    if b"\r\nexpect: 100-continue" in head.lower():
        sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    size = _swallow_chunks(sock, rest) if is_chunked(head) else _swallow(sock, max(read_length(head), 0), len(rest))
    text = head if head.startswith(f"GET {HEADERS}".encode()) else b"%d" % size
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(text) + text)


def _swallow(sock: socket.socket, length: int, have: int) -> int:
    while have < length:
        taken = discard(sock, length - have)
        if not taken:
            raise ConnectionError("closed within a body")
        have += taken
    return length


def _swallow_chunks(sock: socket.socket, data: bytes) -> int:
    """RFC 9112 section 7.1, without trailers."""
    size = 0
    while True:
        line, data = _read_line(sock, data)
        chunk = int(line.split(b";")[0], 16)
        _swallow(sock, chunk, min(chunk, len(data)))
        _, data = _read_line(sock, data[chunk:])  # the end of the chunk's data, or of the body
        if not chunk:
            return size
        size += chunk


def _read_line(sock: socket.socket, data: bytes) -> tuple[bytes, bytes]:
    while (end := data.find(b"\r\n")) < 0:
        more = sock.recv(65536)
        if not more:
            raise ConnectionError("closed within a body")
        data += more
    return data[:end], data[end + 2 :]


def main() -> None:
    """Serve until killed."""
    with socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=4096) as listener:
        while True:
            sock, _ = listener.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_serve, args=(sock,), daemon=True).start()


if __name__ == "__main__":
    main()
