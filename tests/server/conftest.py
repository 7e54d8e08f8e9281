"""Our server's protocol between two sockets that are not there: what goes in as bytes comes out as bytes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from gateway.core.forwarded import TrustedProxies
from gateway.core.grant import Grant
from gateway.core.keyring import new_secret_key
from gateway.core.tiktok import Profile, TokenSet
from gateway.runtime.build import build
from gateway.runtime.generation import Generation
from gateway.server.connections import ConnectionGuard
from gateway.server.short.protocol import ShortWayProtocol
from gateway.settings import load
from gateway.upstream.connection import Connection

ROUTES = """[
  {path: /public/**, access: public}, {path: /maybe/**, access: optional}, {path: /no/**, access: deny},
  {path: /small/**, access: public, limits: {body: 10}}, {path: /**}
]"""


class DryTransport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self, peer: str = "192.0.2.7") -> None:
        super().__init__()
        self.written = b""
        self.closing = False
        self.reading = True
        self.said_eof = False
        self._peer = peer

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def take(self) -> bytes:
        """Return what was written since the last time."""
        written, self.written = self.written, b""
        return written

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = True

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.said_eof = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": (self._peer, 50000), "sockname": ("192.0.2.1", 8080)}.get(name, default)


class Dry:
    """A gateway without sockets, with somebody signed in."""

    def __init__(self, generation: Generation, session_id: str) -> None:
        self.generation = generation
        self.session_id = session_id
        self._config = uvicorn.Config(generation.doors.app, log_config=None, access_log=False, server_header=False)
        self._config.load()
        self._guard = ConnectionGuard(0, TrustedProxies(()))  # as large as what a process needs: one for all clients

    def connect(self, *, peer: str = "192.0.2.7") -> tuple[ShortWayProtocol, DryTransport]:
        """Make a client connection."""
        state = ServerState()
        state.default_headers = [(b"date", b"Tue, 24 Nov 2026 12:00:00 GMT")]
        own = {"short_way": self.generation.doors.short_way, "guard": self._guard}
        client = type("Protocol", (ShortWayProtocol,), own)(self._config, state, {})
        transport = DryTransport(peer)
        client.connection_made(transport)
        return client, transport

    def connect_upstream(self) -> tuple[Connection, DryTransport]:
        """Make an idle upstream connection, which the next request takes."""
        pool = self.generation.behind.proxies["default"].pool
        place = pool.places.known[0]
        upstream = Connection(pool.upstream, pool, asyncio.get_running_loop(), place)
        transport = DryTransport()
        upstream.connection_made(transport)
        place.open += 1
        place.idle[:] = [upstream]
        return upstream, transport


async def build_signed_in(**changes: str) -> tuple[Generation, str]:
    """Build a gateway, and sign somebody in; returns their session id, too."""
    environ = {
        "PUBLIC_URL": "https://app.example",
        "UPSTREAM": "http://127.0.0.1:3000",
        "REDIS": "memory://",
        "SECRET_KEYS": json.dumps([new_secret_key()]),
        "TIKTOK__CLIENT_KEY": "k",
        "TIKTOK__CLIENT_SECRET": "s",
        "SESSION__CACHE_FOR": "10m",
        "ADMIN__LISTEN": "off",
        "ROUTES": ROUTES,
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
    return generation, await generation.records.sessions.begin(grant, user_agent="test", now=now)


@pytest.fixture
async def dry() -> AsyncGenerator[Dry]:
    generation, session_id = await build_signed_in()
    yield Dry(generation, session_id)
    await generation.close()
