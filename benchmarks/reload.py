"""Whether anything is lost or cut while settings are read anew under load, and whether memory stays flat.

    python -m benchmarks.reload [--reloads 50] [--workers 2] [--rate 500] [--download 100]

Two workers and an app: about 500 signed-in requests a second, half of them each on a connection of its own, while a
WebSocket, a stream of events and a download of 100 MB are open throughout. Meanwhile the settings change 50 times. Ends
with 1 when a request has failed, something was cut, or a reload was refused.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import uvicorn
from websockets.asyncio.client import connect

from benchmarks.process import ProgramFailed, choose_port, running
from benchmarks.seed import sign_in_many
from gateway.core.keyring import new_secret_key

CLIENT_KEY: Final = "benchmark-key"
ADMIN_KEY: Final = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V"
CONNECTIONS: Final = 20
CHUNK: Final = 64 * 1024
EVENT: Final = b"data: x\n\n"


async def app(scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
    """Answer `/small`, stream events and downloads (`/download?` bytes), echo over WebSockets."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (said := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": said["text"]})
        return
    path, length = scope["path"], int(scope["query_string"] or b"2")
    fields = [] if path == "/events" else [(b"content-length", b"%d" % length)]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    if path == "/events":
        while True:
            await send({"type": "http.response.body", "body": EVENT, "more_body": True})
            await asyncio.sleep(0.05)
    for left in range(length, 0, -CHUNK):
        await send({"type": "http.response.body", "body": b"x" * min(CHUNK, left), "more_body": left > CHUNK})


