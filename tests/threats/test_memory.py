"""Whatever somebody sends, and however slowly another takes it: the gateway, a process of its own, stays its size."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from gateway.simulator import RunningSimulator
from tests.frames import ASKING, BINARY, frame, switching
from tests.redis_server import RedisServer
from tests.runtime.conftest import RunningProcess, run_gateway
from tests.scripted import ScriptedUpstream, Visit, scripted
from tests.talk import CHUNKED, HOST, Talk, compose

MIB = 1024 * 1024
SIZE = 64 * MIB
ALLOWED = 20 * MIB  # buffers of sockets in between, and what an allocator keeps
STALL = 0.5  # seconds in which the reader takes nothing

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")


class Scene:
    """The gateway as a process, and the upstream behind it."""

    def __init__(self, running: RunningProcess, upstream: ScriptedUpstream) -> None:
        self.upstream = upstream
        self._statm = Path(f"/proc/{running.process.pid}/statm")
        host, _, port = running.url.removeprefix("http://").partition(":")
        self.address = host, int(port)

    def resident(self) -> int:
        return int(self._statm.read_text().split()[1]) * 4096

    @contextlib.contextmanager
    def stays_its_size(self) -> Generator[None]:
        before, most, done = self.resident(), 0, threading.Event()

        def watch() -> None:
            nonlocal most
            while not done.wait(0.01):
                most = max(most, self.resident())

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
        assert most - before < ALLOWED, f"grew by {(most - before) / MIB:.0f} MiB"


@contextlib.contextmanager
def run_scene(
    tmp_path_factory: pytest.TempPathFactory, simulator: RunningSimulator, redis_server: RedisServer
) -> Generator[Scene]:
    folder = tmp_path_factory.mktemp("gateway")
    with scripted() as upstream, run_gateway(folder, simulator, redis_server, upstream.url) as running:
        scene = Scene(running, upstream)
        upstream.follow(answer_all)
        for _ in range(20):  # what is loaded and kept at first use is no growth
            with Talk(scene.address) as talk:
                assert talk.say(compose()).answer() is not None
        yield scene


@pytest.fixture(scope="module")
def scene(
    tmp_path_factory: pytest.TempPathFactory, simulator: RunningSimulator, redis_server: RedisServer
) -> Generator[Scene]:
    with run_scene(tmp_path_factory, simulator, redis_server) as scene:
        yield scene


def answer_all(visit: Visit) -> None:
    while visit.head():
        visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def drain(read: Callable[[int], bytes], size: int) -> int:
    """Take nothing for a while, then so many bytes in small helpings; how many came."""
    time.sleep(STALL)
    left = size
    while left and (data := read(min(left, MIB))):
        left -= len(data)
    return size - left


def test_a_large_message_up_to_a_slow_reader(scene: Scene) -> None:
    got: list[int] = []
    payload = frame(BINARY, b"x" * SIZE, masked=True)

    def script(visit: Visit) -> None:
        visit.say(switching(visit.head()))
        got.append(drain(visit.body, len(payload)))

    scene.upstream.follow(script)
    with scene.stays_its_size(), Talk(scene.address) as talk:
        answer = talk.say(compose(b"/public/socket", ASKING)).answer()
        assert answer is not None
        assert answer.status == 101
        sender = in_thread(lambda: talk.say(payload))
        sender.join(30)
        wait_for(got)
    assert got == [len(payload)]


def test_a_large_message_down_to_a_slow_reader(scene: Scene) -> None:
    payload = frame(BINARY, b"x" * SIZE)

    def script(visit: Visit) -> None:
        visit.say(switching(visit.head()))
        visit.say(payload)
        visit.rest()

    scene.upstream.follow(script)
    with scene.stays_its_size(), Talk(scene.address) as talk:
        answer = talk.say(compose(b"/public/socket", ASKING)).answer()
        assert answer is not None
        assert answer.status == 101
        assert drain(talk.exactly, len(payload)) == len(payload)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_up_to_a_slow_reader(scene: Scene, chunked: bool) -> None:
    got: list[int] = []
    body = b"x" * SIZE
    framed = b"%x\r\n%b\r\n0\r\n\r\n" % (SIZE, body) if chunked else body

    def script(visit: Visit) -> None:
        visit.head()
        got.append(drain(visit.body, SIZE))
        if chunked:
            visit.until(b"0\r\n\r\n")
        visit.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    scene.upstream.follow(script)
    fields = CHUNKED if chunked else HOST + b"Content-Length: %d\r\n" % SIZE
    with scene.stays_its_size(), Talk(scene.address) as talk:
        sender = in_thread(lambda: talk.say(compose(fields=fields, method=b"POST"), framed))
        answer = talk.answer()
        sender.join(30)
    assert answer is not None
    assert (answer.status, got) == (200, [SIZE])


@pytest.mark.parametrize("framing", ["counted", "chunked", "until close"])
def test_a_large_body_down_to_a_slow_reader(scene: Scene, framing: str) -> None:
    body = b"x" * SIZE
    framed = {
        "counted": (b"Content-Length: %d\r\n\r\n" % SIZE, body),
        "chunked": (b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % SIZE, body, b"\r\n0\r\n\r\n"),
        "until close": (b"\r\n", body),
    }

    def script(visit: Visit) -> None:
        visit.head()
        visit.say(b"HTTP/1.1 200 OK\r\nConnection: close\r\n", *framed[framing])

    scene.upstream.follow(script)
    with scene.stays_its_size(), Talk(scene.address) as talk:
        talk.say(compose())
        assert drain(talk.exactly, SIZE) == SIZE


def test_chunk_extensions_without_end(scene: Scene) -> None:
    scene.upstream.follow(answer_all)
    with scene.stays_its_size(), Talk(scene.address) as talk:
        talk.say(compose(fields=CHUNKED, method=b"POST"), b"3;")
        for _ in range(64):
            if talk.say(b"a" * MIB).settled(0):
                break


def wait_for(got: list[int]) -> None:
    give_up_at = time.monotonic() + 30
    while not got and time.monotonic() < give_up_at:
        time.sleep(0.01)
