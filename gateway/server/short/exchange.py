"""One request on the short way: from the client's connection to an upstream connection, and back.

Rules
- The answer's framing is ours: counted if the upstream counted it, else chunked. What was cut short is never ended as
  if it were whole: the connection is closed instead (RFC 9112 §8).
- The slower side sets the pace: a client that does not read stops the upstream, an upstream that does not read stops
  the client.
- Sent a second time only where nothing can happen twice (see `upstream.http.may_repeat`).
- A WebSocket begins as a request like any other. When the upstream switches, both sockets are joined (see `switch`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from time import perf_counter
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from gateway.core.fields import first
from gateway.core.headers import signs_in_connection
from gateway.core.request import RequestHead
from gateway.core.response import LENGTH, AnswerField, AnswerHead, has_no_body
from gateway.errors import GatewayError, NoSuchPage, NothingHere, RequestRefused, StoreUnavailable, UpstreamError
from gateway.flows.gate import Passage
from gateway.flows.live import seconds_of_grace, why
from gateway.server.short.client import Client
from gateway.server.short.lane import Means
from gateway.server.short.learned import LearnedBlock, LearnedTarget, Permit
from gateway.server.short.request_body import RequestBody
from gateway.server.short.websocket import SWITCH, check_accept, join
from gateway.tasks import OwnedTask
from gateway.upstream.connection import Connection
from gateway.upstream.http import may_repeat
from gateway.upstream.request import BodyFraming, build_end, encode_fields, title_case
from gateway.web.answers.answer import Answer
from gateway.web.body_limit import check_length
from gateway.web.exchange import Exchange, new_request_id
from gateway.web.pipeline import OwnPage

_SMALL: Final = 64 * 1024
"""Up to so many bytes, joining is cheaper than writing twice."""


class ShortExchange(Exchange):
    """One request and its answer; the sink of the upstream connection that carries it."""

    done = False
    is_websocket = False
    _head: RequestHead | None = None
    passage: Passage | None = None  # what let it in
    _permit: Permit | None = None
    _request = b""  # its head, as the upstream is sent it
    _body: RequestBody | None = None  # of the request
    _connection: Connection | None = None
    _task: OwnedTask | None = None
    _out = b""  # the head of the answer, not written yet
    _chunked = False
    _binding = False  # the request may sign in the connection that carries it

    def __init__(self, means: Means, client: Client, known: LearnedBlock, target: LearnedTarget) -> None:
        self.began_at = perf_counter()  # as `Exchange` does; a call less
        self.request_id = new_request_id()
        self.known = known
        self.target = target
        self._means = means
        self._client = client

    def note_head(self, head: RequestHead, framing: BodyFraming | None) -> None:
        """Take a head that was read as a whole, and the framing of the body that follows."""
        self._head = head
        self.is_websocket = head.websocket
        self.request_id = head.front.request_id or self.request_id
        self._binding = any(signs_in_connection(*field) for field in head.headers)
        if framing is not None:
            self._body = RequestBody(framing, build_end(head.method, framing))

    @property
    def answering(self) -> bool:
        """Whether some of the answer is on its way."""
        return self.status != 0

    @property
    def holder(self) -> str:
        """Whose request it is."""
        return self.known.sender.origin.network

    @property
    def body_left(self) -> int:
        """How many bytes of a counted request body are still to come; -1 when it is not counted."""
        return self._body.left if self._body is not None else -1

    def head(self) -> RequestHead:
        """Return the whole head."""
        if self._head is None:
            self._head = self.target.build_head(self.known)
        return self._head

    # Judging

    def ask(self) -> None:
        """Have the gate ask the store."""
        self._run(self._ask())

    async def _ask(self) -> None:
        match await self._means.pipeline.judge(self.head(), self):
            case Passage() as passage:
                self.admit(passage)
                self.flush()
            case Answer() as answer:
                self._answer(answer)
            case OwnPage():  # only of a WebSocket: `ShortWay` leaves other requests for them to the app
                raise NoSuchPage("none of the gateway's own pages takes WebSockets")

    def confirm(self, permit: Permit) -> None:
        """Enter with a permit that no longer holds, if the store says that nothing has changed."""
        pipeline, caller = self._means.pipeline, permit.passage.caller
        if caller is None:
            raise GatewayError("a passage that depends on nobody always holds")

        def told(same: bool | StoreUnavailable) -> None:
            if self.done:
                return
            if isinstance(same, StoreUnavailable):
                self._fail(same)
            elif same:
                if caller.remembered:
                    permit.renew(pipeline.seconds_left(permit.passage))
                self.go(permit)
            else:
                self.ask()

        pipeline.confirm(caller, told)

    def admit(self, passage: Passage) -> None:
        """Let the request in, and remember what that took.

        Raises `NothingHere` where the route leads to no upstream, `ContentTooLarge` or `Forbidden`.
        """
        lane = self._means.lanes.get(passage.match.route.upstream)
        if lane is None:
            raise NothingHere("the route leads to no upstream")
        sender, head = self.known.sender, self._head
        if not self.known.block and head is not None:  # read by the parser: not judged yet
            lane.door.check_websocket(head)
            check_length(head, passage.match.route.body_limit)
            sender.passing = encode_fields(lane.door.passing_fields(head, passage.allow))
        if self._body is not None:
            self._body.limit(passage.match.route.body_limit)
        seconds_left = self._means.pipeline.seconds_left(passage)
        permit = Permit(passage, lane.towards(sender.origin), seconds_left, sender.origin.client_address)
        sender.permits[passage.match.index] = permit
        self.enter(permit)

    def go(self, permit: Permit) -> None:
        """Let a request in that has no body, and send it."""
        self.enter(permit)
        connection = permit.lane.pool.take_idle(self.known.sender.origin.network)
        if connection is not None:
            self.start(connection)
        else:
            self.flush()

    def enter(self, permit: Permit) -> None:
        """Let the request in; it is sent with the next `flush`."""
        self._permit = permit
        self.passage = permit.passage
        target = self.target
        known = self.known
        sender = known.sender
        lead = target.lead or target.aim(permit.lane, sender.origin.host)
        end = target.end
        if self._body is not None:
            end = self._body.end
        elif self.is_websocket:
            end = SWITCH + b"\r\n"
        own = permit.passage.allow.set_lines
        self._request = b"".join((lead, self.request_id.encode(), b"\r\n", known.passing, sender.passing, own, end))
        if permit.lane.title_case:
            self._request = title_case(self._request)

    # The request

    def take_body(self, data: bytes, *, last: bool) -> None:
        """Take some of the request body; it is sent with the next `flush`."""
        if self.done or self._body is None:
            return
        try:
            self._body.add(data, last=last)
        except RequestRefused as error:
            self._fail(error)

    def flush(self) -> None:
        """Send what there is of the request: called when one read of the client's socket has been parsed."""
        if self.done:
            return
        if self._connection is not None:
            if self._body is not None:
                self._connection.write(self._body.take(), last=self._body.complete)
        elif self._permit is not None and not self._is_waiting() and (self._body is None or self._body.may_go):
            connection = self._permit.lane.pool.take_idle(self.holder)
            if connection is not None:
                self.start(connection)
            else:
                self._run(self._connect(fresh=False))
        elif self._body is not None and self._body.is_much:
            self._client.hold(self._body.size)

    def _is_waiting(self) -> bool:
        """Whether the gate, or a connection, is being waited for."""
        return self._task is not None and self._task.goes_on

    async def _connect(self, *, fresh: bool) -> None:
        assert self._permit is not None  # noqa: S101 -- nothing is sent before
        self.start(await self._permit.lane.pool.acquire(self.holder, fresh=fresh))

    def start(self, connection: Connection) -> None:
        """Send the request on a connection."""
        self._connection = connection
        body = self._body
        connection.start(
            self,
            self._request if body is None else self._request + body.take(),
            head_request=self.target.method == "HEAD",
            complete=body is None or body.complete,
            upgrade=self.is_websocket,
            binding=self._binding,
        )
        if body is not None:
            self._client.release()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        self._task = OwnedTask(work, self._fail)

    # What the upstream connection calls

    def on_whole(self, head: AnswerHead, body: bytes) -> None:
        """Answer at once."""
        if self.done:
            return
        permit: Permit = self._permit  # type: ignore[assignment]  # nothing was sent without one
        client = self._client
        self.status = head.status
        own = client.own_fields()
        if self._means.answer_ids:
            own += self._id_field()
        lines = (STATUS_LINE[head.status], own, permit.lane.answer_lines(head, permit.passage.allow))
        if len(body) <= _SMALL:
            client.transport.write(b"".join((*lines, body)))
        else:
            client.transport.write(b"".join(lines))
            client.transport.write(body)
        self.done = True
        self.report()
        client.finish(self.known, whole=True)

    def on_head(self, status: int, fields: list[AnswerField], length: int) -> None:
        """Build the head of the answer."""
        permit: Permit = self._permit  # type: ignore[assignment]  # nothing was sent without one
        kept = permit.lane.response_fields(fields, permit.passage.allow)
        own, end = self._client.own_fields(), b"\r\n"
        if status == 101:
            own = self._client.date_field()  # it does not close
            check_accept(first(self.head().headers, b"sec-websocket-key"), fields)
            end = SWITCH + end
        elif has_no_body(status):
            kept = [field for field in kept if field.kind != LENGTH]
        elif length < 0 and self.target.method != "HEAD":
            self._chunked = True
            end = b"transfer-encoding: chunked\r\n\r\n"
        if self._means.answer_ids:
            own += self._id_field()
        self.status = status
        self._out = b"".join((STATUS_LINE[status], own, *[field.line for field in kept], end))

    def _id_field(self) -> bytes:
        return b"%b: %b\r\n" % self.id_field()

    def on_body(self, data: bytes) -> None:
        """Pass some of the body on."""
        if self.done:
            return
        if self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        if self._out:
            if len(data) <= _SMALL:
                data = self._out + data
            else:
                self._client.transport.write(self._out)
            self._out = b""
        self._client.transport.write(data)

    def on_flush(self) -> None:
        """Write the head, if nothing of the body has come with it."""
        if self._out and not self.done:
            out, self._out = self._out, b""
            self._client.transport.write(out)

    def on_end(self, error: UpstreamError | None) -> None:
        """End the answer, or say why there is none, or try again."""
        if self.done:
            return
        if error is not None:
            self._retry_or_fail(error)
            return
        if self._chunked:
            self._client.transport.write(self._out + b"0\r\n\r\n")
        elif self._out:
            self._client.transport.write(self._out)
        self._finish(whole=True)

    def on_switch(self, rest: bytes) -> None:
        """Join both sockets; the request is told when the WebSocket ends."""
        if self.done or self._connection is None or self._permit is None:
            return
        self.on_flush()
        self.done = True
        passage = self._permit.passage
        self.note_passage(passage)
        self.client_address = self.known.sender.origin.client_address
        join(self, self._client, self._connection, passage, self._means, rest)
        # it may last for days, and there may be thousands
        for name in ("_client", "_connection", "_head", "_permit", "_request", "_task", "known", "passage"):
            self.__dict__.pop(name, None)

    def on_tick(self) -> None:
        """Nothing to do: the server tells at once when the client hangs up."""

    def on_full(self) -> None:
        """The upstream is slow to take the body."""
        if self._connection is not None:
            self._client.hold(self._connection.unsent)

    def on_drained(self) -> None:
        """It takes more."""
        self._client.release()

    # What the client's connection calls

    def pause(self) -> None:
        """The client is slow: the upstream must wait."""
        if self._connection is not None and not self.done:
            self._connection.pause()

    def resume(self) -> None:
        """The client has taken what there was."""
        if self._connection is not None and not self.done:
            self._connection.resume()

    def forget_body(self) -> None:
        """Let go of what is kept of the request body: the connection is about to end."""
        if self._body is not None:
            self._body.take()

    def abandon(self) -> None:
        """The client is gone: so is the request."""
        if not self.done:
            self._leave()
            self.report()

    # Ends

    def end(self, code: int) -> None:
        """End the request, unless it ends by itself in time: whom it was for is no longer let in."""
        left = seconds_of_grace(self.began_at, perf_counter())
        asyncio.get_running_loop().call_later(left, self._fail, why(code))

    def _retry_or_fail(self, error: UpstreamError) -> None:
        connection = self._connection
        if (
            connection is not None
            and not self.status
            and may_repeat(self.target.method, self._body is not None, error, connection)
        ):
            self._connection = None
            self._run(self._connect(fresh=True))
        else:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if self.done:
            return
        answer = self._means.pipeline.answer_error(_as_exception(error), self.head(), self)
        if self.status:
            self.on_flush()
            self._finish(whole=False)
        else:
            self._answer(answer)

    def _answer(self, answer: Answer) -> None:
        """Answer for ourselves."""
        if self.done:
            return
        self.status = answer.status
        ids = (self.id_field(),) if self._means.answer_ids else ()
        fields = (*answer.headers, *ids, *answer.length_headers())
        lines = b"".join([b"%b: %b\r\n" % field for field in fields])
        head = b"%b%b%b\r\n" % (STATUS_LINE[answer.status], self._client.own_fields(), lines)
        self._client.transport.write(head if self.target.method == "HEAD" else head + answer.body)
        self._finish(whole=True)

    def _finish(self, *, whole: bool) -> None:
        self._leave()
        self.report()
        self._client.finish(self.known, whole=whole)

    def _leave(self) -> None:
        """Leave nothing behind: no task, and no connection that is in the middle of something."""
        self.done = True
        if self._connection is not None:
            self._connection.leave(self)
        if self._task is not None:
            self._task.cancel()

    def report(self) -> None:
        """Tell the request in the log, and count it."""
        target, permit, means = self.target, self._permit, self._means
        lines = means.lines
        if permit is None or lines is None or self.error is not None:
            if permit is not None:
                self.note_passage(permit.passage)
                self.client_address = self.known.sender.origin.client_address
            self.tell(target.method, target.path.text, means.metrics)
            return
        duration = perf_counter() - self.began_at
        means.metrics.count_request("allow", self.status, duration)
        lines.write(self.request_id, target.described, permit.described, self.status, duration)


def _as_exception(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else GatewayError(f"ended by {type(error).__name__}")
