"""TLS on a client connection: a transport over the event loop's own, by the `ssl` module (RFC 8446, RFC 5246).

The event loop brings TLS too, but there a connection counts for nobody before its handshake is done; what a slow client
has yet to take is cut off some seconds after a close; and a client that does not answer our goodbye holds the end of
the process. Here, all that is above (timers, backpressure, gentle ends) sees the connection below as it is:

1. What came in one read is decrypted, and handed on, in one piece. A reader that has paused gets no more than a plain
   transport would still give it: nothing is kept here but the beginning of a record (16 KiB).
2. To close is to say goodbye (close_notify), and to end once all is sent; the peer's goodbye is not waited for
   (RFC 8446 §6.1).
3. An end without goodbye is an end: HTTP knows by itself whether a message is whole (RFC 9112 §9.8).
4. Records that bring no data (key updates, say) cost us more than their sender, and may have us answer: whoever sends
   more of them than any client has cause to is cut off (RFC 8446 §4.6.3).
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterable
from typing import Any, Final

from gateway.server.arriving import Arriving, Reception
from gateway.telemetry.logs import log

RECORD: Final = 16 * 1024
"""Most bytes in one record (RFC 8446 §5.1)."""

MOST_WITHOUT_DATA: Final = 3 * RECORD
"""Most bytes in a row that bring no data: a record that has begun, and some more."""

Bytes = bytes | bytearray | memoryview


class TlsTransport(Arriving, asyncio.Transport):
    """One client connection: a protocol for the transport below, and a transport for the protocol above.

    `make` is called for the protocol above, once the handshake is done.
    """

    def __init__(self, context: ssl.SSLContext, make: Callable[[], Any], reception: Reception) -> None:
        Arriving.__init__(self, reception)
        asyncio.Transport.__init__(self)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._make = make
        self._above: Any = None  # None until the handshake is done
        self._closing = False
        self._said_goodbye = False
        self._without_data = 0  # bytes that came since the last data

    # From below

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the protocol above, and leave nothing that leads back here."""
        above, self._above, self._closing = self._above, None, True
        if above is None:
            super().connection_lost(exc)
        else:
            above.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Decrypt what has come."""
        try:
            if self._above is not None:
                self._pass_up(data)
                return
            for start in range(0, len(data), RECORD):
                self._incoming.write(data[start : start + RECORD])
                if self._shake_hands():
                    self._pass_up(data[start + RECORD :])
                if self._above is not None or self._raw.is_closing():
                    break
        except ssl.SSLError as error:
            self._send()  # the alert
            if self._above is None:
                self.refuse("tls_handshake_failed", error.reason or str(error))
            else:
                self._raw.close()

    def eof_received(self) -> bool:
        """End, unless the protocol above wants to say more."""
        return bool(self._above is not None and self._above.eof_received())

    def pause_writing(self) -> None:
        """The client is slow."""
        if self._above is not None:
            self._above.pause_writing()

    def resume_writing(self) -> None:
        """The client has caught up."""
        if self._above is not None:
            self._above.resume_writing()

    def _shake_hands(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._send()
            return False
        self._send()
        above = self._above = self._make()
        self.pass_on_to(above)
        above.connection_made(self)
        return not self.is_closing()

    def _pass_up(self, data: bytes) -> None:
        parts, ended = self._decrypt()
        for start in range(0, len(data), RECORD):
            piece = data[start : start + RECORD]
            self._incoming.write(piece)
            more, ended = self._decrypt()
            parts += more
            self._without_data = 0 if more else self._without_data + len(piece)
            if self._without_data > MOST_WITHOUT_DATA:
                log.debug("tls_records_without_data", client=self.address or "")
                self.abort()
                return
            if self._outgoing.pending:  # an answer to a key update
                self._send()
            if ended:
                break
        if parts and self._above is not None and not self._closing:
            self._above.data_received(parts[0] if len(parts) == 1 else b"".join(parts))
        if ended and self._above is not None and not self._above.eof_received():
            self.close()

    def _decrypt(self) -> tuple[list[bytes], bool]:
        """Return what has come, and whether the client has said goodbye."""
        parts: list[bytes] = []
        while self._incoming.pending or self._tls.pending():
            try:
                part = self._tls.read(RECORD)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                return parts, True
            if not part:
                return parts, True
            parts.append(part)
        return parts, False

    def _send(self) -> None:
        data = self._outgoing.read()
        if data and not self._raw.is_closing():
            self._raw.write(data)

    # From above

    def write(self, data: Bytes) -> None:
        """Encrypt and send."""
        if data and not self._said_goodbye and not self._raw.is_closing():
            self._tls.write(data)
            self._send()

    def writelines(self, list_of_data: Iterable[Bytes]) -> None:
        """Encrypt and send, in as few records as it takes."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """Whether one direction can be ended alone: it can."""
        return True

    def write_eof(self) -> None:
        """Say goodbye after what was written; what comes is read on."""
        self._say_goodbye()
        if not self._raw.is_closing() and self._raw.can_write_eof():
            self._raw.write_eof()

    def close(self) -> None:
        """Say goodbye, and end once everything is sent."""
        if not self._closing:
            self._closing = True
            self._say_goodbye()
            self._raw.close()

    def abort(self) -> None:
        """End at once."""
        self._closing = True
        self._raw.abort()

    def is_closing(self) -> bool:
        """Whether it has ended, or is about to."""
        return self._closing or self._raw.is_closing()

    def _say_goodbye(self) -> None:
        if self._said_goodbye:
            return
        self._said_goodbye = True
        with contextlib.suppress(ssl.SSLError):  # it wants to read the answer, which nobody waits for
            self._tls.unwrap()
        self._send()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Have another protocol take over."""
        self._above = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the protocol above."""
        return self._above  # type: ignore[no-any-return]

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of the connection."""
        match name:
            case "ssl_object":
                return self._tls
            case "sslcontext":
                return self._tls.context
            case _:
                return self._raw.get_extra_info(name, default)

    def is_reading(self) -> bool:
        """Whether it is read from."""
        return self._raw.is_reading()

    def pause_reading(self) -> None:
        """Read no more for now."""
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._raw.resume_reading()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait for the client."""
        return self._raw.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return when the protocol above is told to pause, and to resume."""
        return self._raw.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when the protocol above is told to pause, and to resume."""
        self._raw.set_write_buffer_limits(high, low)
