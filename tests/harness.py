"""A gateway for tests: real sockets, the simulator as TikTok, an upstream that echoes what it received."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import httpx
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gateway.asgi import protect
from gateway.core.keyring import new_secret_key
from gateway.errors import StoreUnavailable
from gateway.runtime.build import build
from gateway.runtime.generation import Generation
from gateway.runtime.http_server import build_check_server, build_server
from gateway.server.short.entry import ShortWay
from gateway.settings import Settings, load
from gateway.simulator import RunningSimulator, consent

NAVIGATION = {
    "accept": "text/html,application/xhtml+xml",
    "sec-fetch-mode": "navigate",
    "sec-fetch-dest": "document",
    "sec-fetch-site": "none",
}
SAME_ORIGIN = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}

ROUTES = """[
  {path: /public/**, access: public},
  {path: /optional/**, access: optional},
  {path: /denied/**, access: deny},
  {path: /only-get/**, methods: [GET]},
  {path: /only-get/**, access: deny},
  {path: /private/**},
  {path: /},
  {path: "/été/**"}
]"""


@dataclass(frozen=True)
class Running:
    """A gateway that serves."""

    url: str
    settings: Settings
    simulator: RunningSimulator
    generation: Generation | None = None
    checks: str = ""  # address of the listener for checks, where there is one
    folder: Path | None = None  # of the program in front

    @property
    def address(self) -> tuple[str, int]:
        parts = httpx.URL(self.url)
        assert parts.port is not None
        return parts.host, parts.port

    def take_store_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have the store answer nothing about callers, and memory neither, until the test ends."""

        async def fail(*_: object) -> None:
            raise StoreUnavailable("it is away")

        assert self.generation is not None
        gate = self.generation.pages.pipeline._gate
        monkeypatch.setattr(gate._memory, "recall", lambda *_: None)
        monkeypatch.setattr(gate, "_confirm_or_read", fail)
        monkeypatch.setattr(gate, "confirm", lambda _, told: told(StoreUnavailable("it is away")))
        monkeypatch.setattr(gate, "recognise", lambda *words, **_: words[-1](StoreUnavailable("it is away")))
        gate.judge_anew()


def listener() -> socket.socket:
    """Return a listening socket on a free port of 127.0.0.1."""
    bound = socket.create_server(("127.0.0.1", 0), backlog=256)
    # as under uvloop; asyncio sets it for sockets only whose protocol number was given. Fronts acknowledge late, which
    # would cost 40 ms for each answer of two writes
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return bound


def url_of(bound: socket.socket) -> str:
    return f"http://127.0.0.1:{bound.getsockname()[1]}"


def read_settings(simulator: RunningSimulator, public_url: str, *, upstream: str = "none", **changes: str) -> Settings:
    """Return settings for a test; `changes` are GATEWAY__ names without the prefix, in lower case."""
    return load(None, settings_environ(simulator, public_url, upstream=upstream, **changes))


def settings_environ(
    simulator: RunningSimulator, public_url: str, *, upstream: str = "none", **changes: str
) -> dict[str, str]:
    """Return the same as variables, for a process of its own."""
    environ = {
        "public_url": public_url,
        "upstream": upstream,
        "redis": "memory://",
        "secret_keys": json.dumps([new_secret_key()]),
        "tiktok__client_key": simulator.settings.client_key,
        "tiktok__client_secret": simulator.settings.client_secret,
        "tiktok__authorize_url": simulator.authorize_url,
        "tiktok__token_url": simulator.token_url,
        "tiktok__revoke_url": simulator.revoke_url,
        "tiktok__user_info_url": simulator.user_info_url,
        "tiktok__get_qrcode_url": simulator.get_qrcode_url,
        "tiktok__check_qrcode_url": simulator.check_qrcode_url,
        "tiktok__scopes": '["user.info.basic", "user.info.profile"]',
        "routes": ROUTES,
        "limits__sign_in_attempts": "0",
        "admin__listen": "off",
    } | changes
    return {f"GATEWAY__{name.upper()}": value for name, value in environ.items()}


@contextlib.contextmanager
def serve_in_thread(server: uvicorn.Server, bound: socket.socket) -> Generator[None]:
    """Run a uvicorn server on a bound socket in a thread."""
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        assert not thread.is_alive()


@contextlib.contextmanager
def serve_both_in_thread(
    server: uvicorn.Server, bound: socket.socket, other: uvicorn.Server, other_bound: socket.socket
) -> Generator[None]:
    """Run two servers of one gateway in one event loop."""

    async def serve() -> None:
        await asyncio.gather(server.serve(sockets=[bound]), other.serve(sockets=[other_bound]))

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = other.should_exit = True
        thread.join(timeout=10)
        assert not thread.is_alive()


@contextlib.contextmanager
def serve_app(
    app: Any, bound: socket.socket | None = None, *, http: Literal["auto", "h11", "httptools"] = "auto"
) -> Generator[str]:
    """Serve any ASGI app, with the parser named; yields its address."""
    with bound or listener() as bound:
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=http,
                log_config=None,
                access_log=False,
                proxy_headers=False,
                ws="websockets-sansio",
                timeout_graceful_shutdown=2,
            )
        )
        with serve_in_thread(server, bound):
            yield url_of(bound)


class Closing:
    """An ASGI app that closes its generation within the server's own loop."""

    def __init__(self, generation: Generation) -> None:
        self.generation = generation

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await self.generation.doors.app(scope, receive, send)
            return
        await receive()
        if self.generation.doors.grpc_checks is not None:
            self.generation.start()  # others do without: what runs beside requests begins with the first of them
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.generation.close()
        await send({"type": "lifespan.shutdown.complete"})


@contextlib.contextmanager
def serve_gateway(simulator: RunningSimulator, upstream: str, **changes: str) -> Generator[Running]:
    """Serve the gateway as `gateway run` does: our protocol, our pipeline, the upstream behind it."""
    with listener() as bound:
        changes.setdefault("public_url", url_of(bound))
        settings = read_settings(simulator, upstream=upstream, **changes)
        generation = build(settings)
        with _serve_generation(generation, simulator, bound, short_way=generation.doors.short_way) as running:
            yield running


@contextlib.contextmanager
def serve_gateway_slowly(simulator: RunningSimulator, upstream: str, **changes: str) -> Generator[Running]:
    """The same, but every request takes the ASGI way."""
    with listener() as bound:
        changes.setdefault("public_url", url_of(bound))
        generation = build(read_settings(simulator, upstream=upstream, **changes))
        with _serve_generation(generation, simulator, bound, short_way=None) as running:
            yield running


WAYS = {"fast": serve_gateway, "slow": serve_gateway_slowly}
"""The two ways that a request may take under our own server."""


@contextlib.contextmanager
def _serve_generation(
    generation: Generation, simulator: RunningSimulator, bound: socket.socket, *, short_way: ShortWay | None
) -> Generator[Running]:
    doors, fast = generation.doors, short_way is not None
    server = build_server(
        Closing(generation),
        generation.settings,
        short_way=short_way,
        checks=doors.proven_checks if fast else None,
        lifespan="on",
    )
    if short_way is None:  # a foreign server would bring its own WebSockets
        server.config.ws = "websockets-sansio"
        server.config.ws_per_message_deflate = False
        server.config.ws_ping_interval = None
    if not generation.settings.forward_auth.listen:
        with serve_in_thread(server, bound):
            yield Running(url_of(bound), generation.settings, simulator, generation)
        return
    check_server = build_check_server(doors.checks, generation.settings, doors.answered_checks if fast else None)
    with (
        listener() as checks,
        serve_both_in_thread(server, bound, check_server, checks),
    ):
        yield Running(url_of(bound), generation.settings, simulator, generation, url_of(checks))


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with what was received, as JSON; a WebSocket gets its headers, then its own messages back."""
    if scope["type"] == "lifespan":
        return
    headers = [[name.decode("latin-1").lower(), value.decode("latin-1")] for name, value in scope["headers"]]
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": json.dumps(headers)})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})
        return
    request = Request(scope, receive)
    body = await request.body()
    response: Response = JSONResponse(
        {
            "method": scope["method"],
            "path": scope["raw_path"].decode(),
            "query": scope["query_string"].decode(),
            "headers": headers,
            "body": body.decode("latin-1"),
            "user": scope["user"].identity if scope.get("user") and scope["user"].is_authenticated else None,
        }
    )
    if scope["path"].endswith("/cookies"):
        response.raw_headers.extend(
            [
                (b"set-cookie", b"app=1; Path=/"),
                (b"set-cookie", b"app2=2; Path=/"),
                (b"set-cookie", b"gateway=stolen; Path=/"),
                (b"set-cookie", b"gateway-sign-in=stolen; Path=/"),
            ]
        )
    await response(scope, receive, send)


@contextlib.contextmanager
def proxy_form(simulator: RunningSimulator) -> Generator[Running]:
    """The gateway as a reverse proxy before the echoing app."""
    with serve_app(echo) as upstream, serve_gateway(simulator, upstream) as running:
        yield running


@contextlib.contextmanager
def slow_proxy_form(simulator: RunningSimulator) -> Generator[Running]:
    """The gateway as a reverse proxy, all of whose requests take the ASGI way."""
    with serve_app(echo) as upstream, serve_gateway_slowly(simulator, upstream) as running:
        yield running


@contextlib.contextmanager
def asgi_form(simulator: RunningSimulator, **changes: str) -> Generator[Running]:
    """The gateway inside the echoing app, under a server that is not ours."""
    bound = listener()
    settings = read_settings(simulator, url_of(bound), **changes)
    with serve_app(protect(echo, settings), bound) as url:
        yield Running(url, settings, simulator)


PROGRAMS = (*WAYS, "asgi")
"""Where the gateway's own pages may be served: by our own server, either way, or inside an app."""


def serve_in(
    program: str, simulator: RunningSimulator, upstream: str, **changes: str
) -> contextlib.AbstractContextManager[Running]:
    """The gateway in one of `PROGRAMS`, before `upstream` or around the echoing app."""
    if program in WAYS:
        return WAYS[program](simulator, upstream, **changes)
    return asgi_form(simulator, **changes)


class Browser:
    """A visitor: keeps cookies, follows redirects by itself, and says what a browser says."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = httpx.Client(timeout=15, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def navigate(self, target: str, *, method: str = "GET", **options: Any) -> httpx.Response:
        """Open an address as a person does."""
        return self._send(method, target, NAVIGATION, options)

    def fetch(self, target: str, *, method: str = "GET", **options: Any) -> httpx.Response:
        """Request an address as a script of the same site does."""
        return self._send(method, target, SAME_ORIGIN, options)

    def sign_in(self, target: str = "/private/x", *, person: str | None = None, **choices: Any) -> httpx.Response:
        """Open a page, go through TikTok, and return the page's answer."""
        begun = self.navigate(target)
        assert begun.status_code == 302, begun.text
        returned = self.navigate(self.consent(begun.headers["location"], person=person, **choices))
        assert returned.status_code == 302, returned.text
        return self.navigate(returned.headers["location"])

    def consent(self, authorization_url: str, *, person: str | None = None, **choices: Any) -> str:
        """Choose at the simulator; returns the address of the callback."""
        if person is not None:
            choices["person"] = person
        return consent(authorization_url, **choices)

    def _send(self, method: str, target: str, headers: Mapping[str, str], options: dict[str, Any]) -> httpx.Response:
        absolute = target if target.startswith("http") else self.url + target
        merged = {**headers, **options.pop("headers", {})}
        # the raw target goes out byte for byte: httpx would tidy it
        origin = absolute[: absolute.index("/", 8)] if "/" in absolute[8:] else absolute
        request = self.client.build_request(method, origin, headers=merged, **options)
        request.extensions["target"] = (absolute[len(origin) :].partition("#")[0] or "/").encode()
        return self.client.send(request)


def headers_of(response: httpx.Response) -> dict[str, str]:
    """Return the headers that the echo upstream received; asserts that none came twice."""
    pairs = response.json()["headers"]
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), names
    return dict(pairs)
