"""`gateway run`: its listeners in one event loop (in each worker), signals, and a bounded, orderly end.

The public one, the admin's, and one for checks where `forward_auth.listen` names it.

SIGTERM or SIGINT: not ready any more → no new connections → WebSockets closed with 1001 → requests under way finish, up
to the drain time → refreshes under way finish → connections closed → exit code 0. A second signal ends at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import signal
import socket
import stat
from collections.abc import Callable, Generator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal

import uvicorn

from gateway.core.forwarded import TrustedProxies
from gateway.errors import StartError
from gateway.runtime.boards import Boards
from gateway.runtime.build import build
from gateway.runtime.generation import Generation
from gateway.runtime.workers import run_workers
from gateway.server.client_connection import Timeouts
from gateway.server.connections import ConnectionGuard
from gateway.server.protocol import StrictHttpProtocol
from gateway.server.short.entry import ShortWay
from gateway.server.short.protocol import ShortWayProtocol
from gateway.settings import Listen, Settings
from gateway.telemetry.logs import configure_logs, log
from gateway.web.admin.listener import Admin

DRAIN: Final = timedelta(seconds=20)
"""Longest time given to requests under way; below the 30 s of Kubernetes and above the 10 s of Docker's default."""
PARENT_TICK: Final = timedelta(seconds=1)


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to us: it would end by raising them again, with an exit code to match."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def run(settings: Settings, workers: int = 1) -> None:
    """Serve until a signal, whether or not Redis answers yet.

    Raises `StartError` when an address is taken, or the settings are not fit for several workers.
    """
    configure_logs(settings.log.format, settings.log.level, shared=workers > 1)
    if workers > 1 and settings.redis.embedded:
        raise StartError("--workers: `redis: memory://` is one process's own; use a real Redis, or one worker.")
    boards = Boards(workers)
    with contextlib.ExitStack() as stack:
        public = [stack.enter_context(each) for each in bind_many(settings.listen, "listen", workers)]
        admin = stack.enter_context(bind(settings.admin.listen, "admin.listen")) if settings.admin.listen else None
        checks = [
            [stack.enter_context(each) for each in bind_many(listen, "forward_auth.listen", workers)]
            for listen in settings.forward_auth.listen
        ]
        for each in (settings.listen, settings.admin.listen, *settings.forward_auth.listen):
            if each is not None and each.unix_path:
                stack.callback(_remove_socket, Path(each.unix_path), os.stat(each.unix_path).st_ino)

        def work(number: int) -> None:
            parent = os.getppid() if workers > 1 else None
            generation = build(settings, boards=boards, worker=number)
            server = build_server(
                generation.app, settings, short_way=generation.short_way, boards=boards, worker=number
            )
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                of_worker = [sockets[number] for sockets in checks]
                runner.run(serve(generation, server, public[number], admin, of_worker, parent=parent))

        if workers == 1:
            work(0)
        else:
            log.info("started_workers", number=workers)
            run_workers(workers, work)
            log.info("stopped_workers")


async def serve(
    generation: Generation,
    server: uvicorn.Server,
    public: socket.socket,
    admin: socket.socket | None,
    checks: Sequence[socket.socket] = (),
    *,
    parent: int | None = None,
) -> None:
    """Serve a generation on bound sockets until SIGTERM or SIGINT, or until `parent` (a process id) is gone."""
    servers, sockets = [server], [[public]]
    if admin is not None:
        servers.append(
            build_server(
                Admin(
                    generation.metrics, generation.readiness, generation.admin_api, generation.settings.admin.all_hosts
                ),
                generation.settings,
            )
        )
        sockets.append([admin])
    if checks:
        servers.append(build_check_server(generation))
        sockets.append([*checks])
    tasks = [
        asyncio.create_task(each.serve(sockets=listeners), name="server")
        for each, listeners in zip(servers, sockets, strict=True)
    ]
    generation.start()
    _settle_memory()
    with _signals(generation, servers) as stop:
        if parent is not None:
            _stop_with_parent(parent, stop)
        log.info("started", address=str(generation.settings.listen), public_url=generation.settings.public_url)
        await tasks[0]
        for each in servers[1:]:
            each.should_exit = True
        await asyncio.gather(*tasks)
    await generation.close()
    log.info("stopped")


def bind_many(listen: Listen, key: str, number: int) -> list[socket.socket]:
    """Bind a listening socket for each worker: TCP sockets of their own on one address, or one unix socket for all.

    The caller closes them. Raises `StartError` naming the key to change.
    """
    first = bind(listen, key)
    if number == 1 or listen.unix_path:
        return [first] * number
    # it was free: bound without SO_REUSEPORT, with which another gateway would share it unnoticed
    address, family = first.getsockname()[:2], first.family
    first.close()
    return [_open_tcp(address, family, reuse_port=True) for _ in range(number)]