class Load:
    """What asks, and what went wrong."""

    def __init__(self, port: int, cookie: str) -> None:
        self.port = port
        self.answered = self.messages = self.events = self.downloaded = 0
        self.wrong: list[str] = []
        self.ends = asyncio.Event()
        self._cookie = cookie

    def head(self, target: str) -> bytes:
        """Return a request."""
        return f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nCookie: {self._cookie}\r\n\r\n".encode()

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Hold a connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield reader, writer
        finally:
            writer.close()

    async def ask(self, pause: float, *, keep: bool) -> None:
        """Ask again and again; on one connection, or each time on another."""
        due = time.monotonic()
        while not self.ends.is_set():
            async with self.connected() as (reader, writer):
                while not self.ends.is_set():
                    writer.write(self.head("/small"))
                    answer = await reader.readuntil(b"\r\n\r\n")
                    await reader.readexactly(2)
                    self.answered += 1
                    if not answer.startswith(b"HTTP/1.1 200 "):
                        self.wrong.append(answer.partition(b"\r\n")[0].decode())
                    due += pause
                    await asyncio.sleep(max(0.0, due - time.monotonic()))
                    if not keep:
                        break

    async def talk(self) -> None:
        """Keep a WebSocket."""
        uri = f"ws://127.0.0.1:{self.port}/socket"
        fields = {"Cookie": self._cookie}
        async with connect(uri, additional_headers=fields, origin=None, proxy=None, ping_interval=None) as websocket:
            while not self.ends.is_set():
                await websocket.send(f"{self.messages}")
                if await websocket.recv() != f"{self.messages}":
                    self.wrong.append("the WebSocket says something else")
                self.messages += 1
                await asyncio.sleep(0.05)

    async def listen(self) -> None:
        """Keep a stream of events."""
        async with self.connected() as (reader, writer):
            writer.write(self.head("/events"))
            await reader.readuntil(b"\r\n\r\n")
            while not self.ends.is_set():
                await reader.readuntil(EVENT)
                self.events += 1

    async def download(self, size: int, seconds: float) -> None:
        """Read a body as slowly as to be at it all the time."""
        async with self.connected() as (reader, writer):
            writer.write(self.head(f"/download?{size}"))
            await reader.readuntil(b"\r\n\r\n")
            began = time.monotonic()
            while self.downloaded < size:
                self.downloaded += len(await reader.readexactly(min(CHUNK, size - self.downloaded)))
                await asyncio.sleep(max(0.0, began + seconds * self.downloaded / size - time.monotonic()))
        self.ends.set()

    async def guarded(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        """Note how it ends, if it ends before its time."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 -- whatever it was is what is looked for
            self.wrong.append(f"{what}: {error!r}")
            self.ends.set()


class Settings:
    """The file, which changes."""

    def __init__(self, folder: Path, port: int, admin: int, app: int, redis: int, secret_key: str) -> None:
        self.file, self.admin = folder / "gateway.yaml", admin
        self._settings: dict[str, Any] = {
            "public_url": f"http://127.0.0.1:{port}",
            "listen": f"127.0.0.1:{port}",
            "admin": {"listen": f"127.0.0.1:{admin}", "keys": [ADMIN_KEY]},
            "upstream": f"http://127.0.0.1:{app}",
            "redis": f"redis://127.0.0.1:{redis}/0",
            "secret_keys": [secret_key],
            "tiktok": {"client_key": CLIENT_KEY, "client_secret": "benchmark-secret"},
            "limits": {"connections_per_address": 0},
            "log": {"level": "warning"},
        }

    def write(self, number: int) -> None:
        """Write the file anew, with routes and limits that differ."""
        routes = [{"path": f"/only/{number}/{each}", "access": "public"} for each in range(20)]
        changed = {"routes": [*routes, {"path": "/**"}], "session": {"idle_timeout": f"{number % 100 + 1}h"}}
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(self._settings | changed))
        new.replace(self.file)

    async def reload(self) -> dict[str, Any]:
        """Have it read; returns the outcome."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.admin)
        head = f"POST /reload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADMIN_KEY}\r\nConnection: close\r\n"
        writer.write(f"{head}Content-Length: 0\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        outcome: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
        return outcome


def measure(pids: list[int]) -> str:
    """Return the memory of processes: resident (RSS), and with what they share counted once (PSS), in MiB."""
    total = {"Rss": 0, "Pss": 0}
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in total:
                total[name] += int(value.split()[0])
    return ", ".join(f"{name.upper()} {kilobytes / 1024:.1f} MiB" for name, kilobytes in total.items())


def wait_until_it_listens(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait for a gateway."""
    while process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.sendall(b"GET /oauth2/livez HTTP/1.1\r\nHost: x\r\n\r\n")
            if connection.recv(64):
                return
        time.sleep(0.1)
    raise ProgramFailed("the gateway has ended")


def find_workers(parent: int) -> list[int]:
    """Return the processes that serve."""
    children = [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    return children or [parent]


async def drive(settings: Settings, load: Load, parent: int, options: argparse.Namespace) -> int:
    """Ask while settings change; prints what came of it, and returns the exit code."""
    pause = CONNECTIONS / options.rate
    seconds = options.reloads * options.pause
    works = [("request", load.ask(pause, keep=number % 2 == 0)) for number in range(CONNECTIONS)]
    works += [("WebSocket", load.talk()), ("events", load.listen())]
    works += [("download", load.download(options.download * 1_000_000, seconds + 2 * options.pause))]
    tasks = [asyncio.create_task(load.guarded(what, work)) for what, work in works]
    await asyncio.sleep(2)
    began, answered, refused, longest = time.monotonic(), load.answered, 0, 0.0
    for number in range(options.reloads):
        settings.write(number + 1)
        asked = time.monotonic()
        refused += not (await settings.reload())["applied"]
        longest = max(longest, time.monotonic() - asked)
        if number in {0, 4, options.reloads // 2, options.reloads - 1}:
            print(f"after {number + 1:3} reloads: {measure(find_workers(parent))}", flush=True)
        await asyncio.sleep(max(0.0, options.pause - (time.monotonic() - asked)))
    took = time.monotonic() - began
    print(f"{(load.answered - answered) / took:.0f} requests a second; longest reload {longest * 1000:.0f} ms")
    await asyncio.gather(*tasks)
    print(
        f"{load.answered} requests, {load.messages} messages, {load.events} events, {load.downloaded} bytes; "
        f"{refused} reloads refused; wrong: {load.wrong or 'nothing'}"
    )
    await asyncio.sleep(3)
    print(f"at rest:            {measure(find_workers(parent))}")
    return 1 if load.wrong or refused or load.downloaded != options.download * 1_000_000 else 0


@contextlib.contextmanager
def redis_and_app(folder: Path, redis: int, app_port: int) -> Generator[None]:
    """Run Redis and the app until the block ends."""
    command = ["redis-server", "--port", str(redis), "--save", "", "--dir", str(folder)]
    own = [sys.executable, "-m", "benchmarks.reload", "--app", str(app_port)]
    core = min(os.sched_getaffinity(0))
    with (
        running(command, port=redis, core=core, log=folder / "redis"),
        running(own, port=app_port, core=core, log=folder / "app"),
    ):
        yield


def main() -> int:
    """Run it all; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reloads", type=int, default=50)
    parser.add_argument("--pause", type=float, default=1.0, help="seconds from one reload to the next")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rate", type=int, default=500, help="requests a second")
    parser.add_argument("--download", type=int, default=100, help="megabytes")
    parser.add_argument("--app", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.app:
        uvicorn.run(app, port=options.app, log_level="warning", ws="websockets-sansio")
        return 0
    port, admin, app_port, redis = (choose_port() for _ in range(4))
    with tempfile.TemporaryDirectory() as name, redis_and_app(Path(name), redis, app_port):
        settings = Settings(Path(name), port, admin, app_port, redis, secret_key := new_secret_key())
        settings.write(0)
        ids = sign_in_many(redis, secret_key, CLIENT_KEY, 1, seen_at=datetime.now(UTC) + timedelta(minutes=30))
        words = ["run", "-c", str(settings.file), "--workers", str(options.workers)]
        with (Path(name) / "log").open("w") as log:
            process = subprocess.Popen([sys.executable, "-m", "gateway", *words], stderr=log)
        try:
            wait_until_it_listens(port, process)
            return asyncio.run(drive(settings, Load(port, f"gateway={ids[0].decode()}"), process.pid, options))
        finally:
            process.terminate()
            process.wait(30)
            sys.stderr.write((Path(name) / "log").read_text()[-2000:])


if __name__ == "__main__":
    sys.exit(main())
