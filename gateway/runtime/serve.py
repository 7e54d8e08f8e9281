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
from collections.abc import Sequence
from typing import Any

from gateway.errors import StartError
from gateway.runtime.boards import Boards
from gateway.runtime.build import build
from gateway.runtime.certificate import CertificateWatch
from gateway.runtime.generation import Generation
from gateway.runtime.http_server import Server, build_check_server, build_server
from gateway.runtime.listeners import Listeners, of_worker, open_listeners
from gateway.runtime.pulse import Pulse
from gateway.runtime.signals import drain_on_signals, stop_with_parent
from gateway.runtime.systemd import Systemd
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
    pulse = Pulse(Systemd(os.environ), workers)
    with contextlib.ExitStack() as stack:
        listeners = open_listeners(settings, workers, stack, os.environ)

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
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                runner.run(serve(generation, server, listeners, pulse, worker=number, parent=parent))

        if workers == 1:
            work(0)
        else:
            log.info("started_workers", number=workers)
            _settle_memory()  # what workers share stays shared, and the parent's end need not go over it
            pulse.watch(listeners.describe())
            run_workers(workers, work, replacing=pulse.replace, stopping=pulse.stop_watching)
            log.info("stopped_workers")


async def serve(
    generation: Generation,
    server: Server,
    listeners: Listeners,
    pulse: Pulse,
    *,
    worker: int = 0,
    parent: int | None = None,
) -> None:
    """Serve a generation on bound sockets until SIGTERM or SIGINT, or until `parent` (a process id) is gone."""
    servers, doors = [server], [listeners.public]
    if listeners.admin:
        servers.append(build_server(generation.doors.admin, generation.settings))
        doors.append(listeners.admin)
    if listeners.checks:
        servers.append(build_check_server(generation))
        doors.append(listeners.checks)
    tasks = [
        asyncio.create_task(each.serve(sockets=of_worker(door, worker)), name="server")
        for each, door in zip(servers, doors, strict=True)
    ]
    generation.start()
    watch = CertificateWatch(listeners.certificate)
    watch.start()
    _settle_memory()
    with drain_on_signals(generation, server, pulse.tell_stopping) as stop:
        if parent is not None:
            stop_with_parent(parent, stop)
        await _until_all_serve(servers, tasks)
        log.info("started", public_url=generation.settings.public_url, **listeners.by_door())
        pulse.begin(worker, listeners.describe())
        await tasks[0]
        for each in servers[1:]:
            each.should_exit = True
        await asyncio.gather(*tasks)
    await pulse.close()
    await watch.close()
    await generation.close()
    log.info("stopped")


async def _until_all_serve(servers: Sequence[Server], tasks: Sequence[asyncio.Task[None]]) -> None:
    """Wait until every server takes connections, or one of them has ended instead."""
    waiting: asyncio.Future[Any] = asyncio.gather(*(each.serving.wait() for each in servers))
    await asyncio.wait({waiting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


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
