"""Where requests enter the short way, or are left to the ASGI app.

Nothing is decided here: `HeadReader`, `Pipeline` and `ProxiedApp` are those of the ASGI way, which still serves
whatever this module leaves: the gateway's own pages, refusals, HTTP/1.0, `Expect` and `Destination`.

Clients send the same lines, and often the same blocks, again and again, so what was found out about them is kept by
their exact bytes (see `learned` and `header_block`). A request of the plain kind that comes whole in one read needs no
parser.
"""

from __future__ import annotations

from typing import Final

from gateway.core.fields import Fields
from gateway.core.request import EXPECTS_BODY
from gateway.errors import GatewayError
from gateway.flows.live import Live
from gateway.server.short.admission import Admission
from gateway.server.short.client import Client
from gateway.server.short.exchange import ShortExchange
from gateway.server.short.header_block import BlockReader
from gateway.server.short.lane import Means
from gateway.server.short.learned import LearnedBlock, LearnedOrigin, LearnedSender, LearnedTarget, read_line
from gateway.server.short.recurring import Recurring
from gateway.upstream.request import read_body_framing
from gateway.web.asgi_head import HeadReader

MOST_TARGETS: Final = 4096
LONGEST_LINE: Final = 512
"""Most targets kept, and the longest request line among them in bytes."""


class ShortWay:
    """Takes requests from the server's protocol, where it can."""

    def __init__(self, reader: HeadReader, means: Means) -> None:
        self._reader = reader
        self._means = means
        self._admission = Admission(means)
        self._blocks = BlockReader(reader, means.pipeline, means.own_cookies)
        self._targets: Recurring[tuple[bytes, str], LearnedTarget] = Recurring(MOST_TARGETS)

    @property
    def live(self) -> Live:
        """What is under way, for those who are signed in."""
        return self._means.live

    @property
    def in_use(self) -> bool:
        """Whether some request is under way on it; a WebSocket that is open needs nothing of it any more."""
        carried = [carrier.under_way for carrier in self.live.carriers]
        return any(isinstance(each, ShortExchange) and each.goes_by(self._means) for each in carried)

    def read_block(self, raw: bytes, peer: str | None, scheme: str, *, counted: bool = False) -> LearnedBlock | None:
        """Return what is known of a header block; None leaves the request to the parser."""
        return self._blocks.read(raw, peer, scheme, counted=counted)

    def take_learned(self, client: Client, block: LearnedBlock, line: bytes, length: int = 0) -> ShortExchange | None:
        """Take a request with a learned header block, and a body of so many bytes; None leaves it to the parser."""
        sender = block.sender
        host = sender.origin.host
        target = self._targets.kept.get((line, host)) or self._read_line(line, host)
        if target is None:
            return None
        match = target.match
        if match is None:
            return None
        route = match.route
        if length and route.body_limit is not None and length > route.body_limit:
            return None
        permit = sender.permits.get(match.index)
        exchange = ShortExchange(self._means, client, block, target)
        if length:
            exchange.expect(length)
        if permit is None:
            if not self._admission.let_in(exchange):
                return None
            exchange.flush()
        elif permit.holds():
            exchange.go(permit)
        elif route.needs_body_to_answer and (length or target.method in EXPECTS_BODY):
            return None  # who is let in no longer is answered by the app, which can read it
        else:
            self._admission.confirm(exchange, permit)
        return exchange

    def take(
        self,
        client: Client,
        *,
        method: str,
        scheme: str,
        target: bytes,
        headers: Fields,
        peer: str | None,
        websocket: bool = False,
    ) -> ShortExchange | None:
        """Take a request whose head the parser has read; None leaves it to the ASGI app, which judges it anew."""
        try:
            head = self._reader.read_raw(
                method=method, scheme=scheme, target=target, headers=headers, peer=peer, websocket=websocket
            )
        except GatewayError:
            return None
        if head.destination is not None:  # a second address to judge
            return None
        keys = self._means.pipeline.read_session_keys(head.headers)
        if len(keys) > 1 and not websocket:
            return None  # the gate has to choose, as it does for every WebSocket
        key = keys[0] if len(keys) == 1 else None
        proofs = self._means.pipeline.read_proofs(head.headers, key)
        block = LearnedBlock(LearnedSender(LearnedOrigin(head), key, b"", proofs))
        where = LearnedTarget(head.method, head.path, head.query, head.raw_target, head.front.prefix)
        exchange = ShortExchange(self._means, client, block, where)
        exchange.note_head(head, read_body_framing(head))
        where.decide(self._means.pipeline.match(head.method, head.host, head.path))
        return exchange if self._admission.let_in(exchange) else None

    def _read_line(self, line: bytes, host: str) -> LearnedTarget | None:
        target = read_line(line, self._reader.limits)
        if target is None:
            return None
        target.decide(self._means.pipeline.match(target.method, host, target.path))
        if len(line) <= LONGEST_LINE:
            self._targets.note((line, host), target)
        return target
