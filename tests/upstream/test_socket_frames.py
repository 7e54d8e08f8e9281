"""Frames through the whole gateway: every message arrives whole, in order and unchanged, both ways."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_sockets
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from gateway.simulator import RunningSimulator
from tests.frames import BINARY, CONTINUATION, PING, PONG, TEXT, frame
from tests.harness import WAYS, listener, serve_gateway
from tests.upstream.conftest import Stage
from tests.upstream.sockets import joined, message

SIZES = [0, 1, 125, 126, 127, 1000, 65_535, 65_536, 65_537, 300_000]


def test_messages_of_every_size_arrive_whole_in_order_both_ways(stage: Stage) -> None:
    with joined(stage) as (near, far):
        for number, size in enumerate(SIZES):
            opcode = BINARY if number % 2 else TEXT
            payload = bytes([65 + number]) * size
            near.say(opcode, payload)
            assert message(far.hears) == (opcode, payload)
            far.say(frame(opcode, payload))
            assert message(near.hears) == (opcode, payload)


def test_what_a_client_says_is_masked_and_what_an_upstream_says_is_not(stage: Stage) -> None:
    with joined(stage) as (near, far):
        near.say(TEXT, b"hello")
        heard = far.hears()
        assert heard is not None
        assert heard.masked
        far.say(frame(TEXT, b"hello"))
        heard = near.hears()
        assert heard is not None
        assert not heard.masked


def test_fragments_make_one_message(stage: Stage) -> None:
    with joined(stage) as (near, far):
        parts = [b"one ", b"", b"two ", b"x" * 70_000, b" three"]
        for number, part in enumerate(parts):
            near.say(CONTINUATION if number else TEXT, part, final=number == len(parts) - 1)
        assert message(far.hears) == (TEXT, b"".join(parts))
        for number, part in enumerate(parts):
            far.say(frame(CONTINUATION if number else BINARY, part, final=number == len(parts) - 1))
        assert message(near.hears) == (BINARY, b"".join(parts))


def test_a_ping_is_answered_even_in_the_middle_of_a_message(stage: Stage) -> None:
    """By the other end or by the gateway, but with what it said."""
    with joined(stage) as (near, far):
        near.say(TEXT, b"one ", final=False)
        near.say(PING, b"are you there")
        near.say(CONTINUATION, b"two")
        whole = b""
        for _ in range(3):
            heard = far.hears()
            assert heard is not None
            if heard.opcode == PING:
                far.say(frame(PONG, heard.payload))
                continue
            whole += heard.payload
            if heard.final:
                break
        assert whole == b"one two"
        heard = near.hears()
        assert heard is not None
        assert (heard.opcode, heard.payload) == (PONG, b"are you there")


def test_a_ping_of_the_upstream_is_answered_too(stage: Stage) -> None:
    with joined(stage) as (near, far):
        far.say(frame(PING, b"are you there"))
        far.say(frame(TEXT, b"after"))
        for _ in range(2):
            heard = near.hears()
            assert heard is not None
            if heard.opcode == PING:
                near.say(PONG, heard.payload)
            else:
                assert heard.payload == b"after"
                break
        heard = far.hears()
        assert heard is not None
        assert (heard.opcode, heard.payload) == (PONG, b"are you there")


def test_a_pong_that_nobody_asked_for_harms_nobody(stage: Stage) -> None:
    with joined(stage) as (near, far):
        near.say(PONG, b"hello?")
        far.say(frame(PONG, b"hello?"))
        near.say(TEXT, b"a")
        far.say(frame(TEXT, b"b"))
        assert message(far.hears) == (TEXT, b"a")
        assert message(near.hears) == (TEXT, b"b")


def test_frames_that_come_byte_by_byte_are_the_same_frames(stage: Stage) -> None:
    with joined(stage) as (near, far):
        data = frame(TEXT, b"hello" * 30, masked=True)
        near.talk.say(*(data[at : at + 1] for at in range(len(data))), pause=0.001)
        assert message(far.hears) == (TEXT, b"hello" * 30)
        data = frame(BINARY, b"world" * 30)
        for at in range(len(data)):
            far.say(data[at : at + 1])
            time.sleep(0.001)
        assert message(near.hears) == (BINARY, b"world" * 30)


def test_a_thousand_small_messages_arrive_in_order(stage: Stage) -> None:
    with joined(stage) as (near, far):
        near.talk.say(b"".join(frame(TEXT, b"%d" % number, masked=True) for number in range(1000)))
        far.say(b"".join(frame(TEXT, b"%d" % number) for number in range(1000)))
        for number in range(1000):
            assert message(far.hears) == (TEXT, b"%d" % number)
            assert message(near.hears) == (TEXT, b"%d" % number)


async def echo(socket: ServerConnection) -> None:
    try:
        async for text in socket:
            await socket.send(text)
    except ConnectionClosed:
        return


class EchoServer:
    """A real WebSocket server in a thread of its own; `sockets` are those that were opened."""

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._bound = listener()
        self.url = f"http://127.0.0.1:{self._bound.getsockname()[1]}"
        self.sockets: list[ServerConnection] = []

    def __enter__(self) -> EchoServer:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=10)
        self._loop.close()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        async def noting(socket: ServerConnection) -> None:
            self.sockets.append(socket)
            await echo(socket)

        async with serve_sockets(noting, sock=self._bound, max_size=None, **self._options):
            self._started.set()
            await self._stop.wait()


@pytest.mark.parametrize("way", WAYS)
def test_a_subprotocol_is_agreed_upon_by_the_ends(simulator: RunningSimulator, way: str) -> None:
    with EchoServer(subprotocols=[Subprotocol("b")]) as server, WAYS[way](simulator, server.url) as running:
        url = running.url.replace("http", "ws") + "/public/socket"
        with connect(url, subprotocols=[Subprotocol("a"), Subprotocol("b")], proxy=None) as client:
            client.send("x")
            assert client.recv(timeout=10) == "x"  # from then on the server has it among its sockets
            assert (client.subprotocol, server.sockets[0].subprotocol) == ("b", "b")
        with pytest.raises(InvalidStatus) as refused:  # the server speaks none of them, and says so
            connect(url, subprotocols=[Subprotocol("c")], proxy=None)
        assert refused.value.response.status_code == 400


@pytest.mark.parametrize("asked", ["deflate", None])
def test_compression_is_agreed_upon_by_the_ends(simulator: RunningSimulator, asked: str | None) -> None:
    with EchoServer(compression="deflate") as server, serve_gateway(simulator, server.url) as running:
        url = running.url.replace("http", "ws") + "/public/socket"
        with connect(url, compression=asked, proxy=None, max_size=None) as client:
            for text in ("hello" * 1000, "", "x" * 200_000):
                client.send(text)
                assert client.recv(timeout=10) == text
            agreed = [bool(end.protocol.extensions) for end in (client, server.sockets[-1])]
            assert agreed == [asked is not None] * 2


def test_reserved_bits_that_were_not_agreed_upon_open_nothing(stage: Stage) -> None:
    """Passed on as they are or refused: the ends judge them, and other visitors hear nothing of it."""
    with joined(stage) as (near, far):
        near.say(TEXT, b"hello", reserved=7)
        heard = far.hears()
        assert heard is None or heard.opcode in {TEXT, 0x8}
    assert stage.ask(b"/public/next").status == 200
