"""Browsers and programs that do not know of it get the same answers as without, byte for byte, but for what is offered.

Two gateways that differ in nothing else are asked the same over raw sockets; what is drawn anew each time is blotted.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Generator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.core.keyring import new_secret_key
from gateway.simulator import RunningSimulator, consent
from tests.certificates import Issued
from tests.harness import Running, echo, serve_app
from tests.listening import serve_listening
from tests.ports import free_port

HOST = "app.test"
OFFERED = re.compile(rb"secure-session-registration: \(ES256 RS256\);[^\r]+\r\n")
DRAWN = (
    (re.compile(rb"\r\ndate: [^\r]+"), b"\r\ndate: then"),
    (re.compile(rb"-sign-in-[A-Za-z0-9_-]{8}="), b"-sign-in-<mark>="),
    (re.compile(rb"[0-9a-f]{20,64}"), b"<hex>"),
    (re.compile(rb"[A-Za-z0-9_.-]{40,}"), b"<drawn>"),
    (re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(Z|\+00:00)"), b"<time>"),
    (re.compile(rb"\b[0-9]{1,2}:[0-9]{2}\b"), b"<minute>"),
    (re.compile(rb"\b[0-9]{7,10}\b"), b"<number>"),
)
"""What differs between two answers of one gateway, too: ids, states, codes, times, seconds until a sign-in ends."""

FIREFOX = """User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8
Accept-Language: en-GB,en;q=0.5
Accept-Encoding: identity
Upgrade-Insecure-Requests: 1
Sec-Fetch-Dest: document
Sec-Fetch-Mode: navigate
Sec-Fetch-Site: none
Sec-Fetch-User: ?1"""
CHROMIUM = """sec-ch-ua: "Chromium";v="156", "Not_A Brand";v="99"
sec-ch-ua-mobile: ?0
sec-ch-ua-platform: "Linux"
Upgrade-Insecure-Requests: 1
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8
Sec-Fetch-Site: none
Sec-Fetch-Mode: navigate
Sec-Fetch-User: ?1
Sec-Fetch-Dest: document
Accept-Encoding: identity
Accept-Language: en-GB,en;q=0.9"""
CURL = "User-Agent: curl/8.14.1\nAccept: */*"
CLIENTS = {"Firefox": FIREFOX, "Chromium": CHROMIUM, "curl": CURL}

PAGES = (
    *("GET /private/x", "HEAD /private/x", "GET /private/cookies", "GET /optional/x", "GET /public/x", "GET /denied/x"),
    *("GET /oauth2/userinfo", "GET /oauth2/account", "GET /oauth2/sign_in", "GET /oauth2/sign_out", "GET /oauth2/auth"),
    *("GET /oauth2/nothing", "POST /private/x", "POST /oauth2/refresh", "PUT /oauth2/account", "GET /private/%00"),
)
"""Asked by everybody: by whoever is signed in, and by strangers."""


@dataclass
class Client:
    """One client of one gateway; what it was answered, as it came."""

    port: int
    fields: str
    cookies: dict[str, str] = field(default_factory=dict)
    answers: list[bytes] = field(default_factory=list)

    def ask(self, what: str, fields: str | None = None) -> bytes:
        lines = [f"{what} HTTP/1.1", f"Host: {HOST}", *(fields or self.fields).splitlines(), "Connection: close"]
        if self.cookies:
            lines.append("Cookie: " + "; ".join(f"{name}={value}" for name, value in self.cookies.items()))
        if not what.startswith(("GET", "HEAD")):
            lines.append("Content-Length: 3")
        body = b"" if what.startswith(("GET", "HEAD")) else b"a=1"
        answer = say(self.port, "\r\n".join([*lines, "", ""]).encode() + body)
        for name, value in re.findall(rb"\r\nset-cookie: ([^=]+)=([^;]*)", answer):
            if value:
                self.cookies[name.decode()] = value.decode()
            else:
                self.cookies.pop(name.decode(), None)
        self.answers.append(answer)
        return answer

    def sign_in(self) -> None:
        """As a browser does, which curl is not."""
        navigation = self.fields if self.fields != CURL else FIREFOX
        begun = self.ask("GET /oauth2/start?rd=/private/x", navigation)
        callback = consent(_read_location(begun)).removeprefix(f"https://{HOST}")
        assert _read_location(self.ask(f"GET {callback}", navigation)) == f"https://{HOST}/private/x"

    def go_through(self) -> list[bytes]:
        """Ask for every page as a stranger, sign in, ask again and sign out; returns all answers."""
        for page in PAGES:
            self.ask(page)
        self.sign_in()
        for page in PAGES:
            self.ask(page)
        self.ask("POST /oauth2/sign_out")
        self.ask("GET /private/x")
        return [_blot(answer) for answer in self.answers]


def say(port: int, raw: bytes) -> bytes:
    """Return all that is answered to raw bytes, over TLS."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=HOST) as secured,
    ):
        secured.sendall(raw)
        return b"".join(iter(lambda: secured.recv(65536), b""))


def _read_location(answer: bytes) -> str:
    found = re.search(rb"\r\nlocation: ([^\r]+)", answer)
    assert found is not None, answer
    return found[1].decode()


def _blot(answer: bytes) -> bytes:
    for pattern, instead in DRAWN:
        answer = pattern.sub(instead, answer)
    return answer


@pytest.fixture(scope="module", params=["fast", "slow"])
def ports(
    request: pytest.FixtureRequest,
    simulator: RunningSimulator,
    issued: Issued,
    tmp_path_factory: pytest.TempPathFactory,
) -> Generator[tuple[int, int]]:
    """Two gateways: one that binds no sessions, and one that does."""
    files = issued.write(Path(tmp_path_factory.mktemp("tls")))
    same = {"public_url": f"https://{HOST}", "secret_keys": f'["{new_secret_key()}"]'}
    ports = free_port(), free_port()

    def serve(port: int, binding: str) -> AbstractContextManager[Running]:
        changes = {**same, "listen": f"127.0.0.1:{port}", "session__device_binding": binding}
        return serve_listening(simulator, upstream, None, files, request.param, **changes)

    with serve_app(echo) as upstream, serve(ports[0], "off"), serve(ports[1], "on"):
        yield ports


@pytest.mark.parametrize("client", list(CLIENTS))
def test_others_are_answered_byte_for_byte_as_without(ports: tuple[int, int], client: str) -> None:
    without, offered = (Client(port, CLIENTS[client]).go_through() for port in ports)
    assert len([answer for answer in without if answer.startswith(b"HTTP/1.1 200 ")]) > 5
    assert len(OFFERED.findall(b"".join(offered))) == 1
    for before, now in zip(without, offered, strict=True):
        assert OFFERED.sub(b"", now) == before
