"""The short way of a request through our own server: from the parser to the upstream, and back.

ASGI costs a task, two queues and a dozen calls a request. Where the server's protocol has a whole request head before
it, and the gate lets it pass, the head is written to a pooled upstream connection at once, and what comes back is
written to the client's transport as it comes. Nothing is decided here: `HeadReader`, `Pipeline` and `ProxiedApp`
are those of the ASGI way, which still serves whatever this module leaves: the gateway's own pages, refusals, HTTP/1.0,
`Expect` and `Destination`.

Clients send the same lines, and often the same blocks, again and again, so what was found out about them is kept by
their exact bytes (see `known` and `block`). A request of the plain kind that comes whole in one read needs no parser.
"""

from __future__ import annotations

from typing import Final

from gateway.core.fields import Fields
from gateway.errors import GatewayError
from gateway.flows.gate import Passage
from gateway.flows.live import Live
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
        self._blocks = BlockReader(reader, means.pipeline, means.own_cookies)
        self._targets: Recurring[tuple[bytes, str], LearnedTarget] = Recurring(MOST_TARGETS)

    @property
    def live(self) -> Live:
        """What is under way, for those who are signed in."""
        return self._means.live

    def read_block(self, block: bytes, peer: str | None, scheme: str) -> LearnedBlock | None:
        """Return what is known of a header block; None leaves the request to the parser."""
        return self._blocks.read(block, peer, scheme)

    def take_known(self, client: Client, known: LearnedBlock, line: bytes) -> ShortExchange | None:
        """Take a request that came whole in one read, with a known header block; None leaves it to the parser."""
        sender = known.sender
        host = sender.origin.host
        target = self._targets.kept.get((line, host)) or self._read_line(line, host)
        if target is None:
            return None
        match = target.match
        if match is None:
            return None
        permit = sender.permits.get(match.index)
        exchange = ShortExchange(self._means, client, known, target)
        if permit is None:
            if not self._ask(exchange):
                return None
            exchange.flush()
        elif permit.holds():
            exchange.go(permit)
        else:
            exchange.confirm(permit)
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
        sender = LearnedSender(LearnedOrigin(head), keys[0] if len(keys) == 1 else None, b"")
        where = LearnedTarget(head.method, head.path, head.query, head.raw_target, head.front.prefix)
        exchange = ShortExchange(self._means, client, LearnedBlock(sender), where)
        exchange.note_head(head, read_body_framing(head))
        where.decide(self._means.pipeline.match(head.method, head.host, head.path))
        return exchange if self._ask(exchange) else None

    def _ask(self, exchange: ShortExchange) -> bool:
        """Let the request in if the gate does so from memory, or have the gate ask the store.

        False for whatever is to be answered otherwise.
        """
        if exchange.is_websocket:  # rare, and there is more to judge; no other way takes them
            exchange.ask()
            return True
        if exchange.target.match is None:
            return False
        sender = exchange.known.sender
        passage = self._means.pipeline.admit_at_once(exchange.target.match, sender.session_key)
        if passage is None:
            return False
        if not isinstance(passage, Passage):
            if exchange.target.match.route.keep_post:
                return False  # the app may have to read the body
            exchange.ask()
            return True
        try:
            exchange.admit(passage)
        except GatewayError:
            return False
        return True

    def _read_line(self, line: bytes, host: str) -> LearnedTarget | None:
        target = read_line(line, self._reader.limits.target_bytes)
        if target is None:
            return None
        target.decide(self._means.pipeline.match(target.method, host, target.path))
        if len(line) <= LONGEST_LINE:
            self._targets.note((line, host), target)
        return target
