"""No input costs more than it weighs: one address floods the gateway, a process of its own, in every way there is.

Sends some megabytes of each kind over many connections; with GATEWAY_TESTS_LONG=1, 200 MB over 800 of them, and prints
what that cost. However much is sent, memory stays within the same bound, and is given back when the connections end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import httpx
import pytest

from gateway.simulator import RunningSimulator
from tests.frames import ASKING, BINARY, frame, switching
from tests.redis_server import RedisServer
from tests.runtime.conftest import RunningProcess, run_gateway
from tests.talk import CHUNKED, HOST, compose

MIB = 1024 * 1024
LONG = bool(os.environ.get("GATEWAY_TESTS_LONG"))
TOTAL, CONNECTIONS = (200 * MIB, 800) if LONG else (24 * MIB, 100)
EACH = TOTAL // CONNECTIONS
ALLOWED = 64 * MIB
STUCK = 2.0  # seconds in which nobody takes anything more
BACK_WITHIN = 5.0

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")

ROOT = Path(__file__).parent.parent.parent
HELD: list[asyncio.Event] = []

HOLD = compose(b"/public/hold")
SOCKET = compose(b"/public/socket", ASKING)


def repeat(head: bytes, *pieces: bytes) -> bytes:
    """Return the head and so many of the pieces, in turn, as one connection sends."""
    each = max(1, EACH // (sum(map(len, pieces)) // len(pieces)))
    return (head + b"".join(islice(cycle(pieces), each)))[: max(EACH, len(head) + len(pieces[0]))]


def long_paths() -> Iterator[bytes]:
    for number in range(CONNECTIONS):
        yield b"".join(compose(b"/public/%d-%d/" % (number, at) + b"a" * 7000) for at in range(EACH // 7100 + 1))


def same(sent: bytes) -> Callable[[], Iterator[bytes]]:
    return lambda: iter([sent] * CONNECTIONS)


def uploading(target: bytes, fields: bytes = b"") -> bytes:
    return compose(target, HOST + fields + b"Content-Length: 99999999\r\n", method=b"POST")


PLAIN = compose(b"/public/x", HOST)
BEGUN = b"GET /public/x HTTP/1.1\r\n" + HOST
MANY_FIELDS = compose(b"/public/x", HOST + b"".join(b"X%d:\r\n" % number for number in range(90)))
PIECE = b"x" * 9999
FRAME = frame(BINARY, PIECE, masked=True)
EXPECTING = b"Expect: 100-continue\r\n"

FLOODS: dict[str, Callable[[], Iterator[bytes]]] = {
    "pipelined behind an unfinished request": same(repeat(HOLD, PLAIN)),
    "pipelined, and no answer read": same(repeat(b"", PLAIN)),
    "pipelined to our own pages": same(repeat(b"", compose(b"/oauth2/livez", HOST))),
    "heads without end": same(repeat(BEGUN, b"X-A: " + b"a" * 200 + b"\r\n")),
    "one field without end": same(repeat(BEGUN + b"X-A: ", b"a" * 1000)),
    "heads of many fields": same(repeat(b"", MANY_FIELDS)),
    "paths as long as may be": long_paths,
    "bodies that nobody takes": same(repeat(uploading(b"/public/hold"), PIECE)),
    "bodies in the smallest chunks": same(repeat(compose(b"/public/hold", CHUNKED, method=b"POST"), b"1\r\nx\r\n")),
    "bodies of requests that are refused": same(repeat(uploading(b"/private/x"), PIECE)),
    "bodies that an own page does not take": same(repeat(uploading(b"/oauth2/webhook"), PIECE)),
    "bodies on the ASGI way": same(repeat(uploading(b"/public/hold", EXPECTING), PIECE)),
    "frames that nobody takes": same(repeat(SOCKET, FRAME)),
    "frames behind an unfinished request": same(repeat(HOLD + SOCKET, FRAME)),
    "answers that nobody reads": same(compose(b"/public/large")),
    "answers of the ASGI way that nobody reads": same(compose(b"/public/large").replace(b"1.1", b"1.0")),
    "messages that nobody reads": same(compose(b"/public/flood", ASKING)),
}


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer /public/x; hold, or say without end, what the other paths name."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        while head := await reader.readuntil(b"\r\n\r\n"):
            path = head.split(b" ")[1].removeprefix(b"/public/")
            if path in (b"socket", b"flood"):
                writer.write(switching(head))
            if path == b"large":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")
            if path in (b"hold", b"socket"):
                HELD.append(asyncio.Event())  # what nobody refers to would be collected
                await HELD[-1].wait()
            while path in (b"large", b"flood"):
                writer.write(frame(BINARY, b"x" * 9999) if path == b"flood" else b"x" * 10_000)
                await writer.drain()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            await writer.drain()
    writer.close()


def be_upstream() -> None:
    """Serve, until the process is ended; the port is the first line that is printed."""

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024, limit=16 * 1024)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    asyncio.run(run())


@contextlib.contextmanager
def run_upstream() -> Generator[str]:
    """Run it as a process of its own, which nothing that it holds can disturb."""
    words = [sys.executable, "-c", "from tests.threats.test_cost import be_upstream; be_upstream()"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.kill()


ASKING_ON = """
import http.client, select, sys, time, urllib.parse
parts, answers, silent, slowest = urllib.parse.urlsplit(sys.argv[1]), 0, 0, 0.0
while not select.select([sys.stdin], [], [], 0.05)[0]:
    began = time.monotonic()
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
    try:
        connection.request("GET", parts.path)
        answers += connection.getresponse().status == 200
    except OSError:
        silent += 1
    connection.close()
    slowest = max(slowest, time.monotonic() - began)
    if answers == 1:
        print("ready", flush=True)
        answers, slowest = 2, 0.0
