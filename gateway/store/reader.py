"""The read that nearly every request needs, over a connection that all who ask share (see `wire`).

A connection that is lost, or over which Redis refuses, is given up, and what was asked over it is asked once more over
a fresh one. Whoever asks is told in time, whatever happens: when Redis hangs, all who wait behind the first that is
late are told so with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from math import inf
from typing import Any, Final

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, RedisError

from gateway.store.faults import FAULTS
from gateway.store.wire import Question, Wire

Values = list[bytes | None]

_TICK: Final = 0.001
"""Seconds between two looks at who waits for too long, at least."""


class Reader:
    """Reads many keys with one command. `make` returns a redis-py connection that is not connected yet."""

    def __init__(self, make: Callable[[], Any], *, timeout: float) -> None:
        """`timeout`: within how many seconds whoever asks is told."""
        self._make = make
        self._timeout = timeout
        self._wire: Wire | None = None  # the one that is asked
        self._wires: set[Wire] = set()  # all over which answers may come
        self._queue: list[Question] = []  # for the connection that is being made
        self._connecting: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = 0  # times

    def read(self, keys: Sequence[str], told: Callable[[Values | Exception], None]) -> None:
        """Have the values told, in order; or one of `FAULTS`."""

        def read_values(answers: list[Any]) -> Values:
            return _read_values(answers[0], len(keys))

        self.exchange(pack("MGET", *keys), 1, read_values, told)

    def exchange(
        self, commands: bytes, count: int, read: Callable[[list[Any]], Any], told: Callable[[Any], None]
    ) -> None:
        """Send packed commands, and have it told what `read` makes of their answers; or one of `FAULTS`.

        `read` raises what redis-py raises where they are of no use; they are asked once more then.
        """
        loop = asyncio.get_running_loop()
        if self._timer is None:
            self._timer = loop.call_later(self._timeout, self._look)
        self._ask(Question(commands, count, read, told, loop.time() + self._timeout))

    def _ask(self, question: Question) -> None:
        if self._wire is not None and not self._wire.dead:
            self._wire.send(question)
            return
        self._queue.append(question)
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._connect(), name="reader connects")

    async def _connect(self) -> None:
        """Make a connection, and ask over it what waits for one; whatever happens, nobody is left waiting."""
        connection, closed = self._make(), self._closed
        failed: Exception = RedisConnectionError("connecting was broken off")
        try:
            async with asyncio.timeout(self._timeout):
                await connection.connect()
            self._begin(Wire(connection, self))
            if closed != self._closed:
                self.close()
        except FAULTS as error:
            failed = error
        finally:
            self._connecting = None
            left = self._take_queue()
            for question in left:
                question.told(failed)
            await connection.disconnect(nowait=True)

    def _begin(self, wire: Wire) -> None:
        self._wire = wire
        self._wires.add(wire)
        for question in self._take_queue():
            wire.send(question)

    def _take_queue(self) -> list[Question]:
        queue, self._queue = self._queue, []
        return queue

    def answered(self, wire: Wire, question: Question) -> None:
        """Tell what is made of the answers."""
        try:
            found = question.read(question.answers)
        except RedisError as error:
            self._give_up(wire)
            self._ask_again(question, error)
        else:
            question.told(found)

    def ended(self, wire: Wire, left: Sequence[Question], error: Exception) -> None:
        """Ask again what a wire has left, or tell what has become of it."""
        self._wires.discard(wire)
        if self._wire is wire:
            self._wire = None
        for question in left:
            self._ask_again(question, error)

    def _ask_again(self, question: Question, error: Exception) -> None:
        if question.again or isinstance(error, TimeoutError):
            question.told(error)
            return
        question.again = True
        question.answers = []
        self._ask(question)

    def _give_up(self, wire: Wire) -> None:
        """Ask nobody over a wire any more; what is under way is answered."""
        if self._wire is wire:
            self._wire = None
        wire.retire()

    def _look(self) -> None:
        """Tell whoever has waited for too long."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        late = [question for question in self._queue if question.until <= now]
        self._queue = [question for question in self._queue if question.until > now]
        for question in late:
            question.told(TimeoutError())
        for wire in tuple(self._wires):
            if wire.due <= now:
                wire.end(TimeoutError())
        due = min([wire.due for wire in self._wires] + [question.until for question in self._queue], default=inf)
        self._timer = loop.call_later(max(due - now, _TICK), self._look) if due < inf else None

    def close(self) -> None:
        """Close the connection: as soon as it has answered. Another is made if somebody asks again."""
        self._closed += 1
        for wire in tuple(self._wires):
            self._give_up(wire)


class TaskReader:
    """Reads in a task each time, where there is no such connection. `fetch` raises one of `FAULTS`."""

    def __init__(self, fetch: Callable[[Sequence[str]], Awaitable[Values]], *, timeout: float) -> None:
        """`timeout`: within how many seconds whoever asks is told."""
        self._fetch = fetch
        self._timeout = timeout
        self._tasks: set[asyncio.Task[None]] = set()

    def read(self, keys: Sequence[str], told: Callable[[Values | Exception], None]) -> None:
        """Have the values told, in order; or one of `FAULTS`."""
        task = asyncio.create_task(self._read(keys, told), name="read")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read(self, keys: Sequence[str], told: Callable[[Values | Exception], None]) -> None:
        found: Values | Exception = RedisConnectionError("the read was broken off")
        try:
            async with asyncio.timeout(self._timeout):
                found = list(await self._fetch(keys))
        except FAULTS as error:
            found = error
        finally:
            # whatever happened, nobody is left waiting
            told(found)

    def close(self) -> None:
        """Nothing is kept open."""


def pack(*words: str) -> bytes:
    """Pack a command (RESP, "Sending commands to a Redis server"); its words are ASCII."""
    text = "".join([f"${len(word)}\r\n{word}\r\n" for word in words])
    return f"*{len(words)}\r\n{text}".encode("ascii")


def _read_values(answer: Any, count: int) -> Values:
    """Read the answer to MGET. Raises what redis-py raises."""
    if isinstance(answer, RedisError):
        raise answer
    if not isinstance(answer, list) or len(answer) != count:
        raise InvalidResponse("the answer is not that of MGET")
    return answer
