"""What was found out before, kept so that it need not be found out again: most requests are like others.

    Sender        what decides who asks: a host, cookies and the like, from one peer
    KnownBlock    a header block: a sender, and fields that only pass through
    Destination   a request line on one host: where to
    Permit        what lets a sender through on the route of a destination, for a while

Nothing is decided here. A permit is the gate's own `Passage`, and holds as long as the gate remembers its caller.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from time import monotonic
from typing import Final

import msgspec

from gateway.core.headers import split_line
from gateway.core.path import CanonicalPath, canonicalise
from gateway.core.request import Headers, RequestHead
from gateway.errors import GatewayError
from gateway.flows.gate import Passage
from gateway.server.lane import Lane
from gateway.telemetry.logs import describe_asked, describe_caller
from gateway.upstream.request import build_end, build_line, encode_fields

_REQUEST_LINE: Final = re.compile(
    rb"(GET|HEAD|DELETE|OPTIONS) ((/[\x21\x22\x24-\x3e\x40-\x7e]*)(?:\?([\x21\x22\x24-\x7e]*))?) HTTP/1\.1"
)
"""A request line of the plainest form (RFC 9112 §3), of a method that needs no body."""


class Permit:
    """Lets a sender's requests pass on one route."""

    __slots__ = ("_caller", "_until", "described", "fields", "lane", "passage")

    def __init__(self, passage: Passage, lane: Lane, fields: bytes, seconds_left: float, client_address: str) -> None:
        self.passage = passage
        self.lane = lane
        self.fields = fields  # lines: what is passed on of the sender, and the identity headers
        self.described = describe_caller("allow", passage.match.index, client_address, passage.session_name)
        self._caller = passage.caller
        self._until = 0.0
        self.renew(seconds_left)

    def holds(self) -> bool:
        """Whether it still does."""
        caller = self._caller
        return caller is None or (caller.remembered and monotonic() < self._until)

    def renew(self, seconds_left: float) -> None:
        """Have it hold for so long from now on."""
        self._until = monotonic() + seconds_left


class Sender:
    """Who asks, as far as header fields and the peer say."""

    __slots__ = ("client_address", "destinations", "headers", "host", "permits", "scheme", "session_key")

    def __init__(self, head: RequestHead, headers: Headers, session_key: str | None) -> None:
        self.headers = headers  # those that say it; the rest is passed on as it is
        self.host = head.host
        self.scheme = head.scheme
        self.client_address = head.client_address
        self.session_key = session_key
        self.destinations: dict[bytes, Destination] = {}  # of its host, by request line
        self.permits: dict[int, Permit] = {}  # by the number of the route


class KnownBlock(msgspec.Struct, frozen=True):
    """A header block that was judged."""

    sender: Sender
    block: bytes = b""  # its bytes, from the end of the request line on, if it is to be recognised by them
    passing: bytes = b""  # lines that are passed on as they are, whoever asks
    lines: Sequence[bytes] = ()  # all of them

    def read_headers(self) -> Headers:
        """Return all fields."""
        parts = [split_line(line) for line in self.lines]
        return tuple((part[0].lower(), part[1]) for part in parts if part is not None)


class Destination:
    """Where a request line leads to on a host."""

    __slots__ = ("described", "end", "lead", "method", "path", "query", "raw_target", "route")

    def __init__(self, method: str, path: CanonicalPath, query: bytes, raw_target: bytes) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.raw_target = raw_target
        self.route = -1  # number of the route that decides; -1: none, or not asked yet
        self.lead = b""  # what the upstream is sent first; b"" until `aim`
        self.end = build_end(method, None)  # and last, when there is no body
        self.described = describe_asked(method, path.text)  # for the log

    def aim(self, lane: Lane, host: str) -> bytes:
        """Make and return `lead`: the request line, the fields that depend on the destination alone, and a name."""
        door = lane.door
        line = build_line(self.method, door.aim(self.path), self.query, bare=self.raw_target.endswith(b"?"))
        self.lead = line + encode_fields(door.address_fields(host, self.path)) + b"x-request-id: "
        return self.lead

    def build_head(self, known: KnownBlock) -> RequestHead:
        """Return the whole head, where one is needed after all."""
        sender = known.sender
        return RequestHead(
            method=self.method,
            scheme=sender.scheme,
            host=sender.host,
            path=self.path,
            query=self.query,
            raw_target=self.raw_target,
            headers=known.read_headers(),
            client_address=sender.client_address,
        )


def read_line(line: bytes, target_limit: int) -> Destination | None:
    """Return where a request line leads; None for one that is not plain, which others judge."""
    found = _REQUEST_LINE.fullmatch(line)
    if found is None:
        return None
    method, target, path, query = found.groups()
    if len(target) > target_limit:
        return None
    try:
        return Destination(method.decode("ascii"), canonicalise(path), query or b"", target)
    except GatewayError:
        return None