print(answers, silent, slowest)
"""
"""Another visitor, in a process of its own: how many answers there were, how many not, and the slowest in seconds."""


@dataclass
class Watch:
    """What the gateway takes of memory, and whether it answers others meanwhile."""

    running: RunningProcess
    before: int = 0
    most: int = 0
    slowest: float = 0.0
    answers: int = 0
    silent: int = 0

    def resident(self) -> int:
        return int(Path(f"/proc/{self.running.process.pid}/statm").read_text().split()[1]) * 4096

    @contextlib.contextmanager
    def on(self) -> Generator[None]:
        done = threading.Event()
        self.before = self.most = self.resident()

        def look() -> None:
            while not done.wait(0.02):
                self.most = max(self.most, self.resident())

        watcher = threading.Thread(target=look)
        watcher.start()
        words = [sys.executable, "-c", ASKING_ON, self.running.url + "/oauth2/livez"]
        visitor = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert visitor.stdout is not None
        assert visitor.stdout.readline() == "ready\n"
        try:
            yield
        finally:
            told, _ = visitor.communicate("", timeout=60)
            done.set()
            watcher.join()
        answers, silent, slowest = told.split()
        self.answers, self.silent, self.slowest = int(answers), int(silent), float(slowest)


def flood(address: tuple[str, int], payloads: Iterator[bytes]) -> int:
    """Send every payload on a connection of its own, as far as anybody takes it; returns how much was sent."""
    selector = selectors.DefaultSelector()
    sent, connections = 0, []
    for payload in payloads:
        connection = socket.create_connection(address)
        connection.setblocking(False)
        connections.append(connection)
        selector.register(connection, selectors.EVENT_WRITE, memoryview(payload))
    while selector.get_map() and (ready := selector.select(STUCK)):
        for key, _ in ready:
            try:
                count = key.fileobj.send(key.data[:65536])  # type: ignore[union-attr]
            except OSError:
                count = len(key.data)
            else:
                sent += count
            if count == len(key.data):
                selector.unregister(key.fileobj)
            else:
                selector.modify(key.fileobj, selectors.EVENT_WRITE, key.data[count:])
    time.sleep(STUCK)  # in which answers come, and pile up
    for connection in connections:
        connection.close()
    selector.close()
    return sent


@pytest.fixture(scope="module")
def upstream() -> Generator[str]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    with run_upstream() as url:
        yield url
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_costs_no_more_than_the_bound_and_leaves_nothing(
    tmp_path: Path, simulator: RunningSimulator, redis_server: RedisServer, upstream: str, kind: str
) -> None:
    with run_gateway(tmp_path, simulator, redis_server, upstream) as running:
        host, _, port = running.url.removeprefix("http://").partition(":")
        for target in ("/public/x", "/oauth2/livez", "/private/x"):  # what is loaded at first use is no growth
            httpx.get(running.url + target, trust_env=False)
        watch = Watch(running)
        with watch.on():
            sent = flood((host, int(port)), FLOODS[kind]())
        give_up_at = time.monotonic() + BACK_WITHIN
        while (left := watch.resident() - watch.before) > ALLOWED // 2 and time.monotonic() < give_up_at:
            time.sleep(0.1)
    grown = watch.most - watch.before
    told = (
        f"{kind}: sent {sent / MIB:.0f} MiB, grew {grown / MIB:.0f}, kept {left / MIB:.0f}, livez {watch.slowest:.3f} s"
    )
    if LONG:
        print("\n" + told)
    assert grown < ALLOWED, told
    if kind != "bodies in the smallest chunks" or not LONG:  # which take minutes to be read through
        assert left < ALLOWED // 2, told
    assert watch.answers > 2, told
    assert not watch.silent, told
