"""Checks of fronts, answered by the protocol: byte for byte as the app answers them, and when that is asked at all."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from gateway.core.forwarded import TrustedProxies
from gateway.core.session import build_session_key
from gateway.errors import StoreUnavailable
from gateway.runtime.generation import Generation
from gateway.runtime.http_server import build_check_server, build_server
from gateway.server.connections import ConnectionGuard
from gateway.server.short.asking import MOST_AT_ONCE, ChecksProtocol
from gateway.server.short.check_reader import WEIGHT_OF_YES
from gateway.server.short.protocol import ShortWayProtocol
from tests.server.conftest import DryTransport, build_signed_in

pytestmark = pytest.mark.anyio

FRONT = "192.0.2.7"
SECRET = "a-secret-of-the-front-and-the-gateway"
WANTED = "Cookie: theme=dark; __Host-gateway=@; lang=de"


class UnixTransport(DryTransport):
    """One of a unix socket, whose other end has no address."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": "", "sockname": "/run/gateway/checks.sock"}.get(name, default)


class Door:
    """A gateway without sockets, one of its listeners, and somebody who is signed in."""

    def __init__(self, generation: Generation, session_id: str, *, public: bool) -> None:
        self.generation = generation
        self.session_id = session_id
        self.public = public
        doors = generation.doors
        self.app = doors.app if public else doors.checks
        self.checks = doors.proven_checks if public else doors.answered_checks
        self.guard = ConnectionGuard(0, TrustedProxies(()))
        self.calls = 0

    def connect(self, *, short: bool = True, peer: str | None = FRONT) -> tuple[ChecksProtocol, DryTransport]:
        """Make a front's connection; without the short way, all is answered by the app."""

        async def counted(scope: Any, receive: Any, send: Any) -> None:
            self.calls += 1
            await self.app(scope, receive, send)

        config = uvicorn.Config(
            counted, log_config=None, access_log=False, server_header=False, proxy_headers=False, interface="asgi3"
        )
        config.load()
        state = ServerState()
        state.default_headers = [(b"date", b"Tue, 24 Nov 2026 12:00:00 GMT")]
        pages = (b"/oauth2/auth", b"/oauth2/ext_authz") if self.public else (b"/",)
        own = {
            "short_way": self.generation.doors.short_way,
            "guard": self.guard,
            "checks": pages,
            "asked": self.checks if short else None,
        }
        kind = ShortWayProtocol if self.public else ChecksProtocol
        client = type("Protocol", (kind,), own)(config, state, {})
        transport = DryTransport(peer) if peer is not None else UnixTransport()
        client.connection_made(transport)
        return client, transport

    def build(self, line: str, *fields: str) -> bytes:
        """Build a check; @ stands for the session."""
        text = "\r\n".join([f"{line} HTTP/1.1", *fields, "", ""])
        return text.replace("@", self.session_id).encode("latin-1")


def usual(uri: str = "/x?y=1", *more: str, host: str = "app.example") -> list[str]:
    """What a front says, of a visitor who is signed in."""
    said = [f"Host: {host}", "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https", f"X-Forwarded-Host: {host}"]
    return [*said, "X-Forwarded-Method: GET", f"X-Forwarded-Uri: {uri}", WANTED, *more]


async def open_door(*, public: bool = False, **changes: str) -> Door:
    of_a_front = {
        "UPSTREAM": "none",
        "TRUSTED_PROXIES": json.dumps([FRONT]),
        "FORWARD_AUTH__LISTEN": "127.0.0.1:9",
        **({"FORWARD_AUTH__SECRET": SECRET} if public else {}),
    }
    generation, session_id = await build_signed_in(**of_a_front | changes)
    return Door(generation, session_id, public=public)


@pytest.fixture
async def door() -> AsyncGenerator[Door]:
    opened = await open_door()
    yield opened
    await opened.generation.close()


@pytest.fixture
async def public() -> AsyncGenerator[Door]:
    opened = await open_door(public=True)
    yield opened
    await opened.generation.close()


async def until_answered(client: ChecksProtocol, transport: DryTransport) -> bytes:
    for _ in range(1000):
        if transport.written and client._is_free():
            return transport.take()
        await asyncio.sleep(0)
    raise AssertionError("nothing was written")


