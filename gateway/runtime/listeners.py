"""Everything that a gateway listens on, for all its doors: bound before anything is announced, and closed at the end.

A connection comes to HTTP in stages: where the listener asks for it, first who it is for (PROXY protocol), then TLS.
A plain listener has none of this, and costs nothing for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from gateway.errors import StartError
from gateway.runtime.certificate import Certificate
from gateway.runtime.listen import bind_many, remove_socket
from gateway.runtime.systemd import take_sockets
from gateway.server.announced import AnnouncedConnection
from gateway.server.arriving import Reception
from gateway.server.tls import TlsTransport
from gateway.settings import ListenerSettings, Settings
from gateway.telemetry.logs import log

Make = Callable[[], Any]
AT_ONCE: Final = 4
"""Connections that are taken from a socket in one turn of the event loop."""
BACKLOG: Final = 2048


@dataclass(frozen=True, slots=True)
class Bound:
    """One listener of the settings, and its socket for each worker; TLS, if it speaks that."""

    listen: ListenerSettings
    sockets: tuple[socket.socket, ...]
    certificate: Certificate | None = None

    def __str__(self) -> str:
        """Name where it listens."""
        address = self.listen.address
        chosen_elsewhere = address.systemd is not None or not (address.port or address.unix_path)
        where = _name(self.sockets[0]) if chosen_elsewhere else str(address)
        notes = [*(["tls"] * (self.certificate is not None)), *(["proxy_protocol"] * self.listen.proxy_protocol)]
        return f"{where} ({', '.join(notes)})" if notes else where

    def stage(self, make: Make, reception: Reception) -> Make:
        """Return what makes a protocol for each connection, where `make` makes the one for HTTP."""
        if self.certificate is not None:
            make = partial(_begin_tls, self.certificate, make, reception)
        if self.listen.proxy_protocol:
            make = partial(AnnouncedConnection, make, reception)
        return make


def _name(bound: socket.socket) -> str:
    """Name where a socket listens, which systemd alone was told."""
    address = bound.getsockname()
    match bound.family:
        case socket.AF_INET:
            return f"{address[0]}:{address[1]}"
        case socket.AF_INET6:
            return f"[{address[0]}]:{address[1]}"
        case _:
            return f"unix:{address if isinstance(address, str) else '@' + address[1:].decode(errors='replace')}"


def _begin_tls(certificate: Certificate, make: Make, reception: Reception) -> TlsTransport:
    return TlsTransport(certificate.context, make, reception)


@dataclass(frozen=True, slots=True)
class Listeners:
    """What is bound, by door."""

    public: tuple[Bound, ...] = ()
    checks: tuple[Bound, ...] = ()
    admin: tuple[Bound, ...] = ()
    certificate: Certificate | None = None
    by_socket: dict[socket.socket, Bound] = field(default_factory=dict)
    grpc: str = ""  # where another library listens

    def by_door(self) -> dict[str, str]:
        """Name every address, by what it is for; as the log has it."""
        doors = {
            "address": ", ".join(map(str, self.public)),
            "checks": ", ".join(map(str, self.checks)),
            "admin": ", ".join(map(str, self.admin)),
            "grpc": self.grpc,
        }
        return {name: where for name, where in doors.items() if where}

    def describe(self) -> str:
        """Say where it serves, in a line for an operator."""
        named = self.by_door()
        return "serving at " + "; ".join([named.pop("address"), *(f"{name} {where}" for name, where in named.items())])


def open_listeners(
    settings: Settings, workers: int, stack: contextlib.ExitStack, environ: MutableMapping[str, str] | None = None
) -> Listeners:
    """Bind every address of the settings; `stack` closes them, and removes unix sockets of ours.

    What systemd has handed over is taken from `environ`. Raises `StartError` naming the key to change, `SettingsError`
    for a certificate that cannot be used.
    """
    certificate = Certificate(settings.tls, settings.public_url) if settings.tls is not None else None
    opener = _Opener(settings, workers, stack, environ if environ is not None else {})
    public = opener.open("listen", settings.listen, certificate)
    checks = opener.open("forward_auth.listen", settings.forward_auth.listen)
    admin = opener.open("admin.listen", [settings.admin.listen] if settings.admin.listen is not None else [])
    opener.finish()
    every = (*public, *checks, *admin)
    by_socket = {each: bound for bound in every for each in bound.sockets}
    return Listeners(public, checks, admin, certificate, by_socket, str(settings.forward_auth.grpc or ""))


class _Opener:
    """Binds what the settings name, for so many workers."""

    def __init__(
        self, settings: Settings, workers: int, stack: contextlib.ExitStack, environ: MutableMapping[str, str]
    ) -> None:
        self._workers = workers
        self._stack = stack
        asked = (*settings.listen, *settings.forward_auth.listen, settings.admin.listen)
        self._named = {each.address.systemd for each in asked if each is not None}
        try:
            self._handed = take_sockets(environ)
        except (OSError, ValueError) as error:
            raise StartError(f"systemd hands over what cannot be used: {error}") from None
        for _, each in self._handed:
            stack.enter_context(each)

    def open(
        self, key: str, listeners: Iterable[ListenerSettings], certificate: Certificate | None = None
    ) -> tuple[Bound, ...]:
        """Open a door, which is called `key` in the settings."""
        return tuple(
            Bound(each, sockets, certificate if each.speaks_tls else None)
            for each in listeners
            for sockets in self._find_sockets(each, key)
        )

    def finish(self) -> None:
        """Tell of what was handed over for nothing."""
        for name, _ in self._handed:
            log.warning("systemd_socket_unused", name=name, advice=f"listen on it with `listen: systemd:{name}`")

    def _find_sockets(self, listener: ListenerSettings, key: str) -> list[tuple[socket.socket, ...]]:
        """Return a socket for each worker; several times, where systemd has several of that name."""
        if listener.address.systemd is not None:
            return [(each,) * self._workers for each in self._take(listener.address.systemd, key)]
        # workers share the admin's: its numbers are those of all
        how_many = 1 if key == "admin.listen" else self._workers
        sockets = bind_many(listener, key, how_many) * (self._workers // how_many)
        for each in set(sockets):
            self._stack.enter_context(each)
        if listener.unix_path:
            self._stack.callback(remove_socket, Path(listener.unix_path), os.stat(listener.unix_path).st_ino)
        return [tuple(sockets)]

    def _take(self, wanted: str, key: str) -> list[socket.socket]:
        """Take what was handed over by that name; without a name, all that nobody else names."""
        taken = [(name, each) for name, each in self._handed if (name == wanted if wanted else name not in self._named)]
        if not taken:
            there = ", ".join(name for name, _ in self._handed) or "none: is it started by its .socket unit?"
            called = f"called {wanted}" if wanted else "that nobody else names"
            raise StartError(f"{key}: systemd hands over no socket {called}; there are {there}")
        self._handed = [each for each in self._handed if each not in taken]
        return [each for _, each in taken]


def of_worker(door: Sequence[Bound], number: int) -> list[socket.socket]:
    """Return the sockets of a door that are a worker's."""
    return [bound.sockets[number] for bound in door]


async def accept(bound: socket.socket, make: Make) -> list[asyncio.Server]:
    """Begin to take connections, up to `AT_ONCE` of those that wait in each turn of the event loop.

    uvloop takes one a turn from each socket: whoever connects while there is much to do would wait as many turns as
    others connect. So the socket is listened on several times; who finds nobody waiting any more loses a microsecond.
    """
    loop = asyncio.get_running_loop()
    again = (bound.dup() for _ in range(AT_ONCE - 1))
    return [await loop.create_server(make, sock=each, backlog=BACKLOG) for each in (bound, *again)]
