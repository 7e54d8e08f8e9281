"""Checks of fronts, answered by the protocol: byte for byte as the ASGI app answers them, and when it is asked at all."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import re
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from gateway.core.forwarded import TrustedProxies
from gateway.core.grant import Grant
from gateway.core.keyring import new_secret_key
from gateway.core.session import build_session_key
from gateway.core.tiktok import Profile, TokenSet
from gateway.errors import StoreUnavailable
from gateway.runtime.build import build
from gateway.runtime.generation import Generation
from gateway.server.connections import ConnectionGuard
from gateway.server.short.asking import ChecksProtocol
from gateway.server.short.checks import Checks
from gateway.server.short.protocol import ShortWayProtocol
from gateway.settings import load
from tests.server.conftest import ROUTES, DryTransport

pytestmark = pytest.mark.anyio

FRONT = "192.0.2.7"
SECRET = "a-secret-of-the-front-and-the-gateway"
WANTED = "Cookie: theme=dark; __Host-gateway=@; lang=de"


class Door:
    """A gateway without sockets, one of its listeners, and somebody who is signed in."""

    def __init__(self, generation: Generation, session_id: str, *, public: bool) -> None:
        self.generation = generation
        self.session_id = session_id
        self.public = public
        doors = generation.doors
        self.app = doors.app if public else doors.checks
        self.checks = doors.proven_checks if public else doors.answered_checks
        self.calls = 0

    def connect(self, *, short: bool = True, peer: str = FRONT) -> tuple[ChecksProtocol, DryTransport]:
        """Make a front's connection; without the short way, all is answered by the app."""

        async def counted(scope: Any, receive: Any, send: Any) -> None:
            self.calls += 1
            await self.app(scope, receive, send)

        config = uvicorn.Config(counted, log_config=None, access_log=False, server_header=False, interface="asgi3")
        config.load()
        state = ServerState()
        state.default_headers = [(b"date", b"Tue, 24 Nov 2026 12:00:00 GMT")]
        pages = (b"/oauth2/auth", b"/oauth2/ext_authz") if self.public else (b"/",)
        own = {
            "short_way": self.generation.doors.short_way,
            "guard": ConnectionGuard(0, TrustedProxies(())),
            "checks": pages,
            "asked": self.checks if short else None,
        }
        kind = ShortWayProtocol if self.public else ChecksProtocol
        client = type("Protocol", (kind,), own)(config, state, {})
        transport = DryTransport(peer)
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
    environ = {
        "PUBLIC_URL": "https://app.example",
        "UPSTREAM": "none",
        "REDIS": "memory://",
        "SECRET_KEYS": json.dumps([new_secret_key()]),
        "TIKTOK__CLIENT_KEY": "k",
        "TIKTOK__CLIENT_SECRET": "s",
        "SESSION__CACHE_FOR": "10m",
        "ADMIN__LISTEN": "off",
        "TRUSTED_PROXIES": json.dumps([FRONT]),
        "FORWARD_AUTH__LISTEN": "127.0.0.1:9",
        "ROUTES": ROUTES,
        **({"FORWARD_AUTH__SECRET": SECRET} if public else {}),
        **changes,
    }
    generation = build(load(None, {f"GATEWAY__{name}": value for name, value in environ.items()}))
    now = datetime.now(UTC)
    tokens = TokenSet(
        open_id="-000me",
        access_token="act.me",
        refresh_token="rft.me",
        scopes=("user.info.basic",),
        obtained_at=now,
        access_expires_at=now + timedelta(days=1),
        refresh_expires_at=now + timedelta(days=365),
    )
    grant = Grant(tokens=tokens, profile=Profile(open_id="-000me", display_name="Ada"), profile_read_at=now)
    session_id = await generation.records.sessions.begin(grant, user_agent="test", now=now)
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


async def until_answered(transport: DryTransport) -> bytes:
    for _ in range(1000):
        if transport.written:
            return transport.take()
        await asyncio.sleep(0)
    raise AssertionError("nothing was written")


async def make_known(door: Door, check: bytes) -> None:
    """Have the app read who asks from the store, so that the memory knows."""
    client, transport = door.connect(short=False)
    client.data_received(check)
    assert (await until_answered(transport)).split(b" ")[1] in (b"200", b"202")
    door.calls = 0


def without_ids(answer: bytes) -> bytes:
    return re.sub(rb"[0-9a-f]{24}", b"ID", answer)


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
