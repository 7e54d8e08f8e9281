"""Apps that hang below the root of a server: what is judged is what they are called with, or they are not called.

A server, a front or a framework cuts a target in two, `SCRIPT_NAME` and `PATH_INFO`, or `root_path` and what is below
it, before anybody has resolved its dots. Each of the ways to cut that are in use is played here.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.routing import Mount, Router
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from gateway.asgi import protect as protect_asgi
from gateway.core.path import canonicalise
from gateway.core.request import RequestHead
from gateway.simulator import RunningSimulator
from gateway.web.exchange import Exchange
from gateway.web.pipeline import Pipeline
from gateway.wsgi import protect as protect_wsgi
from tests.harness import read_settings
from tests.threats.mutation import examples

OPEN = "[{path: /**, access: public}]"
RULES = """[
  {path: /app/admin/**, access: deny},
  {path: /app/team/**, allow: {open_ids: [nobody]}},
  {path: /app/videos/**, scopes: [video.list]},
  {path: /app/open/**, access: public},
  {path: /app/**},
  {path: /**, access: public}
]"""
CLOSED = ("admin", "team", "videos")


@dataclass
class Called:
    """What was judged, and what the app was called with below its mount."""

    judged: list[bytes] = field(default_factory=list)
    apps: list[tuple[str, str]] = field(default_factory=list)


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Called:
    called, judge = Called(), Pipeline.judge

    async def judge_noted(self: Pipeline, head: RequestHead, exchange: Exchange, *rest: Any) -> Any:
        called.judged.append(head.path.raw)
        return await judge(self, head, exchange, *rest)

    monkeypatch.setattr(Pipeline, "judge", judge_noted)
    return called


class Asgi:
    """Plays servers and frameworks before the ASGI form."""

    def __init__(self, simulator: RunningSimulator, called: Called, **changes: str) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            called.apps.append((scope["root_path"], scope["path"].removeprefix(scope["root_path"])))
            assert unquote_to_bytes(scope["raw_path"]).decode() == scope["path"]
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body"})

        self.app = protect_asgi(app, read_settings(simulator, "http://app.example", **changes))
        self.called = called

    def ask(self, scope: dict[str, Any], *fields: tuple[bytes, bytes], app: Any = None) -> int:
        statuses: list[int] = []

        async def receive() -> Any:
            return {"type": "http.request"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        whole = {"type": "http", "method": "GET", "query_string": b"", "headers": [(b"host", b"app.example"), *fields]}
        asyncio.run((app or self.app)(whole | scope, receive, send))
        return statuses[0]

    def path_has_it(self, mount: str, below: bytes) -> int:
        """As hypercorn, daphne, granian and gunicorn do, where the front leaves the target alone."""
        raw = _encode(mount) + below
        return self.ask({"root_path": mount, "path": _decode(raw), "raw_path": raw})

    def put_in_front(self, mount: str, target: bytes) -> int:
        """As uvicorn does with whatever was asked for."""
        raw = mount.encode("ascii", "replace") + target
        return self.ask({"root_path": mount, "path": mount + _decode(target), "raw_path": raw})

    def path_has_it_not(self, mount: str, target: bytes) -> int:
        """As where a front strips the mount, and a server or FastAPI(root_path=…) names it."""
        return self.ask({"root_path": mount, "path": _decode(target), "raw_path": target})

    def without_raw_path(self, mount: str, below: bytes) -> int:
        return self.ask({"root_path": mount, "path": _decode(_encode(mount) + below)})

    def starlette(self, mount: str, below: bytes) -> int:
        """Starlette's own `Mount`."""
        if not mount.startswith("/"):
            return 404
        outer = Router([Mount(mount, self.app)], redirect_slashes=False)
        raw = _encode(mount) + below
        return self.ask({"root_path": "", "path": _decode(raw), "raw_path": raw}, app=outer)


class Wsgi:
    """Plays servers and frameworks before the WSGI form."""

    def __init__(self, simulator: RunningSimulator, called: Called, **changes: str) -> None:
        def app(environ: Any, start_response: Any) -> Any:
            script, path = (environ[name].encode("latin-1").decode() for name in ("SCRIPT_NAME", "PATH_INFO"))
            called.apps.append((script, path))
            start_response("200 OK", [])
            return [b""]

        self.app = protect_wsgi(app, read_settings(simulator, "http://app.example", **changes))
        self.called = called

    def ask(self, script: str, path: bytes, *, app: Any = None, **variables: str) -> int:
        statuses: list[int] = []
        environ = {
            "REQUEST_METHOD": "GET",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "SCRIPT_NAME": script.encode().decode("latin-1"),
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "HTTP_HOST": "app.example",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(),
        } | variables
        (app or self.app)(environ, lambda status, headers: statuses.append(int(status[:3])))
        return statuses[0]

    def cut_off(self, mount: str, below: bytes) -> int:
        """As gunicorn and waitress do; REQUEST_URI has it all."""
        return self.ask(mount, below, REQUEST_URI=(_encode(mount) + below).decode("latin-1"))

    def cut_blindly(self, mount: str, below: bytes) -> int:
        """As granian does: so many characters, whatever they are."""
        path = unquote_to_bytes(below)[len(mount) :] or b"/"
        return self.ask(mount, path.replace(b"%", b"%25"))

    def named_by_nobody(self, mount: str, target: bytes) -> int:
        """As where a front strips the mount, and ProxyFix puts it on again."""
        return self.ask(mount, target, RAW_URI=target.decode("latin-1"))

    def werkzeug(self, mount: str, below: bytes) -> int:
        def not_found(environ: Any, start_response: Any) -> Any:
            start_response("404 NOT FOUND", [])
            return [b""]

        outer = DispatcherMiddleware(not_found, {mount: self.app})
        return self.ask("", _encode(mount) + below, app=outer)


def _encode(mount: str) -> bytes:
    return b"".join(bytes([byte]) if 32 < byte < 127 else b"%%%02X" % byte for byte in mount.encode())


def _decode(raw: bytes) -> str:
    return unquote_to_bytes(raw).decode("utf-8", "replace")


ASGI_WAYS: tuple[Callable[..., int], ...] = (
    Asgi.path_has_it,
    Asgi.put_in_front,
    Asgi.path_has_it_not,
    Asgi.without_raw_path,
    Asgi.starlette,
)
WSGI_WAYS: tuple[Callable[..., int], ...] = (Wsgi.cut_off, Wsgi.cut_blindly, Wsgi.named_by_nobody, Wsgi.werkzeug)

Form = Asgi | Wsgi
WAYS = [(Asgi, way) for way in ASGI_WAYS] + [(Wsgi, way) for way in WSGI_WAYS]


@pytest.fixture(params=WAYS, ids=lambda pair: f"{pair[0].__name__}-{pair[1].__name__}")
def way(request: pytest.FixtureRequest) -> tuple[type[Form], Callable[..., int]]:
    found: tuple[type[Form], Callable[..., int]] = request.param
    return found


@pytest.fixture
def plays(
    way: tuple[type[Form], Callable[..., int]], simulator: RunningSimulator, called: Called
) -> Generator[Callable[..., Callable[[str, bytes], int]]]:
    forms: dict[str, Form] = {}

    def play(*, routes: str) -> Callable[[str, bytes], int]:
        form = forms.get(routes) or forms.setdefault(routes, way[0](simulator, called, routes=routes))
        return lambda mount, target: way[1](form, mount, target)

    yield play
    for form in forms.values():
        if isinstance(form, Wsgi):
            form.app.close()


segments = st.sampled_from(
    [
        b"a",
        b"app",
        b"admin",
        b"..",
        b".",
        b"%2e%2e",
        b"%2E.",
        b"",
        b"%C3%A9",
        b"%2f",
        b"%5c",
        b";x",
        b"..;x",
        b"%41",
        b"%25",
    ]
)
targets = st.lists(segments, max_size=7).map(lambda parts: b"".join(b"/" + part for part in parts))
mounts = st.sampled_from(
    ["/app", "/app/v1", "/é", "/a b", "/a%20b", "/app/", "/", "//app", "/app/../x", "/.", "app", "/a/."]
)


@examples(150)
@given(mount=mounts, target=targets)
@example("/app", b"/../admin")
@example("/app", b"/../xxx/admin")
@example("/app", b"/%2e%2e/admin")
@example("/app", b"/x/../../admin")
@example("/app", b"")
@example("/app", b"//")
@example("/app", b"le")
@example("/é", b"/%C3%A9")
def test_what_is_judged_is_what_the_app_is_called_with(
    plays: Callable[..., Callable[[str, bytes], int]], called: Called, mount: str, target: bytes
) -> None:
    called.judged.clear()
    called.apps.clear()
    status = plays(routes=OPEN)(mount, target)
    if not called.apps:
        assert status in {400, 404}
        return
    assert status == 200
    (judged,), ((script, path),) = called.judged, called.apps
    assert canonicalise(judged).raw == judged
    assert unquote_to_bytes(judged).decode() == script + path
    assert script == mount.rstrip("/")
    assert not path or path.startswith("/")


ATTACKS = [
    "/../{}/x",
    "/%2e%2e/{}/x",
    "/.%2E/{}/x",
    "/../xyz/{}/x",
    "/%2e%2e/xyz/{}/x",
    "/../open/{}/x",
    "/a/../../xyz/{}/x",
    "//../xyz/{}/x",
    "/..//xyz//{}/x",
    "/./../xyz/{}/x",
    "/open/../{}/x",
    "/open/%2e%2e/{}/x",
    "//{}/x",
    "/.//{}/./x",
    "/open/../../app/{}/x",
    "/../app/{}/x",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_rule_is_walked_around(
    plays: Callable[..., Callable[[str, bytes], int]], called: Called, attack: str
) -> None:
    ask = plays(routes=RULES)
    for closed in CLOSED:
        assert ask("/app", attack.format(closed).encode()) in {400, 401, 403, 404}
    assert called.apps == []


@pytest.mark.parametrize("attack", ["/%252e%252e/admin", "/x/..%20/..%20/admin", "/%25252e%25252e/admin"])
def test_an_app_is_not_led_above_its_mount(
    plays: Callable[..., Callable[[str, bytes], int]], called: Called, attack: str
) -> None:
    """One that decodes once more ends at its own root, where /admin is what is denied here."""
    ask = plays(routes="[{path: /app/admin, access: deny}, {path: /**, access: public}]")
    assert ask("/app", attack.encode()) in {400, 404}
    assert called.apps == []


def test_an_open_part_stays_open(plays: Callable[..., Callable[[str, bytes], int]], called: Called) -> None:
    ask = plays(routes=RULES)
    if ask("/app", b"/open/x/../y") == 400:  # who cuts blindly expects the whole path
        assert ask("/app", b"/app/open/x/../y") == 200
    assert called.apps[-1] == ("/app", "/open/y")


MOUNT_NAMES = ["/open", "/open/"]


@pytest.mark.parametrize("name", [b"daphne-root-path", b"Daphne-Root-Path"])
def test_a_client_cannot_have_a_daphne_cut_the_path(simulator: RunningSimulator, called: Called, name: bytes) -> None:
    form = Asgi(simulator, called, routes="[{path: /open/**, access: public}, {path: /**}]")
    for mount in MOUNT_NAMES:
        told = {"root_path": mount, "path": "/open/secret", "raw_path": b"/open/secret"}
        assert form.ask(told, (name, mount.encode())) == 400
    assert called.apps == []


def test_a_client_cannot_have_a_gunicorn_cut_the_path(simulator: RunningSimulator, called: Called) -> None:
    form = Wsgi(simulator, called, routes="[{path: /open/**, access: public}, {path: /**}]")
    for mount in MOUNT_NAMES:
        assert form.ask(mount, b"/secret", HTTP_SCRIPT_NAME=mount) == 400
    assert called.apps == []
    form.app.close()


@pytest.mark.parametrize(("destination", "status"), [("/app/b", 200), ("/b", 502), ("/apple/b", 502), ("/open/b", 502)])
def test_nothing_is_copied_out_of_the_mount(
    simulator: RunningSimulator, called: Called, destination: str, status: int
) -> None:
    """An app may take the mount off where it is, and take another path for one of its own."""
    for address in (destination, "http://app.example" + destination):
        copied = {"root_path": "/app", "path": "/app/a", "raw_path": b"/app/a", "method": "COPY"}
        assert Asgi(simulator, called, routes=OPEN).ask(copied, (b"destination", address.encode())) == status
        form = Wsgi(simulator, called, routes=OPEN)
        assert form.ask("/app", b"/a", REQUEST_METHOD="COPY", HTTP_DESTINATION=address) == status
        form.app.close()
