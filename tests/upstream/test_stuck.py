"""What one visitor does to a connection that the next one gets, and what a client is told that is not so."""

from __future__ import annotations

import time

import pytest
from websockets.sync.client import connect

from gateway.simulator import RunningSimulator
from tests.frames import ASKING, CLOSE, TEXT, frame, read_frame, switching
from tests.harness import WAYS, serve_gateway
from tests.scripted import Visit, scripted
from tests.talk import compose
from tests.upstream.conftest import TIMEOUTS, Stage, echo_paths
from tests.upstream.sockets import goodbye, joined
from tests.upstream.test_socket_frames import EchoServer

EXPECTS = b"Expect: 100-continue\r\n"


def as_much_as_asked(visit: Visit) -> None:
    while head := visit.head():
        size = int(head.split(b" ")[1].rpartition(b"/")[2])
        visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size, b"x" * size)


def test_a_client_that_reads_nothing_leaves_a_connection_that_serves_the_next_visitor(stage: Stage) -> None:
    """Of whatever size the answer is: with some, just its last bytes are more than the client's socket has room for."""
    stage.upstream.follow(as_much_as_asked)
    for size in range(100_000, 6_000_000, 30_000):
        with stage.talk(room=4096) as slow:
            slow.say(compose(b"/public/%d" % size))
            time.sleep(0.02)
            answer = stage.ask(b"/public/2")
            assert (answer.status, answer.body) == (200, b"xx"), size


def test_http_1_0_is_not_answered_in_chunks_where_the_length_is_unknown(stage: Stage) -> None:
    """It knows none (RFC 9112 §6.1): the end of the connection is the end of the answer."""
    for framing in (b"\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"):
        stage.first_say(b"HTTP/1.1 200 OK\r\n" + framing, hang_up=True)
        with stage.talk() as talk:
            received = talk.say(compose().replace(b"HTTP/1.1", b"HTTP/1.0")).rest()
        assert received.startswith(b"HTTP/1.1 200 ")
        assert b"transfer-encoding" not in received.lower()
        assert received.endswith(b"\r\n\r\nhello")


def test_a_connection_that_becomes_a_socket_is_not_said_to_close(stage: Stage) -> None:
    def script(visit: Visit) -> None:
        visit.say(switching(visit.head()))
        visit.rest()

    stage.upstream.follow(script)
    with stage.talk() as talk:
        answer = talk.say(compose(b"/public/socket", ASKING)).answer()
    assert answer is not None
    assert [value.lower() for value in answer.every(b"connection")] == [b"upgrade"]


@pytest.mark.parametrize("way", WAYS)
def test_compression_is_agreed_upon_by_both_ends_or_by_none(simulator: RunningSimulator, way: str) -> None:
    """The gateway unpacks nothing: what is small on the wire may be anything when unpacked."""
    with EchoServer(compression="deflate") as server, WAYS[way](simulator, server.url) as running:
        url = running.url.replace("http", "ws") + "/public/socket"
        with connect(url, compression="deflate", proxy=None) as client:
            client.send("hello")
            assert client.recv(timeout=10) == "hello"
            agreed = [bool(end.protocol.extensions) for end in (client, server.sockets[-1])]
        assert agreed in ([True, True], [False, False])


def test_frames_in_the_packet_of_the_handshake_are_delivered_or_the_connection_ends(stage: Stage) -> None:
    """A client should have waited (RFC 6455 §4.1); to lose what it says and go on is the one thing that is wrong."""

    def script(visit: Visit) -> None:
        if visit.number:
            echo_paths(visit)
            return
        visit.say(switching(visit.head()))
        while (heard := read_frame(visit.body)) and heard.opcode != CLOSE:
            visit.say(frame(heard.opcode, heard.payload))

    stage.upstream.follow(script)
    with stage.talk() as talk:
        talk.say(compose(b"/public/socket", ASKING) + frame(TEXT, b"hello", masked=True))
        answer = talk.answer()
        if answer is not None and answer.status == 101:
            assert talk.settled(5)
            heard = read_frame(talk.exactly)
            assert heard is None or heard.opcode == CLOSE or heard.payload == b"hello"


def test_no_handshake_evades_the_idle_limit(simulator: RunningSimulator) -> None:
    with (
        scripted() as upstream,
        serve_gateway(simulator, upstream.url, limits__websocket_idle="1s", **TIMEOUTS) as running,
        joined(Stage(running, upstream), asks=EXPECTS) as (near, _),
    ):
        near.talk.wait_at_most(8)
        heard = goodbye(near.hears)
        assert heard is None or heard.close_code == 1001
