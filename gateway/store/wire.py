"""One connection to Redis with many commands under way (pipelining).

redis-py connects and greets, for TLS, users and Sentinels are its business; then its stream is ours. A command goes
straight to the transport, hiredis parses what comes back, and it is told at once: without the task, the lock, the
future and the timer of each command, which together cost several times what Redis does.

Rules
1. An answer is that of the question which was asked first of those that wait. What does not fit, an answer that nobody
   waits for or bytes that are none, ends the connection: nothing on it could be believed any more.
2. A connection that ends hands back whoever waits. It is never asked again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final, Protocol

import hiredis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse

from gateway.store.faults import read_refusal

_NOT_YET: Final = object()


@dataclass(slots=True, eq=False)
class Question:
    """Packed commands, and who is told what is made of their answers; or one of `FAULTS`."""

    commands: bytes
    count: int  # of answers
    read: Callable[[list[Any]], Any]  # raises what redis-py raises; a refusal among the answers is a `RedisError`
    told: Callable[[Any], None]
    until: float  # when it is too late for an answer, in the event loop's time
    again: bool = False  # whether a connection was given up over it
    answers: list[Any] = field(default_factory=list)


class Asker(Protocol):
    """Whoever asks over wires."""

    def answered(self, wire: Wire, question: Question) -> None:
        """All answers to a question are here."""

    def ended(self, wire: Wire, left: Sequence[Question], error: Exception) -> None:
        """A wire is no more, and some questions are left."""


class Wire(asyncio.Protocol):
    """A connection that is connected. Takes the stream of a redis-py connection over, which has none from here on."""

    def __init__(self, connection: Any, asker: Asker) -> None:
        self._writer: asyncio.StreamWriter = connection._writer  # kept: it would close the transport when it goes
        self._transport: asyncio.WriteTransport = self._writer.transport
        connection._writer = connection._reader = None
        self._replies = hiredis.Reader(InvalidResponse, read_refusal, notEnoughData=_NOT_YET)
        self._asker = asker
        self._asked: deque[Question] = deque()
        self._retired = False
        self.over = False
        self._transport.set_protocol(self)

    @property
    def dead(self) -> bool:
        """Whether nothing can be asked over it."""
        return self.over or self._retired or self._transport.is_closing()

    def send(self, question: Question) -> None:
        """Ask, behind all that was asked before."""
        self._asked.append(question)
        self._transport.write(question.commands)

    @property
    def due(self) -> float:
        """When somebody who waits has waited for too long (`Question.until`); infinite when nobody waits."""
        return min((question.until for question in self._asked), default=inf)

    def retire(self) -> None:
        """Ask nothing more over it, and close it as soon as all is answered."""
        self._retired = True
        if not self._asked:
            self.end(RedisConnectionError("it is not needed any more"))

    def end(self, error: Exception) -> None:
        """Close it at once; `error` is why."""
        if self.over:
            return
        self.over = True
        self._transport.abort()  # what is not sent yet would be sent in vain
        left, self._asked = tuple(self._asked), deque()
        self._asker.ended(self, left, error)

    def data_received(self, data: bytes) -> None:
        """Take bytes from Redis."""
        try:
            self._replies.feed(data)
            while not self.over and (answer := self._replies.gets()) is not _NOT_YET:
                self._take(answer)
        except InvalidResponse as error:
            self.end(error)

    def _take(self, answer: Any) -> None:
        if not self._asked:
            raise InvalidResponse("an answer that nobody waits for")
        question = self._asked[0]
        question.answers.append(answer)
        if len(question.answers) < question.count:
            return
        self._asked.popleft()
        self._asker.answered(self, question)
        if self._retired:
            self.retire()

    def connection_lost(self, error: Exception | None) -> None:
        """Redis has closed it, or it was lost."""
        self.end(error or RedisConnectionError("Redis has closed the connection"))
