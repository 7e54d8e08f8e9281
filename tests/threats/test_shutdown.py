"""A shutdown in the middle of everything: WebSockets hear of it, half-sent requests do not hold it up, and it ends."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from gateway.simulator import RunningSimulator
from tests.frames import ASKING, CLOSE, TEXT, close, frame, read_frame, switching
from tests.redis_server import RedisServer
from tests.runtime.conftest import run_gateway
from tests.scripted import Visit, scripted
from tests.talk import HOST, Talk, compose


def echo_frames(visit: Visit) -> None:
    visit.say(switching(visit.head()))
    while heard := read_frame(visit.body):
        visit.say(frame(heard.opcode, heard.payload))
        if heard.opcode == CLOSE:
            return


@pytest.mark.parametrize("fields", [b"", b"Expect: 100-continue\r\n"], ids=["as usual", "that expects"])
def test_sockets_are_closed_with_1001_and_nobody_holds_the_end_up(
    tmp_path: Path, simulator: RunningSimulator, redis_server: RedisServer, fields: bytes
) -> None:
    with scripted() as upstream, run_gateway(tmp_path, simulator, redis_server, upstream.url) as running:
        upstream.follow(echo_frames)
        host, _, port = running.url.removeprefix("http://").partition(":")
        with Talk((host, int(port))) as socket, Talk((host, int(port))) as half, Talk((host, int(port))) as silent:
            answer = socket.say(compose(b"/public/socket", ASKING + fields)).answer()
            assert answer is not None
            assert answer.status == 101
            socket.say(frame(TEXT, b"hello", masked=True))
            assert (heard := read_frame(socket.exactly)) is not None
            assert heard.payload == b"hello"
            half.say(b"GET /public/x HTTP/1.1\r\n" + HOST)
            ended: list[int] = []
            stopping = threading.Thread(target=lambda: ended.append(running.stop()))
            stopping.start()
            heard = read_frame(socket.exactly)
            assert heard is not None
            assert (heard.opcode, heard.close_code) == (CLOSE, 1001)
            socket.say(close(1001, masked=True))
            assert socket.rest() == b""
            assert silent.rest() == b""
            stopping.join(timeout=30)
    assert ended == [0]
    assert "Traceback" not in running.log.read_text()
