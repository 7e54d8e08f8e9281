"""TLS on a client connection: a transport over the event loop's own, by the `ssl` module (RFC 8446, RFC 5246).

The event loop brings TLS too, but there a connection counts for nobody before its handshake is done; what a slow client
has yet to take is cut off some seconds after a close; and a client that does not answer our goodbye holds the end of
the process. Here, all that is above (timers, backpressure, gentle ends) sees the connection below as it is:

1. What came in one read is decrypted, and handed on, in one piece; of many small records 64, and more in turn. A
   reader that has paused gets no more than a plain transport would still give it. What is kept here is the beginning
   of a record (16 KiB), or the rest of one read, which counts as something that waits.
2. To close is to say goodbye (close_notify), and to end once all is sent; the peer's goodbye is not waited for
   (RFC 8446 §6.1).
3. An end without goodbye is an end: HTTP knows by itself whether a message is whole (RFC 9112 §9.8).
4. Records that bring no data (key updates, alerts, empty ones) cost more than they weigh, and may ask for an answer: so
   many in a row end the connection. Who does not take our answers is not read from.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterable
from typing import Any, Final

from gateway.server.arriving import Arriving, Reception
from gateway.server.overlay import Overlay
from gateway.server.records import Records
from gateway.telemetry.logs import log

RECORD: Final = 16 * 1024
"""Most bytes in one record (RFC 8446 §5.1)."""
MOST_WITHOUT_DATA: Final = 32
"""Records in a row that may bring no data: a handshake has less than ten, a key update comes once in a long while."""
MOST_IN_ONE_GO: Final = 64
"""Records that are decrypted in one go, before others have their turn; large ones are less in any read."""

Bytes = bytes | bytearray | memoryview


class TlsTransport(Arriving, Overlay):
    """One client connection: a protocol for the transport below, and a transport for the protocol above.

    `make` is called for the protocol above, once the handshake is done; until then there is none.
    """

    def __init__(self, context: ssl.SSLContext, make: Callable[[], Any], reception: Reception) -> None:
        Arriving.__init__(self, reception)
        Overlay.__init__(self)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._make = make
        self._closing = False
        self._said_goodbye = False
        self._heard_goodbye = False
        self._records = Records()
        self._barren = 0  # records in a row that brought no data
        self._waiting = b""  # what was read and waits to be decrypted, from `_at`
        self._at = 0
        self._in_turn = False  # whether its turn will come
        self._stopped = False  # the protocol above reads no more for now
        self._slow = False  # the client is
        self._clogged = False  # it is, and made us answer nevertheless

    # From below

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the protocol above, and leave nothing that leads back here."""
        above, self._above, self._closing = self._above, None, True
        self._waiting = b""
        self.guard.note_waiting(self, 0)
        if above is None:
            super().connection_lost(exc)
        else:
            above.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Decrypt what has come."""
        if self._waiting:  # it was read in spite of the pause
            self._keep(self._waiting[self._at :] + data, 0)
        elif not self._heard_goodbye:
            self._decrypt(data, 0)

    def go_on(self) -> None:
        """Decrypt more of what waits: it is its turn."""
        self._in_turn = False
        if self._waiting and not (self._stopped or self._clogged or self.is_closing()):
            waiting, self._waiting = self._waiting, b""
            self._decrypt(waiting, self._at)
            if not self._waiting:
                self.guard.note_waiting(self, 0)
                self._read_or_wait()

    def eof_received(self) -> bool:
        """End, unless the protocol above wants to say more."""
        return bool(self._above is not None and self._above.eof_received())

    def pause_writing(self) -> None:
        """The client is slow."""
        self._slow = True
        if self._above is not None:
            self._above.pause_writing()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._slow = False
        if self._clogged:
            self._clogged = False
            self._read_or_wait()
        if self._above is not None:
            self._above.resume_writing()

    def _decrypt(self, data: bytes, at: int) -> None:
        """Decrypt `data` from `at` on, as much as may be in one go, and hand it on."""
        parts: list[bytes] = []
        try:
            at = self._open_records(data, at, parts)
        except (ssl.SSLError, ValueError) as error:
            self._send()  # the alert
            if self._above is None:
                self.refuse("tls_handshake_failed", getattr(error, "reason", None) or str(error))
            else:
                self._raw.close()
            return
        if at < len(data) and not (self._heard_goodbye or self.is_closing()):
            self._keep(data, at)
        if parts and self._above is not None and not self.is_closing():
            self._above.data_received(parts[0] if len(parts) == 1 else b"".join(parts))
        if self._heard_goodbye and self._above is not None and not self._above.eof_received():
            self.close()

    def _open_records(self, data: bytes, at: int, parts: list[bytes]) -> int:
        """Add to `parts` what records bring; returns how far `data` was read.

        Raises `ssl.SSLError`, or `ValueError` for what is no record.
        """
        size, left = len(data), MOST_IN_ONE_GO
        while at < size and left and not (self._heard_goodbye or self.is_closing()):
            end, ended = self._records.find(data, at, left if self._above is not None else 1)
            self._incoming.write(data if end - at == size else memoryview(data)[at:end])
            at, left = end, left - ended
            begun = self._above is None and self._shake_hands()
            brought = self._above is not None and self._read(ended, parts)
            if self._outgoing.pending:
                self._answer()
            self._barren = 0 if begun or brought else self._barren + ended
            if self._barren > MOST_WITHOUT_DATA:
                self._give_up()
        return at

    def _shake_hands(self) -> bool:
        """Go on with the handshake; returns whether it is done."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        above = self._above = self._make()
        self.pass_on_to(above)
        above.connection_made(self)
        return True

    def _read(self, records: int, parts: list[bytes]) -> bool:
        """Add to `parts` what so many records bring; returns whether any brought something."""
        brought = False
        try:
            for _ in range(records):
                part = self._tls.read(RECORD)
                if not part:
                    self._heard_goodbye = True
                    break
                parts.append(part)
                brought = True
        except ssl.SSLWantReadError:  # some bring nothing
            pass
        except ssl.SSLZeroReturnError:
            self._heard_goodbye = True
        return brought

    def _answer(self) -> None:
        """Send what the client has made us say; one that takes nothing of it is not heard until it does."""
        self._send()
        if self._slow and not self._clogged:
            self._clogged = True
            self._read_or_wait()

    def _give_up(self) -> None:
        """End a connection that has much to say, and none of it data."""
        if self._above is None:
            self.refuse("tls_handshake_failed", "too many records")
        else:
            log.debug("tls_records_without_data", client=self.address or "")
        self.abort()

    def _keep(self, data: bytes, at: int) -> None:
        """Keep what is too much for one go, and read no more until its turn has come."""
        self._waiting, self._at = data, at
        if self.guard.note_waiting(self, len(data), self.address):
            self._read_or_wait()
        else:
            self._waiting = b""
            self.abort()

    def _read_or_wait(self) -> None:
        """Read on, if nothing that was read waits, and nobody has to."""
        if self._raw.is_closing():
            return
        halted = self._stopped or self._clogged
        if not halted and not self._waiting:
            self._raw.resume_reading()
            return
        self._raw.pause_reading()
        if not halted and not self._in_turn:
            self._in_turn = True
            self.guard.call_in_turn(self)

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

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of the connection."""
        match name:
            case "ssl_object":
                return self._tls
            case "sslcontext":
                return self._tls.context
            case _:
                return super().get_extra_info(name, default)

    def is_reading(self) -> bool:
        """Whether it is read from."""
        return not (self._stopped or self.is_closing())

    def pause_reading(self) -> None:
        """Read no more for now."""
        self._stopped = True
        self._read_or_wait()

    def resume_reading(self) -> None:
        """Read on."""
        self._stopped = False
        self._read_or_wait()
