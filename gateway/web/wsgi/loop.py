"""The one event loop of a WSGI process, and how the server's threads speak with it.

A server's thread hands work to the loop and waits. What blocks, the loop never does itself: it asks the thread that
waits, which has nothing else to do, and whose server has set its own limits to how long a client may take.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
Call = Callable[[], bytes]
Here = Callable[[Call], Awaitable[bytes]]
"""Has a blocking call made by the thread that waits, and returns, or raises, what comes of it."""


class LoopThread:
    """An event loop in a daemon thread, made in the process that first needs it (servers fork after loading)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0

    def run(self, work: Callable[[Here], Coroutine[Any, Any, T]]) -> T:
        """Run `work` in the loop, make the calls that it asks for meanwhile, and return its result."""
        loop = self._running_loop()
        asked: queue.SimpleQueue[tuple[Call, asyncio.Future[bytes]] | None] = queue.SimpleQueue()

        async def here(call: Call) -> bytes:
            answered: asyncio.Future[bytes] = loop.create_future()
            asked.put((call, answered))
            return await answered

        done = asyncio.run_coroutine_threadsafe(work(here), loop)
        done.add_done_callback(lambda _: asked.put(None))
        try:
            while (each := asked.get()) is not None:
                _make(*each, loop)
        except BaseException:  # the server ends this thread's work: its timeout, or its own end
            done.cancel()
            raise
        return done.result()

    @property
    def is_running(self) -> bool:
        """Whether there is a loop in this very process."""
        return self._loop is not None and self._pid == os.getpid()

    def stop(self) -> None:
        """Stop the loop of this process."""
        with self._lock:
            if self._loop is not None and self._pid == os.getpid():
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._thread.join(timeout=5)
                self._loop.close()
            self._loop = None

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._pid != os.getpid():
                self._loop, self._pid = asyncio.new_event_loop(), os.getpid()
                self._thread = threading.Thread(target=self._loop.run_forever, name="gateway", daemon=True)
                self._thread.start()
            return self._loop


def _make(call: Call, answered: asyncio.Future[bytes], loop: asyncio.AbstractEventLoop) -> None:
    try:
        made = call()
    except Exception as error:  # noqa: BLE001 -- it is raised where it was asked for
        loop.call_soon_threadsafe(_fail, answered, error)
    else:
        loop.call_soon_threadsafe(_succeed, answered, made)


def _fail(answered: asyncio.Future[bytes], error: Exception) -> None:
    if not answered.done():
        answered.set_exception(error)


def _succeed(answered: asyncio.Future[bytes], made: bytes) -> None:
    if not answered.done():
        answered.set_result(made)
