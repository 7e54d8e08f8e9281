"""`gateway run`: its listeners in one event loop (in each worker), and a bounded, orderly end.

The public one, the admin's, and one for checks where `forward_auth.listen` names it.

SIGTERM or SIGINT (graceful shutdown): not ready any more → `drain.delay` → no new connections → WebSockets closed with
1001 → requests under way finish, up to `drain.timeout` → refreshes under way finish → connections closed → exit code 0.
A second signal ends at once. SIGHUP: the settings are read anew (see `reload`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Sequence
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

from gateway.errors import StartError
from gateway.runtime.boards import Boards
from gateway.runtime.build import build
from gateway.runtime.current import Current, settle_memory
from gateway.runtime.fleet import Fleet
from gateway.runtime.http_server import Server, build_check_server, build_server
from gateway.runtime.listeners import Listeners, of_worker, open_listeners
from gateway.runtime.member import Member
from gateway.runtime.pulse import Pulse
from gateway.runtime.reload import Reloads
from gateway.runtime.signals import drain_on_signals, reload_on_signal, stop_with_parent
from gateway.runtime.source import Source
from gateway.runtime.systemd import Systemd
from gateway.runtime.workers import run_workers
from gateway.settings import Settings
from gateway.telemetry.logs import configure_logs, log
from gateway.telemetry.metrics import Metrics


def run(settings: Settings, workers: int = 1, source: Source | None = None) -> None:
    """Serve until a signal, whether or not Redis answers yet; settings are read anew from `source`.

    Raises `StartError` when an address is taken, or the settings are not fit for several workers.
    """
    configure_logs(settings.log.format, settings.log.level, shared=workers > 1)
    if workers > 1 and settings.redis.embedded:
        raise StartError("--workers: `redis: memory://` is one process's own; use a real Redis, or one worker.")
    if source is not None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until somebody listens
    boards = Boards(workers)
    pulse = Pulse(Systemd(os.environ), workers)
    fleet = Fleet(settings, source, pulse.reloading)
    with contextlib.ExitStack() as stack:
        listeners = open_listeners(settings, workers, stack, os.environ)

        def work(number: int, link: Connection | None = None) -> None:
            parent = os.getppid() if link is not None else None
            metrics = Metrics(boards.metrics, number)
            reloads = Reloads(source, metrics, pulse.reloading) if link is None else Member(link, metrics)
            current = Current(build(fleet.settings, metrics=metrics, workers=workers, reloads=reloads))
            doors = _build_servers(current, listeners, boards, number)
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(serve(current, doors, listeners, reloads, pulse, worker=number, parent=parent))

        if workers == 1:
            work(0)
        else:
            import_module("gateway.provider")  # what each would load later, once (`late_provider`)
            log.info("started_workers", number=workers)
            settle_memory()  # what workers share stays shared, and the parent's end need not go over it
            pulse.watch(listeners.describe())
            run_workers(workers, work, fleet, pulse)
            log.info("stopped_workers")


def _build_servers(
    current: Current, listeners: Listeners, boards: Boards, worker: int
) -> list[tuple[Server, list[socket.socket]]]:
    """Make the servers of the public listeners, the admin's and those for checks, which follow the settings in force.

    Each comes with the sockets that are this worker's; one without any is left out.
    """
    settings, doors, by_socket = current.settings, current.generation.doors, listeners.by_socket
    public = current.door(lambda doors: doors.app)
    built = [
        (
            build_server(
                public,
                settings,
                short_way=doors.short_way,
                checks=doors.proven_checks,
                boards=boards,
                worker=worker,
                listeners=by_socket,
            ),
            listeners.public,
        ),
        (build_server(current.door(lambda doors: doors.admin), settings), listeners.admin),
        (
            build_check_server(current.door(lambda doors: doors.checks), settings, doors.answered_checks),
            listeners.checks,
        ),
    ]
    for server, _ in built:
        current.preparing.append(server.prepare)
    if listeners.certificate is not None:
        current.preparing.append(listeners.certificate.prepare)
    return [(server, of_worker(door, worker)) for server, door in built if door]


async def serve(
    current: Current,
    servers: Sequence[tuple[Server, list[socket.socket]]],
    listeners: Listeners,
    reloads: Reloads | Member,
    pulse: Pulse,
    *,
    worker: int = 0,
    parent: int | None = None,
) -> None:
    """Serve on bound sockets, those of each server, until SIGTERM or SIGINT, or until `parent` (a process id) is gone.

    The first server ends with the signal, and the others when it has.
    """
    whose = {"worker": worker} if parent is not None else {}  # of several, each says so
    tasks = [asyncio.create_task(server.serve(sockets=bound), name="server") for server, bound in servers]
    current.generation.start()
    settle_memory()
    with drain_on_signals(current, servers[0][0], pulse.tell_stopping) as stop, reload_on_signal(reloads):
        reloads.start(current)
        if parent is not None:
            stop_with_parent(parent, stop)
        await _until_all_serve([server for server, _ in servers], tasks)
        settings = current.settings
        known = {"public_url": settings.public_url, "settings": settings.read_from}
        log.info("started", **whose, **known, **listeners.by_door())
        pulse.begin(worker, listeners.describe())
        await tasks[0]
        for server, _ in servers[1:]:
            server.should_exit = True
        await asyncio.gather(*tasks)
    await pulse.close()
    await reloads.close()
    await current.close()
    log.info("stopped", **whose)


async def _until_all_serve(servers: Sequence[Server], tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait until every server takes connections, or one of them has ended instead."""
    waiting: asyncio.Future[Any] = asyncio.gather(*(each.serving.wait() for each in servers))
    await asyncio.wait({waiting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


def _loop_factory() -> Any:
    import uvloop

    return uvloop.new_event_loop
