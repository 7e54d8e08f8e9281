"""What TLS costs the gateway: one process, one address in plain http, one with TLS, in turn.

    python -m benchmarks.tls [--against FOLDER]

With `--against`, the gateway of another working copy does the same in turn, and has its rows after this one's. Prints
the gateway's own CPU (user and system, from /proc) for each kind of work, and ratios. Only ratios within one run mean
anything. Who asks and the app are other processes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from statistics import median

from gateway.core.keyring import new_secret_key

SMALL = b"x" * 1024
BIG = b"x" * (8 << 20)
_LENGTH = re.compile(rb"(?i)content-length: (\d+)")


def serve_app(bound: socket.socket) -> None:
    """Answer each request with a small body, or a big one where the path says so."""
    while True:
        connection, _ = bound.accept()
        threading.Thread(target=answer, args=(connection,), daemon=True).start()


def answer(connection: socket.socket) -> None:
    """Answer the requests of one connection."""
    with connection, contextlib.suppress(OSError):
        waiting = b""
        while received := connection.recv(1 << 18):
            waiting += received
            while b"\r\n\r\n" in waiting:
                head, _, waiting = waiting.partition(b"\r\n\r\n")
                if (length := _LENGTH.search(head)) is not None:
                    left = int(length[1]) - len(waiting)
                    while left > 0:
                        left -= len(connection.recv(min(left, 1 << 18)))
                    waiting = b""
                body = BIG if b"/big" in head else SMALL
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port: int = bound.getsockname()[1]
        return port


@contextlib.contextmanager
def run_gateway(upstream: int, copy: str) -> Generator[tuple[int, int, int]]:
    """Run the gateway of a working copy; yields its process id, its plain port and the one with TLS."""
    plain, encrypted = free_port(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 90 -subj /CN=localhost"
        make += " -addext subjectAltName=DNS:localhost"
        names = f"{folder}/key.pem", f"{folder}/certificate.pem"
        subprocess.run([*make.split(), "-keyout", names[0], "-out", names[1]], check=True, capture_output=True)
        settings = {
            "PUBLIC_URL": f"https://localhost:{encrypted}",
            "UPSTREAM": f"http://127.0.0.1:{upstream}",
            "REDIS": "memory://",
            "SECRET_KEYS": new_secret_key(),
            "TIKTOK__CLIENT_KEY": "k",
            "TIKTOK__CLIENT_SECRET": "s",
            "ROUTES": "[{path: /**, access: public}]",
            "LISTEN": json.dumps([{"address": f"127.0.0.1:{plain}", "tls": False}, f"127.0.0.1:{encrypted}"]),
            "TLS__CERTIFICATE": names[1],
            "TLS__KEY": names[0],
            "ADMIN__LISTEN": "off",
            "LOG__LEVEL": "warning",
        }
        environ = os.environ | {f"GATEWAY__{name}": value for name, value in settings.items()}
        process = subprocess.Popen([sys.executable, "-m", "gateway", "run"], env=environ, cwd=copy)
        try:
            wait_for(plain)
            yield process.pid, plain, encrypted
        finally:
            process.terminate()
            process.wait(timeout=30)


def wait_for(port: int) -> None:
    """Wait until somebody listens."""
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    raise SystemExit("the gateway does not answer")


def connect(port: int, context: ssl.SSLContext | None, session: ssl.SSLSession | None = None) -> socket.socket:
    """Connect, with TLS where there is a context."""
    connection = socket.create_connection(("127.0.0.1", port), 30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection if context is None else context.wrap_socket(connection, session=session)


def ask(connection: socket.socket, path: bytes, body: bytes) -> None:
    """Ask once, and read the answer."""
    connection.sendall(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path)
    received, head = 0, b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(1 << 18)
    received = len(head.partition(b"\r\n\r\n")[2])
    while received < len(body):
        received += len(connection.recv(1 << 18))


def upload(connection: socket.socket) -> None:
    """Send much, and read the answer."""
    connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(BIG))
    connection.sendall(BIG)
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(1 << 18)
    left = len(SMALL) - len(head.partition(b"\r\n\r\n")[2])
    while left > 0:
        left -= len(connection.recv(left))


def cpu(pid: int) -> float:
    """Return the seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(pid: int, times: int, work: Callable[[], None]) -> float:
    """Return microseconds of the process's CPU for each time."""
    before = cpu(pid)
    for _ in range(times):
        work()
    return (cpu(pid) - before) / times * 1e6


def handshake(port: int, context: ssl.SSLContext | None, session: ssl.SSLSession | None = None) -> None:
    """Ask once on a connection of its own."""
    with connect(port, context, session) as connection:
        ask(connection, b"/", SMALL)


def main() -> None:
    """Measure, in turn, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--against", metavar="FOLDER", help="another working copy")
    options = parser.parse_args()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    app = socket.create_server(("127.0.0.1", 0), backlog=128)
    threading.Thread(target=serve_app, args=(app,), daemon=True).start()
    copies = [".", options.against] if options.against else ["."]
    found: list[dict[str, list[float]]] = [{} for _ in copies]
    with contextlib.ExitStack() as stack:
        running = [stack.enter_context(run_gateway(app.getsockname()[1], copy)) for copy in copies]
        for _ in range(options.rounds):
            for each, gateway in zip(found, running, strict=True):
                measure_all(each, gateway, context)
    for copy, each in zip(copies, found, strict=True):
        print(f"\n{copy}")
        for name, times in each.items():
            plain = name.replace("tls: ", "plain: ").removesuffix(", resumed")
            ratio = f"{median(times) / median(each[plain]):5.2f} of plain"
            beside = f"   {median(times) / median(found[0][name]):5.2f} of the first copy's" if copy != "." else ""
            print(f"{name:32} {median(times):9.0f} us   {ratio}{beside}")


def measure_all(found: dict[str, list[float]], gateway: tuple[int, int, int], context: ssl.SSLContext) -> None:
    """Do each kind of work, and add what it cost to `found`."""
    pid, plain, encrypted = gateway
    for name, port, how in (("plain", plain, None), ("tls", encrypted, context)):
        with connect(port, how) as connection:
            ask(connection, b"/", SMALL)
            costs = {
                "a request, kept alive": measure(pid, 3000, partial(ask, connection, b"/", SMALL)),
                "8 MiB down": measure(pid, 30, partial(ask, connection, b"/big", BIG)),
                "8 MiB up": measure(pid, 30, partial(upload, connection)),
            }
            session = connection.session if isinstance(connection, ssl.SSLSocket) else None
        costs["a connection"] = measure(pid, 300, partial(handshake, port, how))
        if session is not None:
            costs["a connection, resumed"] = measure(pid, 300, partial(handshake, encrypted, context, session))
        for kind, cost in costs.items():
            found.setdefault(f"{name}: {kind}", []).append(cost)


if __name__ == "__main__":
    main()
