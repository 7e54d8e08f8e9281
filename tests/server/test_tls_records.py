"""Records of TLS that bring no data: a client may send a few, and is cut off before they cost others anything.

Python's `ssl` sends none of its own accord, so the client here is OpenSSL itself.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import socket
from collections.abc import Generator
from typing import Any
from urllib.parse import urlsplit

import pytest

from gateway.server.tls import MOST_WITHOUT_DATA
from tests.certificates import Issued, issue
from tests.harness import Running
from tests.server.test_tls_transport import folder, running, upstream

__all__ = ["folder", "running", "upstream"]
NOT_ASKED, ASKED = 0, 1
REQUEST = b"GET /oauth2/livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.fixture(scope="module")
def issued() -> Issued:
    return issue("127.0.0.1")


class Client:
    """A TLS 1.3 client that updates its keys when it is told to."""

    def __init__(self, url: str) -> None:
        name = ctypes.util.find_library("ssl")
        if name is None:
            pytest.skip("needs libssl: apt-get install libssl3")
        self._ssl, self._crypto = ctypes.CDLL(name), ctypes.CDLL(ctypes.util.find_library("crypto"))
        pointer = ctypes.c_void_p
        for library, maker, arguments in (
            (self._ssl, "TLS_client_method", []),
            (self._ssl, "SSL_CTX_new", [pointer]),
            (self._ssl, "SSL_new", [pointer]),
            (self._crypto, "BIO_s_mem", []),
            (self._crypto, "BIO_new", [pointer]),
        ):
            getattr(library, maker).restype, getattr(library, maker).argtypes = pointer, arguments
        self._ssl.SSL_set_bio.argtypes = [pointer] * 3
        for function in ("SSL_set_connect_state", "SSL_do_handshake"):
            getattr(self._ssl, function).argtypes = [pointer]
        self._ssl.SSL_key_update.argtypes = [pointer, ctypes.c_int]
        for library, function in (
            (self._ssl, "SSL_read"),
            (self._ssl, "SSL_write"),
            (self._crypto, "BIO_read"),
            (self._crypto, "BIO_write"),
        ):
            getattr(library, function).argtypes = [pointer, ctypes.c_char_p, ctypes.c_int]
        self._tls = self._ssl.SSL_new(self._ssl.SSL_CTX_new(self._ssl.TLS_client_method()))
        self._from, self._to = (self._crypto.BIO_new(self._crypto.BIO_s_mem()) for _ in range(2))
        self._ssl.SSL_set_bio(self._tls, self._from, self._to)
        self._ssl.SSL_set_connect_state(self._tls)
        where = urlsplit(url)
        self.socket = socket.create_connection((where.hostname, where.port), timeout=20)
        while self._ssl.SSL_do_handshake(self._tls) != 1:
            self.socket.sendall(self.written())
            self._hear()

    def written(self) -> bytes:
        """Return what is to be sent."""
        buffer = ctypes.create_string_buffer(1 << 20)
        length = self._crypto.BIO_read(self._to, buffer, len(buffer))
        return buffer.raw[: max(length, 0)]

    def update_keys(self, asked: int, times: int) -> None:
        for _ in range(times):
            assert self._ssl.SSL_key_update(self._tls, asked) == 1
            self._ssl.SSL_do_handshake(self._tls)

    def ask(self) -> bytes:
        """Send a request, and return its answer."""
        self._ssl.SSL_write(self._tls, REQUEST, len(REQUEST))
        self.socket.sendall(self.written())
        buffer, answer = ctypes.create_string_buffer(4096), b""
        while not answer.endswith(b"ok\n"):
            length = self._ssl.SSL_read(self._tls, buffer, len(buffer))
            answer += buffer.raw[: max(length, 0)]
            if length <= 0:
                self._hear()
        return answer

    def _hear(self) -> None:
        data = self.socket.recv(65536)
        assert data, "the connection has ended"
        self._crypto.BIO_write(self._from, data, len(data))


@pytest.fixture
def client(running: Running) -> Generator[Any]:
    client = Client(running.url)
    yield client
    client.socket.close()


@pytest.mark.parametrize("asked", [NOT_ASKED, ASKED])
def test_a_few_key_updates_are_part_of_the_protocol(client: Client, asked: int) -> None:
    for _ in range(3):
        client.update_keys(asked, 5)
        assert client.ask().startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("asked", [NOT_ASKED, ASKED])
def test_who_sends_nothing_but_key_updates_is_cut_off(client: Client, asked: int) -> None:
    client.update_keys(asked, 2 * MOST_WITHOUT_DATA)  # they go out with the request
    with pytest.raises((ConnectionError, AssertionError)):
        client.ask()
