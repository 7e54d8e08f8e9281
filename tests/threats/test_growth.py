"""What somebody without a session can make the gateway keep: nothing that grows with what they send."""

from __future__ import annotations

import time
import zlib
from collections.abc import Generator

import pytest

from gateway.simulator import RunningSimulator
from tests.frames import ASKING, BINARY, frame, switching
from tests.redis_server import RedisServer
from tests.scripted import Visit
from tests.talk import CHUNKED, HOST, Talk, compose
from tests.threats.test_memory import MIB, STALL, Scene, answer_all, in_thread, run_scene

# which the fast way leaves to the other
EXPECTS = b"Expect: 100-continue\r\n"


@pytest.fixture
def scene(
    tmp_path_factory: pytest.TempPathFactory, simulator: RunningSimulator, redis_server: RedisServer
) -> Generator[Scene]:
    """A fresh process each time: memory that was freed is used again, and hides what grows next."""
    with run_scene(tmp_path_factory, simulator, redis_server) as scene:
        yield scene


def test_a_trailer_without_end(scene: Scene) -> None:
    def script(visit: Visit) -> None:
        visit.head()
        visit.rest()

    scene.upstream.follow(script)
    with scene.stays_its_size(), Talk(scene.address) as talk:
        talk.say(compose(fields=CHUNKED, method=b"POST"), b"3\r\nabc\r\n0\r\nX-A: ")
        for _ in range(64):
            if talk.say(b"a" * MIB).settled(0):
                break


def test_requests_that_are_not_waited_for(scene: Scene) -> None:
    """A client may ask on and on; it is read no faster than it is answered."""
    scene.upstream.follow(answer_all)
    requests = compose(fields=HOST + b"X-A: " + b"a" * 5000 + b"\r\n") * 12_000
    with scene.stays_its_size(), Talk(scene.address) as talk:
        sender = in_thread(lambda: talk.say(requests))
        sender.join(STALL * 4)
        for _ in range(100):
            answer = talk.answer()
            assert answer is not None
            assert answer.status == 200


def say_to_slow_reader(scene: Scene, handshake: bytes, said: bytes) -> None:
    def script(visit: Visit) -> None:
        visit.say(switching(visit.head()))
        visit.is_quiet(STALL * 2)
        visit.rest()

    scene.upstream.follow(script)
    with scene.stays_its_size(), Talk(scene.address) as talk:
        answer = talk.say(compose(b"/public/socket", ASKING + handshake)).answer()
        assert answer is not None
        assert answer.status == 101
        sender = in_thread(lambda: talk.say(said))
        sender.join(STALL * 3)
        time.sleep(STALL * 3)  # in which it may be unpacked


@pytest.mark.parametrize("handshake", [b"", EXPECTS], ids=["as usual", "that expects"])
def test_a_large_message_to_a_slow_reader(scene: Scene, handshake: bytes) -> None:
    say_to_slow_reader(scene, handshake, frame(BINARY, b"x" * (64 * MIB), masked=True))


@pytest.mark.parametrize("handshake", [b"", EXPECTS], ids=["as usual", "that expects"])
def test_a_message_that_unpacks_to_256_mib(scene: Scene, handshake: bytes) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = b"".join(packer.compress(bytes(MIB)) for _ in range(256)) + packer.flush(zlib.Z_SYNC_FLUSH)
    said = frame(BINARY, packed.removesuffix(b"\x00\x00\xff\xff"), masked=True, reserved=4)
    say_to_slow_reader(scene, handshake + b"Sec-WebSocket-Extensions: permessage-deflate\r\n", said)