async def make_known(door: Door, check: bytes) -> None:
    """Have the app read who asks from the store, so that the memory knows."""
    client, transport = door.connect(short=False)
    client.data_received(check)
    assert (await until_answered(client, transport)).split(b" ")[1] in (b"200", b"202")
    door.calls = 0


def without_ids(answer: bytes) -> bytes:
    """Leave out what is made anew each time: ids, and what begins a sign-in."""
    return re.sub(rb"(state=|code_challenge=|sign-in-)[\w=-]+|[0-9a-f]{24}", b"", answer)


def without_times(line: str) -> str:
    return re.sub(r"(duration_ms|timestamp)=\S+", "", without_ids(line.encode()).decode())


async def test_a_check_is_answered_within_the_same_call(door: Door) -> None:
    check = door.build("GET /oauth2/auth", *usual())
    await make_known(door, check)
    client, transport = door.connect()
    client.data_received(check)
    answer = transport.take()
    assert answer.startswith(b"HTTP/1.1 202 Accepted\r\ndate: ")
    assert b"\r\nx-tiktok-open-id: -000me\r\n" in answer
    assert b"\r\ncookie: theme=dark; lang=de\r\n" in answer
    assert door.calls == 0


async def test_checks_that_are_pipelined_are_answered_in_turn(door: Door) -> None:
    checks = [door.build("GET /oauth2/auth", *usual(uri)) for uri in ("/a", "/no/b", "/public/c")]
    await make_known(door, checks[0])
    client, transport = door.connect()
    client.data_received(checks[0] + checks[0] + checks[1] + checks[2])
    answers = b""
    while answers.count(b"HTTP/1.1 ") < 4:
        answers += await until_answered(client, transport)
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"202", b"202", b"403", b"202"]
    client.data_received(checks[0][:40])  # and the connection goes on, even in pieces
    client.data_received(checks[0][40:])
    assert (await until_answered(client, transport)).startswith(b"HTTP/1.1 202 ")


async def test_a_session_that_ends_is_not_answered_from_what_was_known(door: Door) -> None:
    check = door.build("GET /oauth2/auth", *usual())
    await make_known(door, check)
    client, transport = door.connect()
    client.data_received(check)
    assert transport.take().startswith(b"HTTP/1.1 202 ")
    key = build_session_key(door.session_id.encode())
    assert key is not None
    await door.generation.records.store.delete(key)
    client.data_received(check)
    assert (await until_answered(client, transport)).startswith(b"HTTP/1.1 401 ")


async def test_what_is_not_remembered_is_confirmed_by_the_store_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    door = await open_door(SESSION__CACHE_FOR="0s")
    check = door.build("GET /oauth2/auth", *usual())
    await make_known(door, check)
    asked: list[Callable[[bool | StoreUnavailable], None]] = []
    monkeypatch.setattr(door.generation.judging.gate, "confirm", lambda _, told: asked.append(told))
    client, transport = door.connect()
    client.data_received(check)
    client.data_received(check)  # waits for its turn
    assert (len(asked), transport.written) == (1, b"")
    assert door.checks is not None
    assert door.checks.in_use
    asked.pop()(True)
    assert transport.take().startswith(b"HTTP/1.1 202 ")
    assert not door.checks.in_use
    while not asked:  # noqa: ASYNC110 -- nothing tells that the one which has waited is read by the parser
        await asyncio.sleep(0)
    asked.pop()(True)
    assert (await until_answered(client, transport)).startswith(b"HTTP/1.1 202 ")
    await door.generation.close()


