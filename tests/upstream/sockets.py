"""A WebSocket through the whole gateway, both ends by hand."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass

from tests.frames import ASKING, CLOSE, CONTINUATION, PING, PONG, Frame, close, frame, read_frame, switching
from tests.scripted import Visit
from tests.talk import Talk, compose
from tests.upstream.conftest import Stage

WAIT = 10.0


class Far:
    """The upstream's end of a socket; what arrives there waits in a queue, the end is None.

    It answers a goodbye, and hangs up once both ends have said one (RFC 6455 §7.1.1), unless it is not `polite`.
    """

    def __init__(self, *, polite: bool) -> None:
        self._polite = polite
        self._arrived: queue.Queue[Frame | None] = queue.Queue()
        self._open = threading.Event()
        self._leaving = threading.Event()
        self._said_close = False
        self._visit: Visit | None = None
        self._leave = Visit.hang_up

    def serve(self, visit: Visit, head: bytes) -> None:
        visit.say(switching(head))
        self._visit = visit
        self._open.set()
        try:
            self._listen(visit)
        finally:
            self._leave(visit)
            self._arrived.put(None)

    def _listen(self, visit: Visit) -> None:
        while not self._leaving.is_set():
            if visit.is_quiet(0.01):
                continue
            arrived = read_frame(visit.body)
            if arrived is None:
                return
            self._arrived.put(arrived)
            if arrived.opcode == CLOSE and self._polite:
                if not self._said_close:
                    visit.say(frame(CLOSE, arrived.payload))
                return

    @property
    def visit(self) -> Visit:
        assert self._open.wait(WAIT)
        assert self._visit is not None
        return self._visit

    def say(self, *frames: bytes) -> None:
        self.visit.say(*frames)

    def say_close(self, code: int | None, reason: bytes = b"") -> None:
        self._said_close = True
        self.say(close(code, reason))

    def hears(self) -> Frame | None:
        """Return the next frame, or None at the end."""
        return self._arrived.get(timeout=WAIT)

    def hang_up(self) -> None:
        self._leaving.set()

    def vanish(self) -> None:
        """Be gone at once: the gateway gets a reset."""
        self._leave = Visit.vanish
        self._leaving.set()


@dataclass(frozen=True)
class Near:
    """The client's end."""

    talk: Talk

    def say(self, opcode: int, payload: bytes = b"", **how: bool | int) -> None:
        self.talk.say(frame(opcode, payload, masked=True, **how))  # type: ignore[arg-type]

    def hears(self) -> Frame | None:
        return read_frame(self.talk.exactly)


@contextlib.contextmanager
def joined(
    stage: Stage, *, target: bytes = b"/public/socket", asks: bytes = b"", polite: bool = True, in_pieces: bool = False
) -> Generator[tuple[Near, Far]]:
    """Open a socket; `asks` are further fields of the handshake, which may come `in_pieces`."""
    far = Far(polite=polite)

    def script(visit: Visit) -> None:
        while head := visit.head():
            if b"upgrade: websocket" in head.lower():
                far.serve(visit, head)
                return
            path = head.split(b" ")[1]
            visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))

    stage.upstream.follow(script)
    handshake = compose(target, ASKING + asks)
    cut = len(handshake) // 2 if in_pieces else len(handshake)
    with stage.talk() as talk:
        answer = talk.say(handshake[:cut], handshake[cut:], pause=0.03 * in_pieces).answer()
        assert answer is not None
        assert answer.status == 101
        try:
            yield Near(talk), far
        finally:
            far.hang_up()


def message(hears: Callable[[], Frame | None]) -> tuple[int, bytes]:
    """Return the next whole message that an end hears, of however many fragments; pings and pongs are passed over."""
    opcode, whole = CONTINUATION, b""
    while True:
        heard = hears()
        assert heard is not None, "the end, in place of a message"
        assert heard.opcode != CLOSE, heard
        if heard.opcode in {PING, PONG}:
            continue
        opcode = opcode or heard.opcode
        whole += heard.payload
        if heard.final:
            return opcode, whole


def goodbye(hears: Callable[[], Frame | None]) -> Frame | None:
    """Return the close frame that an end hears, or None where the connection just ends; passes over what is before."""
    while True:
        heard = hears()
        if heard is None or heard.opcode == CLOSE:
            return heard
