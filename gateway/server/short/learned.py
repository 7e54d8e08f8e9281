"""What was found out before, kept so that it need not be found out again: most requests are like others.

    LearnedOrigin  where requests come from and what they are sent to: a host and what proxies say, from one peer
    LearnedSender  who asks from there: a set of cookies, and what lets them through
    LearnedBlock   a header block of theirs, and what of it is passed on
    LearnedTarget  a request line on one host: where it leads to

Nothing is decided here: see `permit`.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.fields import Headers, build_lines, split_line
from gateway.core.forwarded import find_network
from gateway.core.headers import forwarded_headers
from gateway.core.path import CanonicalPath, canonicalise
from gateway.core.request import Limits, RequestHead, split_plain_line
from gateway.core.route import Match
from gateway.errors import GatewayError
from gateway.flows.device_proofs import Proofs
from gateway.server.short.lane import Lane
from gateway.server.short.permit import Permit
from gateway.telemetry.logs import describe_asked
from gateway.upstream.request import build_end, build_line, encode_fields, title_case


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

    __slots__ = ("origin", "passing", "permits", "proofs", "session_key")

    def __init__(self, origin: LearnedOrigin, session_key: str | None, cookies: bytes, proofs: Proofs = ()) -> None:
        self.origin = origin
        self.session_key = session_key
        self.proofs = proofs  # of the device, where the session is bound to one
        self.passing = b"cookie: %b\r\n%b" % (cookies, origin.lines) if cookies else origin.lines  # for the upstream
        self.permits: dict[int, Permit] = {}  # by the number of the route


class LearnedBlock:
    """A header block that was judged."""

    __slots__ = ("counted", "lines", "passing", "raw", "sender")

    def __init__(
        self,
        sender: LearnedSender,
        *,
        raw: bytes = b"",
        passing: bytes = b"",
        lines: Sequence[bytes] = (),
        counted: bool = False,
    ) -> None:
        self.sender = sender
        self.raw = raw  # its bytes, from the end of the request line on; b"": it was read by the parser
        self.passing = passing  # lines for the upstream, besides the sender's
        self.lines = lines  # all that there were
        self.counted = counted  # but the one that counts the body; it is no part of `raw` either

    def read_headers(self) -> Headers:
        """Return all fields."""
        parts = [split_line(line) for line in self.lines]
        return tuple((part[0].lower(), part[1]) for part in parts if part is not None)


class LearnedTarget:
    """Where a request line leads to on a host."""

    __slots__ = ("_end", "_front_prefix", "_lead", "described", "match", "method", "path", "query", "raw_target")

    def __init__(
        self, method: str, path: CanonicalPath, query: bytes, raw_target: bytes, front_prefix: str = ""
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.raw_target = raw_target
        self.match: Match | None = None  # the route that decides, once it is known
        self.described = describe_asked(method, path.text)  # for the log
        self._front_prefix = front_prefix
        self._lead = b""  # what the upstream is sent first; b"" until `_aim`
        self._end = build_end(method, None)  # and last, when there is no body

    def decide(self, match: Match | None) -> None:
        """Note the route that decides, and ask the app for the path in the form that this route has."""
        self.match = match
        if match is not None and self.path.merged:
            self.path = match.route.form_of(self.path)

    def build_request(self, permit: Permit, block: LearnedBlock, request_id: str, end: bytes = b"") -> bytes:
        """Return the request head as the upstream is sent it; `end` is its last lines, where they are not the usual."""
        sender = block.sender
        lead = self._lead or self._aim(permit.lane, sender.origin.host)
        own = permit.passage.allow.set_lines
        head = b"".join((lead, request_id.encode(), b"\r\n", block.passing, sender.passing, own, end or self._end))
        return title_case(head) if permit.lane.title_case else head

    def _aim(self, lane: Lane, host: str) -> bytes:
        """Make and return `_lead`: the request line, the fields that depend on the target alone, and a name."""
        app = lane.app
        line = build_line(self.method, app.aim(self.path), self.query, bare=self.raw_target.endswith(b"?"))
        fields = encode_fields(app.address_fields(host, self.path, self._front_prefix))
        self._lead = line + fields + b"x-request-id: "
        return self._lead

    def build_head(self, block: LearnedBlock) -> RequestHead:
        """Return the whole head, where one is needed after all."""
        origin = block.sender.origin
        return RequestHead(
            method=self.method,
            scheme=origin.scheme,
            host=origin.host,
            path=self.path,
            query=self.query,
            raw_target=self.raw_target,
            headers=block.read_headers(),
            client_address=origin.client_address,
            scheme_told=origin.scheme_told,
        )


def read_line(line: bytes, limits: Limits) -> LearnedTarget | None:
    """Return where a request line leads; None for one that is not plain, which others judge."""
    parts = split_plain_line(line)
    if parts is None:
        return None
    method, target, path, query = parts
    if len(target) > limits.target_bytes or limits.holds_another(target):
        return None
    try:
        return LearnedTarget(method, canonicalise(path), query, target)
    except GatewayError:
        return None
