"""A request on the short way, as far as it is answered: with what the upstream connection says, or by ourselves.

Rules
- What was cut short is never ended as if it were whole: the connection is closed instead (RFC 9112 §8).
- The slower side sets the pace (backpressure): a client that does not read stops the upstream, an upstream that does
  not read stops the client.
- Whatever ends it, nothing is left behind, and it is told in one line of the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from time import perf_counter
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from gateway.core.fields import first
from gateway.core.request import RequestHead
from gateway.core.response import AnswerField, AnswerHead
from gateway.errors import GatewayError, UpstreamError
from gateway.flows.gate import Passage
from gateway.flows.live import Asked, seconds_of_grace, why
from gateway.server.short.answer_writer import SMALL, AnswerWriter, encode_answer
from gateway.server.short.client import Client
from gateway.server.short.lane import Means
from gateway.server.short.learned import LearnedBlock, LearnedTarget
from gateway.server.short.permit import Permit
from gateway.server.short.websocket import join
from gateway.tasks import OwnedTask
from gateway.upstream.connection import Connection
from gateway.upstream.handshake import check_accept
from gateway.web.answers.answer import Answer
from gateway.web.exchange import Exchange, new_request_id


class AnsweringExchange(Exchange):
    """One request and its answer; the sink of the upstream connection that carries it."""

    done = False
    passage: Passage | None = None  # what lets it be under way
    _head: RequestHead | None = None
    _permit: Permit | None = None  # what let it in
    _connection: Connection | None = None
    _task: OwnedTask | None = None
    _writer: AnswerWriter | None = None  # of an answer that comes in pieces

    def __init__(self, means: Means, client: Client, block: LearnedBlock, target: LearnedTarget) -> None:
        self.began_at = perf_counter()  # as `Exchange` does; a call less
        self.request_id = new_request_id()
        self.block = block
        self.target = target
        self._means = means
        self._client = client

    @property
    def answering(self) -> bool:
        """Whether some of the answer is on its way."""
        return self.status != 0

    @property
    def holder(self) -> str:
        """Whose request it is."""
        return self.block.sender.origin.network

    @property
    def asked(self) -> Asked:
        """What is asked for."""
        target, sender = self.target, self.block.sender
        return Asked(target.method, sender.origin.host, target.path, sender.session_key or "")

    def goes_by(self, means: Means) -> bool:
        """Whether these are what it needs to be answered."""
        return not self.done and self._means is means

    def head(self) -> RequestHead:
        """Return the whole head."""
        if self._head is None:
            self._head = self.target.build_head(self.block)
        return self._head

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Have a task work for the request; its error ends it."""
        self._task = OwnedTask(work, self.fail)

    # What the upstream connection calls

    def on_whole(self, head: AnswerHead, body: bytes) -> None:
        """Answer at once: the usual way, so everything is written out here."""
        if self.done:
            return
        permit: Permit = self._permit  # type: ignore[assignment]  # nothing was sent without one
        client = self._client
        self.status = head.status
        own = client.own_fields()
        if self._means.answer_ids:
            own += self._id_line()
        lines = (STATUS_LINE[head.status], own, permit.lane.answer_lines(head, permit.passage.allow))
        if len(body) <= SMALL:
            client.transport.write(b"".join((*lines, body)))
        else:
            client.transport.write(b"".join(lines))
            client.transport.write(body)
        self.done = True
        self.report()
        client.finish(self.block, whole=True)

    def on_head(self, status: int, fields: list[AnswerField], length: int) -> None:
        """Begin the answer."""
        permit: Permit = self._permit  # type: ignore[assignment]  # nothing was sent without one
        kept = permit.lane.response_fields(fields, permit.passage.allow)
        if status == 101:
            check_accept(first(self.head().headers, b"sec-websocket-key"), fields)
            own = self._client.date_field()  # it does not close
        else:
            own = self._client.own_fields()
        if self._means.answer_ids:
            own += self._id_line()
        self.status = status
        to_head = self.target.method == "HEAD"
        self._writer = AnswerWriter(self._client.transport, status, own, kept, length, to_head=to_head)

    def _id_line(self) -> bytes:
        return b"%b: %b\r\n" % self.id_field()

    def on_body(self, data: bytes) -> None:
        """Pass some of the body on."""
        writer = self._writer
        if writer is not None and not self.done:
            writer.add(data)

    def on_flush(self) -> None:
        """Write the head, if nothing of the body has come with it."""
        writer = self._writer
        if writer is not None and writer.head and not self.done:
            writer.flush()

    def on_end(self, error: UpstreamError | None) -> None:
        """End the answer, or say why there is none."""
        if self.done:
            return
        if error is not None:
            self._lose_connection(error)
            return
        if self._writer is not None:
            self._writer.end()
        self.done = True  # and nothing to leave: the connection has let go of us, and no task is under way
        self.report()
        self._client.finish(self.block, whole=True)

    def _lose_connection(self, error: UpstreamError) -> None:
        """Do what there is to do when the upstream connection has failed."""
        self.fail(error)

    def on_switch(self, rest: bytes) -> None:
        """Join both sockets; the request is told when the WebSocket ends."""
        if self.done or self._connection is None or self._permit is None:
            return
        self.on_flush()
        self.done = True
        passage = self._permit.passage
        self.note_passage(passage)
        self.client_address = self.block.sender.origin.client_address
        join(self._client, self._connection, passage, self.asked, self._means, rest, self.report)
        # it may last for days, and there may be thousands
        for name in ("_client", "_connection", "_head", "_permit", "_request", "_task", "_writer", "block", "passage"):
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

    # Ends

    def abandon(self) -> None:
        """The client is gone: so is the request."""
        if not self.done:
            self._leave()
            self.report()

    def end(self, code: int) -> None:
        """End the request, unless it ends by itself in time: whom it was for is no longer let in."""
        left = seconds_of_grace(self.began_at, perf_counter())
        asyncio.get_running_loop().call_later(left, self.fail, why(code))

    def fail(self, error: BaseException) -> None:
        """End the request with an error: answer it, or break off the answer that has begun."""
        if self.done:
            return
        answer = self._means.pipeline.answer_error(_as_exception(error), self.head(), self)
        if self.status:
            self.on_flush()
            self._finish(whole=False)
        else:
            self.answer(answer)

    def answer(self, answer: Answer) -> None:
        """Answer for ourselves."""
        if self.done:
            return
        self.status = answer.status
        ids = (self.id_field(),) if self._means.answer_ids else ()
        to_head = self.target.method == "HEAD"
        self._client.transport.write(encode_answer(answer, self._client.own_fields(), ids, to_head=to_head))
        self._finish(whole=True)

    def _finish(self, *, whole: bool) -> None:
        self._leave()
        self.report()
        self._client.finish(self.block, whole=whole)

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
        if permit is None or means.lines is None or self.error is not None:
            if permit is not None:
                self.note_passage(permit.passage)
                self.client_address = self.block.sender.origin.client_address
            self.tell(target.method, target.path.text, means.metrics)
        else:
            self.tell_allowed(target.described, permit.described, means.lines, means.metrics)


def _as_exception(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else GatewayError(f"ended by {type(error).__name__}")
