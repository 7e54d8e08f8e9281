"""One request on the short way: from the client's connection to an upstream connection, and back.

Here is how it is sent; `answering` is how it is answered, and ends.

Rules
- No upstream connection is held for a body of which nothing has come; for a small one, not before all has. So a client
  that trickles a body (slowloris) holds none.
- Sent a second time (a retry) only where nothing can happen twice: see `upstream.http.may_repeat`.
- A WebSocket begins as a request like any other. When the upstream switches, both sockets are joined: see `websocket`.
"""

from __future__ import annotations

from msgspec.structs import replace

from gateway.core.headers import signs_in_connection
from gateway.core.request import RequestHead
from gateway.errors import RequestRefused, UpstreamError
from gateway.server.short.answer_writer import SMALL
from gateway.server.short.answering import AnsweringExchange
from gateway.server.short.permit import Permit
from gateway.server.short.request_body import RequestBody
from gateway.upstream.connection import Connection
from gateway.upstream.handshake import SWITCH
from gateway.upstream.http import may_repeat
from gateway.upstream.request import BodyFraming, build_end


class ShortExchange(AnsweringExchange):
    """One request, sent on as it comes, and its answer."""

    is_websocket = False
    body: RequestBody | None = None  # of the request
    _request = b""  # its head, as the upstream is sent it
    _binding = False  # it may sign in the connection that carries it

    def note_head(self, head: RequestHead, framing: BodyFraming | None) -> None:
        """Take a head that was read as a whole, and the framing of the body that follows."""
        self._head = head
        self.is_websocket = head.websocket
        self.request_id = head.front.request_id or self.request_id
        self._binding = any(signs_in_connection(*field) for field in head.headers)
        if framing is not None:
            self.body = RequestBody(framing, build_end(head.method, framing))

    def expect(self, length: int) -> None:
        """Expect a body of so many bytes."""
        framing = BodyFraming(length)
        self.body = RequestBody(framing, build_end(self.target.method, framing))

    def head(self) -> RequestHead:
        """Return the whole head."""
        if self._head is None and self.body is not None:
            head = self.target.build_head(self.block)
            self._head = replace(head, headers=(*head.headers, self.body.field))
        return super().head()

    def go(self, permit: Permit) -> None:
        """Let a request in, and send it if it has no body: the usual way, so all of `enter` and `flush` stands here."""
        if self.body is not None:
            self.enter(permit)
            return self.flush()
        self._permit = permit
        self.passage = permit.passage
        self._request = self.target.build_request(permit, self.block, self.request_id)
        connection = permit.lane.pool.take_idle(self.block.sender.origin.network)
        if connection is not None:
            return self._start(connection)
        return self.flush()

    def enter(self, permit: Permit) -> None:
        """Let the request in; it is sent with the next `flush`."""
        self._permit = permit
        self.passage = permit.passage
        end = b""
        if self.body is not None:
            end = self.body.end
        elif self.is_websocket:
            end = SWITCH + b"\r\n"
        self._request = self.target.build_request(permit, self.block, self.request_id, end)

    def take_body(self, data: bytes, *, last: bool) -> None:
        """Take some of the request body; it is sent with the next `flush`."""
        if self.done or self.body is None:
            return
        try:
            self.body.add(data, last=last)
        except RequestRefused as error:
            self.fail(error)

    def flush(self) -> None:
        """Send what there is of the request: called when one read of the client's socket has been parsed."""
        if self.done:
            return
        body = self.body
        if self._connection is not None:
            if body is not None:
                self._connection.write(body.take(), last=body.complete)
        elif self._permit is not None and not self._is_waiting() and (body is None or body.may_go):
            connection = self._permit.lane.pool.take_idle(self.holder)
            if connection is not None:
                self._start(connection)
            else:
                self.run(self._connect(fresh=False))
        elif body is not None and body.is_much:
            self._client.hold(body.size)

    def _is_waiting(self) -> bool:
        """Whether the gate, or a connection, is being waited for."""
        return self._task is not None and self._task.goes_on

    async def _connect(self, *, fresh: bool) -> None:
        assert self._permit is not None  # noqa: S101 -- nothing is sent before
        self._start(await self._permit.lane.pool.acquire(self.holder, fresh=fresh))

    def _start(self, connection: Connection) -> None:
        """Send the request on a connection."""
        self._connection = connection
        body, request, rest = self.body, self._request, b""
        if body is not None:
            rest = body.take()
            if len(rest) <= SMALL:
                request, rest = request + rest, b""
        connection.start(
            self,
            request,
            head_request=self.target.method == "HEAD",
            complete=body is None or (body.complete and not rest),
            upgrade=self.is_websocket,
            binding=self._binding,
        )
        if body is not None:
            if rest:  # one system call with the head
                connection.write(rest, last=body.complete)
            self._client.release()

    def _lose_connection(self, error: UpstreamError) -> None:
        """Try again on another connection, if nothing can happen twice."""
        connection = self._connection
        if (
            connection is not None
            and not self.answering
            and may_repeat(self.target.method, self.body is not None, error, connection)
        ):
            self._connection = None
            self.run(self._connect(fresh=True))
        else:
            self.fail(error)
