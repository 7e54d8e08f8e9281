"""uvicorn's server with our protocol in it: one for each listener."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, Literal

import uvicorn

from gateway.core.forwarded import TrustedProxies
from gateway.core.original import BY_STATUS, WHOLE
from gateway.runtime.boards import Boards
from gateway.runtime.generation import Generation
from gateway.runtime.listeners import Bound, Make, accept
from gateway.server.arriving import Reception
from gateway.server.client_connection import Timeouts
from gateway.server.connections import ConnectionGuard
from gateway.server.protocol import StrictHttpProtocol
from gateway.server.short.asking import ChecksProtocol
from gateway.server.short.checks import Checks
from gateway.server.short.entry import ShortWay
from gateway.server.short.protocol import ShortWayProtocol
from gateway.settings import Settings


class Server(uvicorn.Server):
    """A uvicorn server that leaves signals to us: it would end by raising them again, with an exit code to match.

    It goes by one of the settings after the other, on connections that are there already, too.
    """

    stage: Callable[[socket.socket, Make], Make] = staticmethod(lambda _, make: make)

    def __init__(self, config: uvicorn.Config, protocol: type[StrictHttpProtocol], *, only_checks: bool) -> None:
        super().__init__(config)
        self.serving = asyncio.Event()
        """Set once it takes connections."""
        self._protocol = protocol
        self._only_checks = only_checks

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Capture none."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take connections, each through the stages of its listener."""
        await super().startup(sockets=[])
        for each in sockets or ():
            self.servers.extend(await accept(each, self.stage(each, self._make_protocol)))
        self.serving.set()

    def prepare(self, generation: Generation) -> Callable[[], None]:
        """Return what has it go by another generation from then on."""
        doors = generation.doors
        if self._only_checks:
            return lambda: self.adopt(generation.settings, checks=doors.answered_checks)
        return lambda: self.adopt(generation.settings, doors.short_way, doors.proven_checks)

    def adopt(self, settings: Settings, short_way: ShortWay | None = None, checks: Checks | None = None) -> None:
        """Go by other settings from now on."""
        protocol, limits, exempt = self._protocol, settings.limits, self._only_checks
        protocol.head_limit = limits.header_bytes
        protocol.timeouts = _read_timeouts(settings)
        protocol.checks = (b"/",) if exempt else tuple(_checks(settings))
        protocol.guard.adopt(
            0 if exempt else limits.connections_per_address,
            TrustedProxies(settings.trusted_proxies),
            most_waiting=0 if exempt else limits.waiting_per_address or 0,
        )
        if short_way is not None and issubclass(protocol, ShortWayProtocol):
            protocol.short_way = short_way
        if issubclass(protocol, ChecksProtocol):
            protocol.asked = checks
        self.config.timeout_graceful_shutdown = math.ceil(settings.drain.timeout.total_seconds())

    def receive_by(self, listeners: Mapping[socket.socket, Bound]) -> None:
        """Take connections as these listeners say."""
        reception = Reception(self._protocol.guard, lambda: self._protocol.timeouts.head, self.server_state.connections)
        self.stage = lambda each, make: listeners[each].stage(make, reception)

    def _make_protocol(self) -> Any:
        make: Any = self.config.http_protocol_class
        return make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)


def build_server(
    app: Any,
    settings: Settings,
    *,
    short_way: ShortWay | None = None,
    checks: Checks | None = None,
    lifespan: Literal["on", "off"] = "off",
    boards: Boards | None = None,
    worker: int = 0,
    only_checks: bool = False,
    listeners: Mapping[socket.socket, Bound] | None = None,
) -> Server:
    """Make a server of ours; the caller binds its socket and handles signals. `only_checks`: only fronts ask there.

    `listeners` say of its sockets how connections are taken there; without them, as they come.
    """
    boards = boards or Boards(1)
    own = {"guard": ConnectionGuard(0, TrustedProxies(()), board=boards.connections, worker=worker)}
    plain = ChecksProtocol if only_checks else StrictHttpProtocol
    protocol = type("Protocol", (plain if short_way is None else ShortWayProtocol,), own)
    server = Server(
        uvicorn.Config(
            app,
            http=protocol,
            ws="none",  # WebSockets take the short way only
            interface="asgi3",
            lifespan=lifespan,
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=True,
        ),
        protocol,
        only_checks=only_checks,
    )
    server.adopt(settings, short_way, checks)
    if listeners:
        server.receive_by(listeners)
    return server


def _read_timeouts(settings: Settings) -> Timeouts:
    limits = settings.limits
    return Timeouts(
        head=limits.head_timeout.total_seconds(),
        body=limits.body_timeout.total_seconds(),
        body_rate=limits.body_rate or 0,
        send=limits.send_timeout.total_seconds(),
        keep_alive=limits.keep_alive.total_seconds(),
    )


def _checks(settings: Settings) -> Iterator[bytes]:
    return (f"{settings.prefix}/{page}".encode() for page in (BY_STATUS, WHOLE))


def build_check_server(app: Any, settings: Settings, checks: Checks | None = None) -> Server:
    """Make the server of the listener for checks; `checks` answers at once what it can."""
    return build_server(app, settings, only_checks=True, checks=checks)