@pytest.mark.parametrize("told", [False, StoreUnavailable("it is away")])
async def test_what_the_store_does_not_confirm_is_read_anew_and_without_it_nothing_is_asked_twice(
    told: bool | StoreUnavailable, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = await open_door(SESSION__CACHE_FOR="0s")
    check = door.build("GET /oauth2/auth", *usual())
    await make_known(door, check)
    monkeypatch.setattr(door.generation.judging.gate, "confirm", lambda _, tell: tell(told))
    client, transport = door.connect()
    client.data_received(check)
    answer = await until_answered(client, transport)
    assert answer.startswith(b"HTTP/1.1 202 " if told is False else b"HTTP/1.1 503 ")
    assert (b"\r\nretry-after: " in answer) is (told is not False)
    assert door.calls == 0
    await door.generation.close()


async def test_a_front_that_leaves_while_the_store_is_asked_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    door = await open_door(SESSION__CACHE_FOR="0s")
    check = door.build("GET /oauth2/auth", *usual())
    await make_known(door, check)
    asked: list[Callable[[bool | StoreUnavailable], None]] = []
    monkeypatch.setattr(door.generation.judging.gate, "confirm", lambda _, told: asked.append(told))
    client, transport = door.connect()
    client.data_received(check)
    client.connection_lost(None)
    assert door.checks is not None
    assert not door.checks.in_use
    asked.pop()(True)
    assert (transport.written, door.calls) == (b"", 0)
    await door.generation.close()


async def test_a_server_that_ends_answers_the_check_in_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    door = await open_door(SESSION__CACHE_FOR="0s")
    check = door.build("GET /oauth2/auth", *usual())
    await make_known(door, check)
    asked: list[Callable[[bool | StoreUnavailable], None]] = []
    monkeypatch.setattr(door.generation.judging.gate, "confirm", lambda _, told: asked.append(told))
    client, transport = door.connect()
    client.data_received(check)
    client.shutdown()
    assert not transport.closing
    asked.pop()(True)
    answer = transport.take()
    assert answer.startswith(b"HTTP/1.1 202 ")
    assert b"\r\nconnection: close\r\n" in answer
    assert transport.closing
    await door.generation.close()


@pytest.mark.parametrize("public", [False, True])
@pytest.mark.parametrize("page", ["auth", "ext_authz"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("accept", ["*/*", "text/html"])
async def test_that_the_store_is_away_is_told_as_by_the_app(
    page: str, method: str, accept: str, monkeypatch: pytest.MonkeyPatch, *, public: bool
) -> None:
    door = await open_door(SESSION__CACHE_FOR="0s", public=public)
    said = (f"Accept: {accept}", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", f"X-Gateway-Check: {SECRET}")
    check = door.build(f"{method} /oauth2/{page}", *usual("/x?y=1", *said))
    await make_known(door, check)
    away = StoreUnavailable("it is away")
    monkeypatch.setattr(door.generation.judging.gate, "confirm", lambda _, tell: tell(away))
    monkeypatch.setattr(door.generation.records.store, "ask", lambda _, tell: tell(away))

    async def read(*_: object) -> list[bytes | None]:
        raise away

    monkeypatch.setattr(door.generation.records.store, "read_many", read)
    monkeypatch.setattr(door.generation.records.store, "read", read)
    answers = []
    for short in (True, False):
        client, transport = door.connect(short=short)
        client.data_received(check)
        answers.append(without_ids(await until_answered(client, transport)))
    assert answers[0] == answers[1]
    assert door.calls == 1
    await door.generation.close()


async def test_a_server_that_ends_takes_nothing_that_waits_behind_the_check_in_hand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    door = await open_door(SESSION__CACHE_FOR="0s")
    check = door.build("GET /oauth2/auth", *usual())
    await make_known(door, check)
    asked: list[Callable[[bool | StoreUnavailable], None]] = []
    gate = door.generation.judging.gate
    monkeypatch.setattr(gate, "confirm", lambda _, told: asked.append(told))
    client, transport = door.connect()
    client.data_received(check + check)
    client.shutdown()
    monkeypatch.setattr(gate, "recognise", lambda *words: words[-1](None))
    asked.pop(0)(False)  # it is left to the app
    answer = await until_answered(client, transport)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"\r\nconnection: close\r\n" in answer
    assert transport.closing or transport.said_eof
    await door.generation.close()


async def test_what_is_pipelined_has_to_be_a_check_too(door: Door) -> None:
    check = door.build("GET /oauth2/auth", *usual())
    await make_known(door, check)
    for line in ("POST /oauth2/auth", "BREW /oauth2/auth", "GET /oauth2/account"):
        client, transport = door.connect()
        client.data_received(check + door.build(line, *usual()))
        for _ in range(1000):
            await asyncio.sleep(0)
        first, second = transport.take().split(b"HTTP/1.1 ")[1:]
        assert first.startswith(b"202 ")
        assert b"x-tiktok" not in second


async def test_many_checks_of_one_connection_take_turns_with_others(door: Door) -> None:
    check = door.build("GET /oauth2/auth", *usual())
    await make_known(door, check)
    client, transport = door.connect()
    client.data_received(check * (MOST_AT_ONCE + 3))
    assert transport.take().count(b"HTTP/1.1 202 ") == MOST_AT_ONCE
    for _ in range(3):
        assert (await until_answered(client, transport)).startswith(b"HTTP/1.1 202 ")
    assert door.calls == 3


def all_that_was_said(door: Door) -> int:
    assert door.checks is not None
    askers = door.checks._reader._askers.kept.values()
    return sum(len(yes.lines) + WEIGHT_OF_YES for asker in askers for yes in asker.yes.values())


async def test_what_is_kept_of_askers_is_bounded_whatever_cookies_they_have(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 20 * WEIGHT_OF_YES
    monkeypatch.setattr("gateway.server.short.check_reader.HEAVIEST_YES", most)
    client, transport = door.connect()
    for number in range(60):
        fields = [each for each in usual("/public/x") if not each.startswith("Cookie:")]
        client.data_received(door.build("GET /oauth2/auth", *fields, f"Cookie: j={number:06}{'x' * 700}"))
        assert (await until_answered(client, transport)).startswith(b"HTTP/1.1 202 ")
        assert all_that_was_said(door) <= most
    assert all_that_was_said(door)
    assert door.calls == 0


async def test_of_what_is_asked_about_no_fields_are_kept(door: Door) -> None:
    client, transport = door.connect()
    for number in range(3):
        for _ in range(3):
            client.data_received(door.build("GET /oauth2/auth", *usual(f"/x{number}")))
            await until_answered(client, transport)
    assert door.checks is not None
    reader = door.checks._reader
    kept = [*reader._asked.kept.values(), *reader._forms.kept.values()]
    assert kept
    assert all(each.head.headers == () for each in kept)


async def test_the_secret_is_asked_for_each_time_where_anybody_may_ask(public: Door) -> None:
    proven = public.build("GET /oauth2/auth", *usual("/x", f"X-Gateway-Check: {SECRET}"))
    await make_known(public, proven)
    client, transport = public.connect()
    client.data_received(proven)
    assert b"\r\nx-tiktok-open-id: -000me\r\n" in transport.take()
    assert public.calls == 0
    for unproven in (usual(), usual("/x", "X-Gateway-Check: another"), usual("/x", f"X-Gateway-Check: {SECRET}x")):
        client.data_received(public.build("GET /oauth2/auth", *unproven))
        assert b"tiktok" not in (await until_answered(client, transport))
    assert public.calls == 3


async def test_a_front_is_answered_over_a_unix_socket() -> None:
    door = await open_door(TRUSTED_PROXIES='["unix"]')
    check = door.build("GET /oauth2/auth", *usual())
    client, transport = door.connect(short=False, peer=None)
    client.data_received(check)
    expected = await until_answered(client, transport)
    door.calls = 0
    client, transport = door.connect(peer=None)
    client.data_received(check)
    assert transport.take() == expected
    assert b"x-tiktok-open-id" in expected
    assert door.calls == 0
    await door.generation.close()


async def test_what_is_known_of_one_address_says_nothing_of_two(door: Door) -> None:
    """A line that names an address has to agree with a field that does."""
    line = "GET /oauth2/ext_authz/public/a"
    client, transport = door.connect()
    for uri in ("/public/a", "/public/a", "/public/a", "/public/b"):
        client.data_received(door.build(line, *usual(uri)))
        answer = await until_answered(client, transport)
        assert answer.startswith(b"HTTP/1.1 200 " if uri == "/public/a" else b"HTTP/1.1 403 ")


async def test_a_reload_leaves_nothing_of_what_was_known() -> None:
    """Each server goes by the checks of its own listener, and by none where they are traced."""
    door, later, traced = await open_door(), await open_door(public=True), await open_door(TRACING="on")
    doors = door.generation.doors
    checks = build_check_server(doors.checks, door.generation.settings, doors.answered_checks)
    public = build_server(doors.app, door.generation.settings, short_way=doors.short_way, checks=doors.proven_checks)
    admin = build_server(doors.admin, door.generation.settings)
    assert checks._protocol.asked is doors.answered_checks is not None  # type: ignore[attr-defined]
    assert public._protocol.asked is None  # type: ignore[attr-defined]
    for generation in (later.generation, traced.generation):
        for server in (checks, public, admin):
            server.prepare(generation)()
        assert checks._protocol.asked is generation.doors.answered_checks  # type: ignore[attr-defined]
        assert public._protocol.asked is generation.doors.proven_checks  # type: ignore[attr-defined]
        assert not hasattr(admin._protocol, "asked")
    assert later.generation.doors.proven_checks is not None
    assert traced.generation.doors.answered_checks is None
    for each in (door, later, traced):
        await each.generation.close()


LINES = (
    *("GET /oauth2/auth", "HEAD /oauth2/auth", "GET /oauth2/ext_authz", "POST /oauth2/ext_authz"),
    *("GET /oauth2/ext_authz/x?y=1", "POST /oauth2/ext_authz/x", "DELETE /oauth2/ext_authz/public/a%20b"),
    *("GET /oauth2/ext_authz/oauth2/account", "GET /oauth2/ext_authz/a/../b", "HEAD /oauth2/ext_authz/no/x"),
)
ODD_LINES = (
    *("GET /oauth2/auth?x=1", "POST /oauth2/auth", "GET /oauth2/ext_authzz", "GET /oauth2/ext_authz?/public/x"),
    *("GET /oauth2/auth/x", "GET /oauth2//auth", "GET http://app.example/oauth2/auth", "GET /oauth2/livez", "GET /x"),
    *("M-SEARCH /oauth2/ext_authz/x", "TRACE /oauth2/ext_authz/x", "GET /oauth2/ext_authz/\xe9"),
)
POOLS: dict[str, tuple[str, ...]] = {
    "Host": ("app.example", "APP.example:443", "other.example", "app.example:80", "a b", ""),
    "X-Forwarded-For": ("203.0.113.9", "203.0.113.9, 192.0.2.7", "10.0.0.1, 203.0.113.9", "2001:db8::1", "who?", ""),
    "X-Forwarded-Proto": ("https", "http", "wss", "http, https", "ftp", ""),
    "X-Forwarded-Host": ("app.example", "app.example:443", "other.example", "a b", "x, app.example"),
    "X-Forwarded-Method": ("GET", "POST", "OPTIONS", "get", "G T", "CONNECT", "GET\xe9"),
    "X-Forwarded-Uri": (
        *(
            "/x?y=1",
            "/public/a",
            "/maybe/b",
            "/no/c",
            "/small/d",
            "/",
            "/x?",
            "/a%2Fb",
            "/a//b",
            "/a/../no/c",
            "/%6eo/c",
        ),
        *("/oauth2/account", "/oauth2/auth", "x", "/x#y", "/\xe9", "*", "https://app.example/public/a", "/x y"),
        "https://other.example/x",
    ),
    "Cookie": (
        WANTED[8:],
        "theme=dark",
        "__Host-gateway=nobody",
        "__Host-gateway=@; __Host-gateway=x",
        "a=b; a=c",
        ";",
    ),
}
BY_FIELDS = ("X-Forwarded-Method", "X-Forwarded-Uri")
EXTRAS = (
    *("X-Original-URL: https://app.example/x?y=1", "X-Original-URI: /x?y=1", "X-Original-Method: GET", "Origin: null"),
    *("X-Original-URL: https://app.example/public/a", "X-Original-Method: DELETE", "X-Forwarded-Uri: /public/a"),
    *("Forwarded: for=203.0.113.9;host=app.example;proto=https", "Forwarded: for=10.0.0.1", "Destination: /no/x"),
    *("X-TikTok-Open-Id: me", "X_TikTok_Open_Id: me", "X.TikTok.Open.Id: me", "Script-Name: /x", "Path_Info: /x"),
    *(
        "Content-Length: 0",
        "Content-Length: 0\r\nContent-Length: 0",
        "Content-Length: 00",
        "Transfer-Encoding: identity",
    ),
    *(
        "Connection: keep-alive",
        "Connection: close",
        "Connection: X-Forwarded-Uri",
        "TE: trailers",
        "Expect: 100-continue",
    ),
    *("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: eA==", "Sec-WebSocket-Key: eA==", "Trailer: x"),
    *("X-Request-Id: 0af7651916cd43dd8448eb211c80319c", "X-Forwarded-Prefix: /app", "X-Forwarded-Port: 8443"),
    *("Cookie: more=1", "Cookie: __Host-gateway=@", "X-Forwarded-Host: app.example", "X-Forwarded-Proto: http"),
    *("Authorization: Bearer x", "User-Agent: a browser", "Accept: text/html", "Sec-Fetch-Mode: navigate", "X : y"),
    *("X-Gateway-Check: " + SECRET, "X-Gateway-Check: wrong", " folded", "X-Odd: \x01", "\xe9: x", "X-Forwarded-Uri:"),
    *("Access-Control-Request-Method: GET\r\nOrigin: https://app.example", "X-HTTP-Method-Override: GET"),
    *("X-Envoy-Internal: true", "X_Envoy_Internal: true"),
)


def invent(chance: random.Random, number: int, *, public: bool) -> Iterator[tuple[str, list[str]]]:
    """Invent checks: most are usual ones, with up to three things about them that are not."""
    for _ in range(number):
        fields = dict.fromkeys(POOLS, "")
        fields |= {name: pool[0] for name, pool in POOLS.items()}
        for name in chance.sample(list(POOLS), chance.choice([0, 1, 1, 2])):
            fields[name] = chance.choice(POOLS[name])
        for name in chance.sample(list(POOLS), chance.choice([0, 0, 0, 1])):
            del fields[name]
        line = chance.choice(ODD_LINES if chance.random() < 0.1 else LINES)
        if "ext_authz/" in line and chance.random() < 0.8:  # says it all
            fields = {name: value for name, value in fields.items() if name not in BY_FIELDS}
        said = [f"{name}: {value}" for name, value in fields.items()]
        if public and chance.random() < 0.8:
            said.append(f"X-Gateway-Check: {SECRET}")
        for extra in chance.sample(EXTRAS, chance.choice([0, 0, 1, 2])):
            said.insert(chance.randrange(len(said) + 1), extra)
        yield line, said


SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "public": {"public": True, "LOG__ANSWER_REQUEST_ID": "true"},
    "kept": {"TRUSTED_HEADERS": '["X-Request-Id", "X-Forwarded-Prefix", "X-Forwarded-Port"]'},
    "kept-public": {"public": True, "TRUSTED_HEADERS": '["X-Request-Id", "X-Forwarded-Prefix", "X-Forwarded-Port"]'},
    "no-memory": {"SESSION__CACHE_FOR": "0s"},
    "asserting": {"IDENTITY__ASSERTION": "true", "IDENTITY__PRESETS": '["tiktok", "oauth2-proxy"]'},
    "untrusted": {"TRUSTED_PROXIES": "[]"},
}


@pytest.mark.parametrize("name", SETTINGS)
async def test_both_ways_say_the_same(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "gateway")
    door = await open_door(**SETTINGS[name])
    in_short = 0

    async def ask(check: bytes, *, short: bool) -> tuple[bytes, list[str]]:
        caplog.clear()
        client, transport = door.connect(short=short)
        client.data_received(check)
        answer = await until_answered(client, transport)
        told = [without_times(record.getMessage()) for record in caplog.records if "=request " in record.getMessage()]
        client.connection_lost(None)
        return without_ids(answer), told

    for line, fields in invent(random.Random(name), 300, public=door.public):
        check = door.build(line, *fields)
        expected = await ask(check, short=False)
        for _ in range(3):
            door.calls = 0
            assert await ask(check, short=True) == expected, check
            in_short += not door.calls
    assert in_short > 150
    await door.generation.close()
