"""The short way of a request through our own server: from the parser to the upstream, and back.

ASGI costs a task, two queues and a dozen calls a request. Where the server's protocol has a whole request head before
it, and the gate lets it pass, the head is written to a pooled upstream connection at once, and what comes back is
written to the client's transport as it comes. Nothing is decided here: `HeadReader`, `Pipeline` and `ReverseProxyDoor`
are those of the ASGI way, which still serves whatever this module leaves: the gateway's own pages, refusals, HTTP/1.0,
`Expect`, and requests that come before the one in hand is answered.

Clients send the same header block again and again, so what was found out about a block is kept by its exact bytes
(see `known`). A request that comes whole in one read, with a block that is known, needs no parser.
"""

from __future__ import annotations

from typing import Final

from gateway.core.headers import Fields
from gateway.errors import GatewayError
from gateway.flows.gate import Passage
from gateway.server.fast_exchange import Client, FastExchange
from gateway.server.known import Destination, KnownBlock, read_line
from gateway.server.lane import Shared
from gateway.upstream.request import read_body_framing
from gateway.web.scope import HeadReader

MOST_BLOCKS: Final = 2048
LONGEST_BLOCK: Final = 4096
"""Most header blocks kept, and the longest of them in bytes."""
MOST_LINES: Final = 4096
LONGEST_LINE: Final = 512
"""The same for request lines."""


class FastPath:
    """Takes requests from the server's protocol, where it can."""

    def __init__(self, reader: HeadReader, shared: Shared) -> None:
        self._reader = reader
        self._shared = shared
        self._blocks: dict[tuple[bytes, str | None, str], KnownBlock] = {}
        self._lines: dict[str, dict[bytes, Destination]] = {}  # by host
        self._line_count = 0

    def find(self, block: bytes, peer: str | None, scheme: str) -> KnownBlock | None:
        """Return what is known of a header block."""
        return self._blocks.get((block, peer, scheme))

    def take_known(self, client: Client, known: KnownBlock, line: bytes) -> FastExchange | None:
        """Take a request that came whole in one read, with a known header block; None leaves it to the parser."""
        destination = known.destinations.get(line) or self._read_line(known, line)
        if destination is None:
            return None
        permit = known.permits.get(destination.route)
        exchange = FastExchange(self._shared, client, known, destination)
        if permit is None:
            if not self._ask(exchange):
                return None
        elif not permit.holds():
            exchange.confirm(permit)
            return exchange
        else:
            exchange.enter(permit)
            connection = permit.lane.pool.take_idle()
            if connection is not None:
                exchange.start(connection)
                return exchange
        exchange.flush()
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
        block: bytes = b"",
        websocket: bool = False,
    ) -> FastExchange | None:
        """Take a request whose head is complete; None leaves it to the ASGI app, which judges it anew.

        `block`: the exact bytes of the header block, if the request came whole in one read.
        """
        try:
            head = self._reader.read_raw(
                method=method, scheme=scheme, target=target, headers=headers, peer=peer, websocket=websocket
            )
        except GatewayError:
            return None
        known = KnownBlock(head, self._shared.pipeline.read_session_key(head))
        destination = Destination(head.method, head.path, head.query, head.raw_target)
        exchange = FastExchange(self._shared, client, known, destination)
        exchange.note_head(head, read_body_framing(head))
        if not self._ask(exchange):
            return None
        if block and len(block) <= LONGEST_BLOCK:
            self._remember(known, block, peer, scheme)
        return exchange

    def _ask(self, exchange: FastExchange) -> bool:
        """Let the request in if the gate does so from memory, or have the gate ask the store.

        False for whatever is to be answered otherwise.
        """
        pipeline, destination, known = self._shared.pipeline, exchange.destination, exchange.known
        if pipeline.is_own_path(destination.path):
            return False
        if exchange.is_websocket:  # rare, and there is more to judge
            exchange.ask()
            return True
        passage = pipeline.admit_at_once(destination.method, known.host, destination.path, known.session_key)
        if passage is None:
            return False
        if not isinstance(passage, Passage):
            exchange.ask()
            return True
        try:
            exchange.admit(passage)
        except GatewayError:
            return False
        return True

    def _remember(self, known: KnownBlock, block: bytes, peer: str | None, scheme: str) -> None:
        if len(self._blocks) >= MOST_BLOCKS:
            self._blocks.clear()
            self._clear_lines()
        known.block = block
        known.destinations = self._lines.setdefault(known.host, {})
        self._blocks[block, peer, scheme] = known

    def _read_line(self, known: KnownBlock, line: bytes) -> Destination | None:
        destination = read_line(line, self._reader.limits.target_bytes)
        if destination is not None and len(line) <= LONGEST_LINE:
            if self._line_count >= MOST_LINES:
                self._clear_lines()
            known.destinations = self._lines.setdefault(known.host, known.destinations)
            known.destinations[line] = destination
            self._line_count += 1
        return destination

    def _clear_lines(self) -> None:
        for lines in self._lines.values():
            lines.clear()  # blocks have them too
        self._lines.clear()
        self._line_count = 0
