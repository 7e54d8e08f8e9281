"""The lines of a check: what each has to say to a check that can be answered with a yes.

A front copies whatever the visitor's browser sends, and a yes depends on little of it: who asks (cookies), where that
comes from, and what about. Nobody looks at the rest. Whatever makes a check anything but plain (a body, a field that
poses as identity, a WebSocket's, a destination) is `ODD`, and is left to the parser.
"""

from __future__ import annotations

from typing import Final

from gateway.core.fields import remember_name, split_line
from gateway.core.forwarded import SAY_ORIGIN
from gateway.core.original import PROOF, SAY_ADDRESS, SAY_METHOD
from gateway.server.short.recurring import Recurring
from gateway.web.asgi_head import HeadReader
from gateway.web.forward_auth.endpoint import ForwardAuth

COOKIE, ORIGIN, METHOD, HOST, ADDRESS, PROVES, EMPTY, NOTHING, ODD, STAYS = range(10)
"""What a line says.

HOST: part of the origin, which says what is asked about, too. EMPTY: that there is no body. STAYS: of a name only, that
the connection may stay.
"""
MOST_LINES: Final = 4096
LONGEST_LINE: Final = 256
"""Most lines kept, and the longest among them in bytes."""

Line = tuple[int, bytes]
"""What it says, and the line; of cookies and proofs, the value."""
Said = tuple[list[bytes], list[bytes], list[bytes], list[bytes], list[bytes], list[bytes], list[bytes]]
"""Lines by what they say."""

_NOTHING: Final[Line] = (NOTHING, b"")
_ODD: Final[Line] = (ODD, b"")
_ODD_NAMES: Final = frozenset(
    {b"transfer-encoding", b"trailer", b"expect", b"upgrade", b"destination", b"sec-websocket-key"}
)
_SAYS: Final = {
    b"cookie": COOKIE,
    b"host": ORIGIN,
    **dict.fromkeys(SAY_ORIGIN, ORIGIN),
    **dict.fromkeys(SAY_METHOD, METHOD),
    **dict.fromkeys(SAY_ADDRESS, ADDRESS),
    b"x-forwarded-host": HOST,
    b"x-forwarded-proto": HOST,
    PROOF: PROVES,
    b"content-length": EMPTY,
    b"connection": STAYS,
}
_NEVER_TWICE: Final = b"x-request-id"


class CheckLines:
    """Reads lines of checks, and knows them again."""

    def __init__(self, reader: HeadReader, forward_auth: ForwardAuth, *, told_id: bool) -> None:
        """`told_id`: the id that a front gives a request counts, if it is kept at all."""
        self._names = reader.names
        self._forward_auth = forward_auth
        self._odd = _ODD_NAMES | (reader.trusted.kept if told_id else reader.trusted.kept - {_NEVER_TWICE})
        self._says: dict[bytes, int] = {}  # by names as they are sent
        self._lines: Recurring[bytes, Line] = Recurring(MOST_LINES)
        self.known = self._lines.kept
        """Lines that came before."""

    def read(self, line: bytes) -> Line:
        """Return what a line says that is not known."""
        parts = split_line(line)
        if parts is None:
            return _ODD
        name, value = parts
        says = self._says.get(name)
        if says is None:
            says = self._judge(name.lower())
            remember_name(self._says, name, says)
        if says == EMPTY and value != b"0":
            says = ODD
        elif says == STAYS:
            says = NOTHING if value.lower() == b"keep-alive" else ODD
        if says in (NOTHING, ODD):
            read = _NOTHING if says == NOTHING else _ODD
        else:
            read = says, value if says in (COOKIE, PROVES) else line
        if len(line) <= LONGEST_LINE and name.lower() != _NEVER_TWICE:
            self._lines.note(line, read)
        return read

    def _judge(self, name: bytes) -> int:
        says = _SAYS.get(name, NOTHING)
        if not self._names.read(name):  # dropped before anybody looks at it
            return ODD if says != NOTHING or name in self._odd else NOTHING
        return ODD if name in self._odd or self._forward_auth.is_no_field(name) else says
