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
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from gateway.errors import StartError
from gateway.runtime.boards import Boards
from gateway.runtime.build import build
from gateway.runtime.current import Current, settle_memory
from gateway.runtime.fleet import Fleet
from gateway.runtime.http_server import Server, build_check_server, build_server
from gateway.runtime.listen import bind, bind_many, remove_socket
from gateway.runtime.member import Member
from gateway.runtime.reload import Reloads
from gateway.runtime.signals import drain_on_signals, reload_on_signal, stop_with_parent
from gateway.runtime.source import Source
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
    fleet = Fleet(settings, source)
    with contextlib.ExitStack() as stack:
        public = [stack.enter_context(each) for each in bind_many(settings.listen, "listen", workers)]
        admin = stack.enter_context(bind(settings.admin.listen, "admin.listen")) if settings.admin.listen else None
        checks = [
            [stack.enter_context(each) for each in bind_many(listen, "forward_auth.listen", workers)]
            for listen in settings.forward_auth.listen
        ]
        for each in (settings.listen, settings.admin.listen, *settings.forward_auth.listen):
            if each is not None and each.unix_path:
                stack.callback(remove_socket, Path(each.unix_path), os.stat(each.unix_path).st_ino)

        def work(number: int, link: Connection | None = None) -> None:
            parent = os.getppid() if link is not None else None
            metrics = Metrics(boards.metrics, number)
            reloads = Reloads(source, metrics) if link is None else Member(link, metrics)
            current = Current(build(fleet.settings, metrics=metrics, workers=workers, reloads=reloads))
            servers = _build_servers(current, boards, number)
            sockets = [[public[number]], [admin] if admin else [], [sockets[number] for sockets in checks]]
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(serve(current, servers, sockets, reloads, parent=parent))

        if workers == 1:
            work(0)
        else:
            log.info("started_workers", number=workers)
            run_workers(workers, work, fleet)
            log.info("stopped_workers")


def _build_servers(current: Current, boards: Boards, worker: int) -> list[Server]:
    """Make the servers of the public listener, the admin's and that for checks, which follow the settings in force."""
    settings, way = current.settings, current.generation.doors.short_way
    servers = [
        build_server(current.door(lambda doors: doors.app), settings, short_way=way, boards=boards, worker=worker),
        build_server(current.door(lambda doors: doors.admin), settings),
        build_check_server(current.door(lambda doors: doors.checks), settings),
    ]
    for server in servers:
        current.preparing.append(server.prepare)
    return servers


async def serve(
    current: Current,
    servers: Sequence[Server],
    sockets: Sequence[list[socket.socket]],
    reloads: Reloads | Member,
    *,
    parent: int | None = None,
) -> None:
    """Serve on bound sockets, those of each server, until SIGTERM or SIGINT, or until `parent` (a process id) is gone.

    The first server ends with the signal, and the others when it has.
    """
    serving = [(server, bound) for server, bound in zip(servers, sockets, strict=True) if bound]
    tasks = [asyncio.create_task(server.serve(sockets=bound), name="server") for server, bound in serving]
    current.generation.start()
    settle_memory()
    with drain_on_signals(current, servers[0]) as stop, reload_on_signal(reloads):
        reloads.start(current)
        if parent is not None:
            stop_with_parent(parent, stop)
        log.info("started", address=str(current.settings.listen), public_url=current.settings.public_url)
        await tasks[0]
        for server, _ in serving[1:]:
            server.should_exit = True
        await asyncio.gather(*tasks)
    await reloads.close()
    await current.close()
    log.info("stopped")


def _loop_factory() -> Any:
    import uvloop

    return uvloop.new_event_loop