def bind(listen: Listen, key: str) -> socket.socket:
    """Bind a listening socket; the caller closes it. Raises `StartError` naming the key to change."""
    try:
        return _bind_unix(Path(listen.unix_path)) if listen.unix_path else _bind_tcp(listen)
    except OSError as error:
        # Python's own words for it have the address once more
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
        raise StartError(
            f"{key}: cannot listen on {listen}: {reason}. Stop what uses it, or choose another with `{key}`."
        ) from None


def _bind_tcp(listen: Listen) -> socket.socket:
    family, *_, address = socket.getaddrinfo(
        listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return _open_tcp(address[:2], family)


def _open_tcp(address: tuple[Any, ...], family: int, *, reuse_port: bool = False) -> socket.socket:
    """Open a listening socket; `[::]` takes both families, as everywhere but in the C library's defaults."""
    both = family == socket.AF_INET6 and address[0] == "::" and socket.has_dualstack_ipv6()
    return socket.create_server(address, family=family, backlog=2048, reuse_port=reuse_port, dualstack_ipv6=both)


def _bind_unix(path: Path) -> socket.socket:
    # a socket left behind by a process that died is in the way; anything else at that path is not ours to remove
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.stat().st_mode):
            if _is_answered(path):
                raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
            path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    return listener


def _is_answered(path: Path) -> bool:
    """Whether somebody listens on a unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except (TimeoutError, BlockingIOError):  # too busy to answer, so there
            return True
    return True


def _remove_socket(path: Path, inode: int) -> None:
    """Remove a socket of ours, unless another has taken its place."""
    with contextlib.suppress(OSError):
        if path.stat().st_ino == inode:
            path.unlink()


def build_server(
    app: Any,
    settings: Settings,
    *,
    short_way: ShortWay | None = None,
    lifespan: Literal["on", "off"] = "off",
    boards: Boards | None = None,
    worker: int = 0,
    only_checks: bool = False,
) -> uvicorn.Server:
    """Make a server of ours; the caller binds its socket and handles signals. `only_checks`: only fronts ask there."""
    boards = boards or Boards(1)
    limits = settings.limits
    timeouts = Timeouts(
        head=limits.head_timeout.total_seconds(),
        body=limits.body_timeout.total_seconds(),
        body_rate=limits.body_rate or 0,
        send=limits.send_timeout.total_seconds(),
        keep_alive=limits.keep_alive.total_seconds(),
    )
    guard = ConnectionGuard(
        0 if only_checks else limits.connections_per_address,
        TrustedProxies(settings.trusted_proxies),
        most_waiting=0 if only_checks else limits.waiting_per_address or 0,
        board=boards.connections,
        worker=worker,
    )
    own = {
        "head_limit": limits.header_bytes,
        "timeouts": timeouts,
        "guard": guard,
        "checks": (b"/",) if only_checks else (f"{settings.prefix}/auth".encode(),),
    }
    if short_way is None:
        protocol = type("Protocol", (StrictHttpProtocol,), own)
    else:
        protocol = type("Protocol", (ShortWayProtocol,), own | {"short_way": short_way})
    return _Server(
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
            timeout_graceful_shutdown=int(DRAIN.total_seconds()),
        )
    )


def build_check_server(generation: Generation) -> uvicorn.Server:
    """Make the server of the listener for checks."""
    return build_server(generation.checks, generation.settings, only_checks=True)


def _settle_memory() -> None:
    """Keep the collector of cycles off what is here to stay: going over it takes tens of milliseconds each time.

    Requests make next to no cycles, so it may look for them rarely.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _stop_with_parent(parent: int, stop: Callable[[], None]) -> None:
    """Stop once the parent was killed: nobody would tell this worker to."""
    loop = asyncio.get_running_loop()

    def look() -> None:
        if os.getppid() == parent:
            loop.call_later(PARENT_TICK.total_seconds(), look)
        else:
            stop()

    look()


@contextlib.contextmanager
def _signals(generation: Generation, servers: list[uvicorn.Server]) -> Generator[Callable[[], None]]:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if generation.readiness.draining:
            servers[0].force_exit = True
        generation.readiness.draining = True
        log.info("stopping", websockets=generation.live.count_websockets())
        generation.live.close_websockets()
        servers[0].should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _loop_factory() -> Any:
    import uvloop

    return uvloop.new_event_loop
