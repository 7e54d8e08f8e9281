"""One client connection of our own server: its life, how long it may take for what, and its end.

A client that dawdles holds nothing for long (slowloris): it has only so much time for a head, for the next piece of a
body, and to take an answer. What waits for it or from it here is counted, by address (see `connections`).

A connection is closed gently: a client that is still sending gets to read why (RFC 9112 §9.6).
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import Any, ClassVar, Final

import httptools
import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.core.forwarded import unmap
from gateway.server.connections import TICK, ConnectionGuard
from gateway.server.cycle import Cycle, Flow
from gateway.server.refusal import build_refusal

REST, HEAD, BODY = range(3)
"""Where the parser stands: between two requests, or within the head or the body of one."""
LINGER: Final = 5.0
LINGER_BYTES: Final = 64 * 1024 * 1024
"""Seconds for, and bytes of, what a client still sends after it was answered: read and dropped, so that it reads on."""
PATIENCE: Final = 2.0
"""Seconds for which what is pipelined behind an unfinished request is kept."""


class Timeouts(msgspec.Struct, frozen=True):
    """How long a client may take, in seconds."""

    head: float = 10.0
    body: float = 30.0  # between two pieces
    body_rate: float = 0.0  # bytes a second of a body that takes longer than that; 0: any number
    send: float = 60.0  # without taking anything of what waits for it
    keep_alive: float = 75.0


class ClientConnection(HttpToolsProtocol):
    """One client connection: all but the reading of what comes on it, which is a subclass's."""

    timeouts: ClassVar[Timeouts] = Timeouts()
    guard: ConnectionGuard  # of the server
    came_from: tuple[str, int] | None = None  # who it is for, where a balancer has said so
    arrived_at = 0.0  # when it was accepted, if something came before HTTP
    cycle: Cycle | None  # type: ignore[assignment]  # uvicorn says that it is always there, and it is not
    flow: Flow

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._phase = REST
        self._waiting = b""  # what was read and waits to be parsed
        self._waiting_since = 0.0
        self._waits: dict[str, int] = {}  # bytes that wait, by what they are
        self._upgraded = False  # uvicorn's WebSocket protocol has the connection
        self._came = 0  # bytes of the body under way
        self._body_since = 0.0  # when it began, what we made it wait left out
        self._served = False  # whether there has been a request
        self._since = 0.0  # when the head under way began, the body went on, or the last answer ended
        self._unsent = 0  # bytes that wait for a slow client, and since when they are that many
        self._unsent_since = 0.0
        self._ending = False  # the connection ends, whatever else comes
        self._dropping = False  # nothing more of it is a request
        self._linger_until = 0.0  # when it ends, at the latest; 0: not yet
        self._linger_left = LINGER_BYTES

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, unless the address has too many connections already."""
        super().connection_made(transport)
        self.flow = Flow(transport, self._go_on_soon)
        if self.came_from is not None:
            self.client = self.came_from
        if self.client is not None:
            self.client = unmap(self.client[0]), self.client[1]
        self._since = self.arrived_at or self.loop.time()
        if not self.guard.admit(self, self.client[0] if self.client else None):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """End what is in hand, and leave nothing that leads back here."""
        self.guard.discard(self)
        super().connection_lost(exc)
        self._waiting = b""
        self.flow.let_go()
        if self.cycle is not None:
            self.cycle.let_go()
            self.cycle = None

    def pause_writing(self) -> None:
        """The client is slow."""
        super().pause_writing()
        self._unsent_since = self.loop.time()
        self._note_unsent(self.transport.get_write_buffer_size())

    def _note_unsent(self, size: int) -> None:
        self._unsent = size
        by_the_app = self.cycle is not None and not self.cycle.response_complete  # which keeps as much again
        self._note_waiting(unsent=2 * size if by_the_app else size)

    def resume_writing(self) -> None:
        """The client has caught up."""
        super().resume_writing()
        self._unsent = 0
        self._note_waiting(unsent=0)
        if self._waiting:
            self._go_on_soon()

    def on_response_complete(self) -> None:
        """Wait for the next request, or take the one that waits already."""
        self.server_state.total_requests += 1
        if self._waits:
            self._note_waiting(body=0, head=0)
        self._since = self.loop.time()
        self.flow.resume_reading()
        if self._waiting:
            self._go_on_soon()

    @abstractmethod
    def go_on(self) -> None:
        """Parse what waits, if its time has come."""

    def _go_on_soon(self) -> None:
        self.guard.call_in_turn(self)

    # What waits

    def _note_body(self, size: int) -> None:
        """Note that some of a request body has come."""
        self._since = self.loop.time()
        self._came += size

    def _note_waiting(self, **sizes: int) -> bool:
        """Note what waits here, by what it is; if all that of its address is too much, the connection ends: False."""
        self._waits |= sizes
        total = sum(self._waits.values())
        if not total:
            self._waits.clear()
        may_wait = self.guard.note_waiting(self, total)
        if not may_wait:
            self._forget_input()  # now: many a connection may be read from before the event loop ends this one
            self.transport.abort()
        return may_wait

    def _forget_input(self) -> None:
        """Let go of what was read."""
        self._waiting = b""
        if self.cycle is not None:
            self.cycle.body = bytearray()

    # The clock's side

    def tick(self, now: float) -> None:
        """End what takes too long; called about once a second."""
        if self._upgraded:  # this object hears no more of the connection
            if self.transport.is_closing():
                self.guard.discard(self)
            return
        timeouts, waited = self.timeouts, now - self._since
        if self.flow.write_paused or self.transport.is_closing():
            self._check_reader(now)
            if self._phase != HEAD or self.transport.is_closing():  # whatever else there is waits for the reader
                return
        if self._waiting and self._phase == REST and not self._is_free():
            if now - self._waiting_since > PATIENCE:
                self._take_no_more()
        elif self._linger_until:
            if now > self._linger_until:
                self.transport.close()
        elif self._phase == BODY:
            if self.flow.read_paused:
                self._body_since += TICK  # it is us who are slow
            elif waited > timeouts.body or self._is_too_slow(now):
                self._give_up_body()
        elif self._phase == HEAD:
            if waited > timeouts.head:
                self._refuse(b"408 Request Timeout", b"The request headers took too long.")
        elif self._is_free() and waited > (timeouts.keep_alive if self._served else timeouts.head):
            self.transport.close()

    def _check_reader(self, now: float) -> None:
        """End a client that takes nothing of what waits for it. More that waits is nothing taken."""
        unsent, before = self.transport.get_write_buffer_size(), self._unsent
        if unsent < before or not before:
            self._unsent, self._unsent_since = unsent, now
        elif unsent > before:
            self._note_unsent(unsent)
        if unsent and now - self._unsent_since > self.timeouts.send:
            self.transport.abort()

    def _is_too_slow(self, now: float) -> bool:
        """Whether a body comes at less than the least rate, once it has taken the time of a pause."""
        rate = self.timeouts.body_rate
        return rate > 0 and now - self._body_since > self.timeouts.body + self._came / rate

    def _give_up_body(self) -> None:
        self._drop()
        self._refuse(b"408 Request Timeout", b"The request body took too long.")

    def _take_no_more(self) -> None:
        """Drop what is pipelined behind a request that takes long, and end the connection with its answer.

        A connection that is not read from does not tell that its client has left. Who pipelines asks anew for what is
        not answered (RFC 9112 §9.3.2).
        """
        self._dropping = True
        self._waiting = b""
        self._note_waiting(unread=0)
        self._last_of_connection()
        self.flow.empty()

    def _last_of_connection(self) -> None:
        """Have the connection end with the answer in hand."""
        if self.cycle is not None:
            self.cycle.keep_alive = False

    # Ends

    def _is_free(self) -> bool:
        """Whether no other request is in hand."""
        return self.cycle is None or self.cycle.response_complete

    def _may_begin(self) -> bool:
        """Whether another request may be taken: not before the client has taken the last answer."""
        return self._is_free() and not self.flow.write_paused

    def _drop(self) -> None:
        """Give up the request in hand; what was answered of it so far must not look complete."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            return
        answering = cycle.response_started
        cycle.give_up()
        if answering:
            self.transport.close()

    def _refuse(self, status: bytes, text: bytes) -> None:
        """Refuse what came last; everything before it is answered."""
        if self.transport.is_closing() or self._ending:
            return
        self.transport.write(build_refusal(status, text, self.headers or []))
        self._end()

    def end_answer(self) -> None:
        """Close, after what was written: gently, if that was a whole answer."""
        if self.cycle is not None and self.cycle.response_complete:
            self._end()
        else:
            self.transport.close()

    def _end(self) -> None:
        """End the connection after what was written.

        Where the client is still sending, what it sends is dropped for a while: to close on it at once is a reset,
        which takes the answer away before it was read (RFC 9112 §9.6).
        """
        at_rest = self._phase == REST and not (self._waiting or self._dropping)
        self._ending = True
        self._waiting = b""
        self.headers = []  # of a head that is refused, and may be large: the connection may stay for a while
        self._renew_parser()
        if at_rest or self.transport.is_closing():
            self.transport.close()
            return
        self._linger_until = self.loop.time() + LINGER
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.read_paused = False
        self.flow.empty()
        self.transport.resume_reading()

    def _renew_parser(self) -> None:
        """Take a new parser: the old one waits for what will not come."""
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
