"""Everything that a gateway listens on, for all its doors: bound before anything is announced, and closed at the end.

A connection comes to HTTP in stages: where the listener asks for it, first who it is for (PROXY protocol), then TLS.
A plain listener has none of this, and costs nothing for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from gateway.runtime.certificate import Certificate
from gateway.runtime.listen import bind, bind_many, remove_socket
from gateway.server.announced import AnnouncedConnection
from gateway.server.arriving import Reception
from gateway.server.tls import TlsTransport
from gateway.settings import ListenerSettings, Settings

Make = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Bound:
    """One listener of the settings, and its socket for each worker; TLS, if it speaks that."""

    listen: ListenerSettings
    sockets: tuple[socket.socket, ...]
    certificate: Certificate | None = None

    def __str__(self) -> str:
        """Name where it listens."""
        notes = [*(["tls"] * (self.certificate is not None)), *(["proxy_protocol"] * self.listen.proxy_protocol)]
        return f"{self.listen} ({', '.join(notes)})" if notes else str(self.listen)

    def stage(self, make: Make, reception: Reception) -> Make:
        """Return what makes a protocol for each connection, where `make` makes the one for HTTP."""
        if self.certificate is not None:
            make = partial(_begin_tls, self.certificate, make, reception)
        if self.listen.proxy_protocol:
            make = partial(AnnouncedConnection, make, reception)
        return make


def _begin_tls(certificate: Certificate, make: Make, reception: Reception) -> TlsTransport:
    return TlsTransport(certificate.context, make, reception)  # the one of now


@dataclass(frozen=True, slots=True)
class Listeners:
    """What is bound, by door."""

    public: tuple[Bound, ...] = ()
    checks: tuple[Bound, ...] = ()
    admin: tuple[Bound, ...] = ()
    certificate: Certificate | None = None
    by_socket: dict[socket.socket, Bound] = field(default_factory=dict)


def open_listeners(settings: Settings, workers: int, stack: contextlib.ExitStack) -> Listeners:
    """Bind every address of the settings; `stack` closes them, and removes unix sockets of ours.

    Raises `StartError` naming the key to change, `SettingsError` for a certificate that cannot be used.
    """
    certificate = Certificate(settings.tls) if settings.tls is not None else None

    def open_door(
        key: str, listens: Iterable[ListenerSettings], certificate: Certificate | None = None
    ) -> tuple[Bound, ...]:
        return tuple(_open(each, key, workers, stack, certificate if each.speaks_tls else None) for each in listens)

    public = open_door("listen", settings.listen, certificate)
    checks = open_door("forward_auth.listen", settings.forward_auth.listen)
    admin = open_door("admin.listen", [settings.admin.listen] if settings.admin.listen is not None else [])
    every = (*public, *checks, *admin)
    return Listeners(public, checks, admin, certificate, {each: bound for bound in every for each in bound.sockets})


def _open(
    listen: ListenerSettings, key: str, workers: int, stack: contextlib.ExitStack, certificate: Certificate | None
) -> Bound:
    alone = key == "admin.listen"  # workers share it: its numbers are those of all
    sockets = [bind(listen.address, key)] * workers if alone else bind_many(listen.address, key, workers)
    for each in set(sockets):
        stack.enter_context(each)
    if listen.unix_path:
        stack.callback(remove_socket, Path(listen.unix_path), os.stat(listen.unix_path).st_ino)
    return Bound(listen, tuple(sockets), certificate)


def of_worker(door: Sequence[Bound], number: int) -> list[socket.socket]:
    """Return the sockets of a door that are a worker's."""
    return [bound.sockets[number] for bound in door]


async def accept(bound: socket.socket, make: Make) -> asyncio.Server:
    """Begin to take connections."""
    return await asyncio.get_running_loop().create_server(make, sock=bound, backlog=2048)
