"""The short way of a request through our own server: from the parser to the upstream, and back.

ASGI costs a task, two queues and a dozen calls a request. Where the server's protocol has a whole request head before
it, and the gate lets it pass, the head is written to a pooled upstream connection at once, and what comes back is
written to the client's transport as it comes. Nothing is decided here: `HeadReader`, `Pipeline` and `ReverseProxyDoor`
are those of the ASGI way, which still serves whatever this module leaves: the gateway's own pages, refusals, HTTP/1.0,
`Expect`, and requests that come before the one in hand is answered.

Clients send the same header block again and again, so what was found out about a block is kept by its exact bytes. A
request that comes whole in one read, with a block that is known, needs no parser.
"""

from __future__ import annotations

import re
from typing import Final

from gateway.core.headers import Fields
from gateway.core.path import canonicalise
from gateway.core.request import RequestHead
from gateway.errors import GatewayError
from gateway.runtime.fast_exchange import Client, FastExchange, KnownBlock, Shared
from gateway.upstream.request import BodyFraming, read_body_framing
from gateway.web.exchange import Exchange
from gateway.web.pipeline import Passage
from gateway.web.scope import HeadReader

MOST_KNOWN: Final = 2048
LONGEST_KNOWN: Final = 4096
"""Most header blocks kept, and the longest of them in bytes: some 10 MB at the very most."""
_REQUEST_LINE: Final = re.compile(
    rb"(GET|HEAD|DELETE|OPTIONS) ((/[\x21\x22\x24-\x3e\x40-\x7e]*)(?:\?([\x21\x22\x24-\x7e]*))?) HTTP/1\.1"
)
"""A request line of the plainest form (RFC 9112 §3): what it does not match is left to the parser."""


class FastPath:
    """Takes requests from the server's protocol, where it can."""

    def __init__(self, reader: HeadReader, shared: Shared) -> None:
        self._reader = reader
        self._shared = shared
        self._known: dict[tuple[bytes, str | None, str], KnownBlock] = {}

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
        framing = read_body_framing(head)
        exchange = self._begin(client, head, known, framing)
        if exchange is not None and block and framing is None and len(block) <= LONGEST_KNOWN:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[block, peer, scheme] = known
        return exchange

    def take_known(self, client: Client, data: bytes, *, scheme: str, peer: str | None) -> FastExchange | None:
        """Take a request that came whole in one read, if its header block is known; None leaves it to the parser."""
        end = data.find(b"\r\n")
        known = self._known.get((data[end:], peer, scheme))
        if known is None:
            return None
        line = _REQUEST_LINE.fullmatch(data, 0, end)
        if line is None:
            return None
        method, target, path, query = line.groups()
        try:
            head = RequestHead(
                method=method.decode("ascii"),
                scheme=known.scheme,
                host=known.host,
                path=canonicalise(path),
                query=query or b"",
                raw_target=target,
                headers=known.headers,
                client_address=known.client_address,
            )
        except GatewayError:
            return None
        return self._begin(client, head, known, None) if len(target) <= self._reader.limits.target_bytes else None

    def _begin(
        self, client: Client, head: RequestHead, known: KnownBlock, framing: BodyFraming | None
    ) -> FastExchange | None:
        told = Exchange()
        judged = self._shared.pipeline.judge_at_once(head, known.session_key, told)
        if judged is None:
            return None
        exchange = FastExchange(self._shared, client, head, known, framing, told)
        if isinstance(judged, Passage):
            exchange.enter(judged)
        else:
            exchange.ask()
        return exchange
