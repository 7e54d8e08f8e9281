"""`gateway run`: its listeners in one event loop (in each worker), and a bounded, orderly end.

The public one, the admin's, and one for checks where `forward_auth.listen` names it.

SIGTERM or SIGINT (graceful shutdown): not ready any more → `drain.delay` → no new connections → WebSockets closed with
1001 → requests under way finish, up to `drain.timeout` → refreshes under way finish → connections closed → exit code 0.
A second signal ends at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
from collections.abc import Sequence
from typing import Any

import uvicorn

from gateway.errors import StartError
from gateway.runtime.boards import Boards
from gateway.runtime.build import build
from gateway.runtime.certificate import Certificate, CertificateWatch
from gateway.runtime.generation import Generation
from gateway.runtime.http_server import build_check_server, build_server
from gateway.runtime.listeners import of_worker, open_listeners
from gateway.runtime.signals import drain_on_signals, stop_with_parent
from gateway.runtime.workers import run_workers
from gateway.settings import Settings
from gateway.telemetry.logs import configure_logs, log
from gateway.telemetry.metrics import Metrics


def run(settings: Settings, workers: int = 1) -> None:
    """Serve until a signal, whether or not Redis answers yet.

    Raises `StartError` when an address is taken, or the settings are not fit for several workers.
    """
    configure_logs(settings.log.format, settings.log.level, shared=workers > 1)
    if workers > 1 and settings.redis.embedded:
        raise StartError("--workers: `redis: memory://` is one process's own; use a real Redis, or one worker.")
    boards = Boards(workers)
    with contextlib.ExitStack() as stack:
        listeners = open_listeners(settings, workers, stack)

        def work(number: int) -> None:
            parent = os.getppid() if workers > 1 else None
            generation = build(settings, metrics=Metrics(boards.metrics, number), workers=workers)
            doors = generation.doors
            server = build_server(
                doors.app,
                settings,
                short_way=doors.short_way,
                boards=boards,
                worker=number,
                listeners=listeners.by_socket,
            )
            doors_of = [of_worker(each, number) for each in (listeners.public, listeners.admin, listeners.checks)]
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(serve(generation, server, *doors_of, certificate=listeners.certificate, parent=parent))

        if workers == 1:
            work(0)
        else:
            log.info("started_workers", number=workers)
            run_workers(workers, work)
            log.info("stopped_workers")


async def serve(
    generation: Generation,
    server: uvicorn.Server,
    public: Sequence[socket.socket],
    admin: Sequence[socket.socket] = (),
    checks: Sequence[socket.socket] = (),
    *,
    certificate: Certificate | None = None,
    parent: int | None = None,
) -> None:
    """Serve a generation on bound sockets until SIGTERM or SIGINT, or until `parent` (a process id) is gone."""
    servers, sockets = [server], [[*public]]
    if admin:
        servers.append(build_server(generation.doors.admin, generation.settings))
        sockets.append([*admin])
    if checks:
        servers.append(build_check_server(generation))
        sockets.append([*checks])
    tasks = [
        asyncio.create_task(each.serve(sockets=listeners), name="server")
        for each, listeners in zip(servers, sockets, strict=True)
    ]
    generation.start()
    watch = CertificateWatch(certificate) if certificate is not None else None
    if watch is not None:
        watch.start()
    _settle_memory()
    with drain_on_signals(generation, server) as stop:
        if parent is not None:
            stop_with_parent(parent, stop)
        log.info(
            "started",
            address=", ".join(map(str, generation.settings.listen)),
            public_url=generation.settings.public_url,
        )
        await tasks[0]
        for each in servers[1:]:
            each.should_exit = True
        await asyncio.gather(*tasks)
    if watch is not None:
        await watch.close()
    await generation.close()
    log.info("stopped")


def _settle_memory() -> None:
    """Keep the collector of cycles off what is here to stay: going over it takes tens of milliseconds each time.

    Requests make next to no cycles, so it may look for them rarely.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _loop_factory() -> Any:
    import uvloop

    return uvloop.new_event_loop
