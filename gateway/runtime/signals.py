"""What has a serving process end: a signal, or that its parent is gone (graceful shutdown).

SIGTERM or SIGINT: not ready any more, and after `drain.delay` the drain begins; a second one ends at once. SIGHUP ends
nothing: the settings are read anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Generator
from datetime import timedelta
from typing import Final

import uvicorn

from gateway.runtime.current import Current
from gateway.runtime.member import Member
from gateway.runtime.reload import Reloads
from gateway.telemetry.logs import log

PARENT_TICK: Final = timedelta(seconds=1)
"""Time between two looks for the parent."""


@contextlib.contextmanager
def drain_on_signals(
    current: Current, server: uvicorn.Server, stopping: Callable[[], None]
) -> Generator[Callable[[], None]]:
    """Have signals end `server`, within the event loop; yields what they call. `stopping` is told of the first."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        generation = current.generation
        delay = generation.settings.drain.delay.total_seconds()
        if generation.readiness.draining:
            server.force_exit = True
            drain()
            return
        stopping()
        if delay:
            log.info("not_ready", seconds=delay, advice="it serves on for so long, until load balancers have noticed")
            generation.announce_end()
            loop.call_later(delay, drain)
        else:
            drain()

    def drain() -> None:
        if not server.should_exit:
            log.info("stopping", websockets=current.generation.judging.live.count_websockets())
            current.generation.drain()
            server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


@contextlib.contextmanager
def reload_on_signal(reloads: Reloads | Member) -> Generator[None]:
    """Have SIGHUP reload, within the event loop; a worker leaves that to its parent."""
    loop = asyncio.get_running_loop()
    if not isinstance(reloads, Reloads) or not reloads.has_source:
        yield
        return
    loop.add_signal_handler(signal.SIGHUP, reloads.want)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def stop_with_parent(parent: int, stop: Callable[[], None]) -> None:
    """Call `stop` once the parent was killed: nobody would tell this worker to."""
    loop = asyncio.get_running_loop()

    def look() -> None:
        if os.getppid() == parent:
            loop.call_later(PARENT_TICK.total_seconds(), look)
        else:
            stop()

    look()
