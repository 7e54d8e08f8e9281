"""A TLS connection without sockets, whose client makes its records one by one: any kind, any size.

The client is Python's own until the handshake is done; from then on records are sealed here, under the keys that it has
logged (RFC 8446 §5.2, §7.1-§7.3).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from gateway.core.forwarded import TrustedProxies
from gateway.server.arriving import Reception
from gateway.server.connections import Connection, ConnectionGuard
from gateway.server.tls import TlsTransport
from tests.server.conftest import DryTransport

ALERT, HANDSHAKE, DATA = 21, 22, 23
KEY_UPDATE, KEY_UPDATE_ANSWERED = b"\x18\0\0\1\0", b"\x18\0\0\1\1"
USER_CANCELED, GOODBYE = b"\1\x5a", b"\1\0"
HIGH_WATER = 64 * 1024


class Wire(DryTransport):
    """The transport below; `full`: the client takes nothing of what is written."""

    full = False
    owner: TlsTransport
    paused = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        super().write(data)
        if self.full and not self.paused and len(self.written) > HIGH_WATER:
            self.paused = True
            self.owner.pause_writing()

    def drain(self) -> None:
        """Have the client take all that waits."""
        self.take()
        self.full = self.paused = False
        self.owner.resume_writing()

    def get_write_buffer_size(self) -> int:
        return len(self.written) if self.full else 0


class Above(asyncio.Protocol):
    """The protocol above, which notes what it is told."""

    came_from: tuple[str, int] | None = None
    arrived_at = 0.0

    def __init__(self) -> None:
        self.told: list[bytes] = []
        self.talks_on = False  # after the client has said goodbye
        self.ends = 0

    def data_received(self, data: bytes) -> None:
        self.told.append(data)

    def eof_received(self) -> bool:
        self.ends += 1
        return self.talks_on

    @property
    def data(self) -> bytes:
        return b"".join(self.told)


class Noting(ConnectionGuard):
    """A guard that tells how much waits, and has waited at most."""

    now = most = 0

    def note_waiting(self, connection: Connection, size: int, address: str | None = None) -> bool:
        may_wait = super().note_waiting(connection, size, address)
        self.now = self._waiting_of.total()
        self.most = max(self.most, self.now)
        return may_wait


class Forged:
    """One such connection: `transport` is what is tried, between `wire` and `above`."""

    def __init__(self, context: ssl.SSLContext, guard: Noting, folder: Path) -> None:
        self.wire, self.above, self.guard = Wire(), Above(), guard
        self.transport = TlsTransport(context, lambda: self.above, Reception(guard, lambda: 10.0, set()))
        self.wire.owner = self.transport
        self.transport.connection_made(self.wire)
        self._log = folder / "keys"
        asked = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        asked.check_hostname, asked.verify_mode = False, ssl.CERT_NONE
        asked.minimum_version = ssl.TLSVersion.TLSv1_3
        asked.keylog_filename = str(self._log)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._client = asked.wrap_bio(self._incoming, self._outgoing)

    async def settle(self) -> None:
        """Let everything that waits have its turn."""
        for _ in range(20_000):
            if not self.guard.is_busy:
                return
            await asyncio.sleep(0)
        raise AssertionError("something waits for ever")

    def say(self) -> bytes:
        """Return what the client says next in its handshake."""
        self._incoming.write(self.wire.take())
        with contextlib.suppress(ssl.SSLWantReadError):
            self._client.do_handshake()
        return self._outgoing.read()

    def shake_hands(self) -> Forged:
        """Do so, and take the keys over."""
        self.transport.data_received(self.say())
        self.transport.data_received(self.say())
        self.wire.take()
        cipher = self._client.cipher()
        assert cipher is not None
        assert cipher[0] == "TLS_AES_256_GCM_SHA384"
        lines = [line.split() for line in self._log.read_text().splitlines()]
        self._adopt([bytes.fromhex(line[2]) for line in lines if line[0] == "CLIENT_TRAFFIC_SECRET_0"][-1])
        return self

    def _adopt(self, secret: bytes) -> None:
        self._secret, self._count = secret, 0
        self._key, self._iv = AESGCM(expand(secret, b"key", 32)), expand(secret, b"iv", 12)

    def record(self, kind: int, content: bytes, padding: int = 0) -> bytes:
        """Return one record."""
        inner = content + bytes([kind]) + bytes(padding)
        header = b"\x17\3\3" + (len(inner) + 16).to_bytes(2, "big")
        nonce = (int.from_bytes(self._iv, "big") ^ self._count).to_bytes(12, "big")
        self._count += 1
        return header + self._key.encrypt(nonce, inner, header)

    def data(self, content: bytes) -> bytes:
        return self.record(DATA, content)

    def empty(self) -> bytes:
        return self.record(DATA, b"")

    def update(self, *, answered: bool = False) -> bytes:
        """Return a key update; what follows is under the next key."""
        record = self.record(HANDSHAKE, KEY_UPDATE_ANSWERED if answered else KEY_UPDATE)
        self._adopt(expand(self._secret, b"traffic upd", 48))
        return record


def expand(secret: bytes, label: bytes, length: int) -> bytes:
    """HKDF-Expand-Label, of no context (RFC 8446 §7.1)."""
    name = b"tls13 " + label
    info = length.to_bytes(2, "big") + bytes([len(name)]) + name + b"\0"
    return HKDFExpand(SHA384(), length, info).derive(secret)


def guard_of(most_waiting: int = 0) -> Noting:
    return Noting(0, TrustedProxies(()), most_waiting=most_waiting)
