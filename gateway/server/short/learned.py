"""What was found out before, kept so that it need not be found out again: most requests are like others.

    LearnedOrigin  where requests come from and what they are sent to: a host and what proxies say, from one peer
    LearnedSender  who asks from there: a set of cookies
    LearnedBlock   a header block of theirs, and what of it is passed on
    LearnedTarget  a request line on one host: where it leads to
    Permit         what lets a sender's requests through on the route of a target, for a while

Nothing is decided here. A permit is the gate's own `Passage`, and holds as long as the gate remembers its caller.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from time import monotonic
from typing import Final

from gateway.core.fields import Headers, build_lines, split_line
from gateway.core.forwarded import find_network
from gateway.core.headers import forwarded_headers
from gateway.core.path import CanonicalPath, canonicalise
from gateway.core.request import RequestHead
from gateway.core.route import Match
from gateway.errors import GatewayError
from gateway.flows.gate import Passage
from gateway.server.short.lane import Lane
from gateway.telemetry.logs import describe_asked, describe_caller
from gateway.upstream.request import build_end, build_line, encode_fields

_REQUEST_LINE: Final = re.compile(
    rb"(GET|HEAD|DELETE|OPTIONS) ((/[\x21\x22\x24-\x3e\x40-\x7e]*)(?:\?([\x21\x22\x24-\x7e]*))?) HTTP/1\.1"
)
"""A request line of the plainest form (RFC 9112 §3), of a method that needs no body."""


class Permit:
    """Lets a sender's requests pass on one route."""

    __slots__ = ("_caller", "_until", "described", "lane", "passage")

    def __init__(self, passage: Passage, lane: Lane, seconds_left: float, client_address: str) -> None:
        self.passage = passage
        self.lane = lane
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


class LearnedOrigin:
    """Where requests come from and what they are sent to."""

    __slots__ = ("client_address", "host", "lines", "network", "scheme", "scheme_told")

    def __init__(self, head: RequestHead) -> None:
        self.host = head.host
        self.scheme = head.scheme
        self.scheme_told = head.scheme_told
        self.client_address = head.client_address
        self.network = find_network(head.client_address)
        said = forwarded_headers(head.client_address, head.host, head.scheme, head.front.port)
        self.lines = build_lines(said)  # for the upstream


class LearnedSender:
    """Who asks, as far as an origin and cookies say."""

    __slots__ = ("origin", "passing", "permits", "session_key")

    def __init__(self, origin: LearnedOrigin, session_key: str | None, cookies: bytes) -> None:
        self.origin = origin
        self.session_key = session_key
        self.passing = b"cookie: %b\r\n%b" % (cookies, origin.lines) if cookies else origin.lines  # for the upstream
        self.permits: dict[int, Permit] = {}  # by the number of the route


class LearnedBlock:
    """A header block that was judged."""

    __slots__ = ("block", "lines", "passing", "sender")

    def __init__(
        self, sender: LearnedSender, *, block: bytes = b"", passing: bytes = b"", lines: Sequence[bytes] = ()
    ) -> None:
        self.sender = sender
        self.block = block  # its bytes, from the end of the request line on, if it is to be recognised by them
        self.passing = passing  # lines for the upstream, besides the sender's
        self.lines = lines  # all that there were

    def read_headers(self) -> Headers:
        """Return all fields."""
        parts = [split_line(line) for line in self.lines]
        return tuple((part[0].lower(), part[1]) for part in parts if part is not None)


class LearnedTarget:
    """Where a request line leads to on a host."""

    __slots__ = ("described", "end", "front_prefix", "lead", "match", "method", "path", "query", "raw_target")

    def __init__(
        self, method: str, path: CanonicalPath, query: bytes, raw_target: bytes, front_prefix: str = ""
    ) -> None:
        self.front_prefix = front_prefix
        self.method = method
        self.path = path
        self.query = query
        self.raw_target = raw_target
        self.match: Match | None = None  # the route that decides, once it is known
        self.lead = b""  # what the upstream is sent first; b"" until `aim`
        self.end = build_end(method, None)  # and last, when there is no body
        self.described = describe_asked(method, path.text)  # for the log

    def decide(self, match: Match | None) -> None:
        """Note the route that decides, and ask the app for the path in the form that this route has."""
        self.match = match
        if match is not None and self.path.merged:
            self.path = match.route.form_of(self.path)

    def aim(self, lane: Lane, host: str) -> bytes:
        """Make and return `lead`: the request line, the fields that depend on the target alone, and a name."""
        door = lane.door
        line = build_line(self.method, door.aim(self.path), self.query, bare=self.raw_target.endswith(b"?"))
        self.lead = line + encode_fields(door.address_fields(host, self.path, self.front_prefix)) + b"x-request-id: "
        return self.lead

    def build_head(self, known: LearnedBlock) -> RequestHead:
        """Return the whole head, where one is needed after all."""
        origin = known.sender.origin
        return RequestHead(
            method=self.method,
            scheme=origin.scheme,
            host=origin.host,
            path=self.path,
            query=self.query,
            raw_target=self.raw_target,
            headers=known.read_headers(),
            client_address=origin.client_address,
            scheme_told=origin.scheme_told,
        )


def read_line(line: bytes, target_limit: int) -> LearnedTarget | None:
    """Return where a request line leads; None for one that is not plain, which others judge."""
    found = _REQUEST_LINE.fullmatch(line)
    if found is None:
        return None
    method, target, path, query = found.groups()
    if len(target) > target_limit:
        return None
    try:
        return LearnedTarget(method.decode("ascii"), canonicalise(path), query or b"", target)
    except GatewayError:
        return None
