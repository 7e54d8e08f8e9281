"""Tasks that run beside requests, or for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def stop(task: asyncio.Task[Any]) -> None:
    """Cancel a task until it has ended.

    Once may not be enough: redis-py, for one, takes a cancellation while it connects for a lost connection.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait((task,), timeout=0.1)


async def until_told(ask: Callable[[Callable[[T], None]], None]) -> T:
    """Return what `ask` tells the function that it is given, now or later; who does not wait any more is not told."""
    future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    ask(lambda told: None if future.done() else future.set_result(told))
    return await future


class OwnedTask:
    """A task that works for an owner, who is told with `failed` of the error that ends it.

    The event loop alone would neither keep a task nor tell anybody of its error. Once it has ended, nothing of it leads
    back to the owner: not the callback, and not the traceback that its error holds.
    """

    __slots__ = ("_failed", "_task")

    def __init__(self, work: Coroutine[Any, Any, None], failed: Callable[[BaseException], None]) -> None:
        self._failed: Callable[[BaseException], None] | None = failed
        self._task: asyncio.Task[None] | None = asyncio.get_running_loop().create_task(work)
        self._task.add_done_callback(self._note_end)

    @property
    def goes_on(self) -> bool:
        """Whether it has not ended, and it is not this task itself that asks."""
        return self._task is not None and not self._task.done() and self._task is not asyncio.current_task()

    def cancel(self) -> None:
        """Cancel it, unless it is this task itself that asks, and ends by itself."""
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    def _note_end(self, task: asyncio.Task[None]) -> None:
        failed, self._failed, self._task = self._failed, None, None
        if not task.cancelled() and (error := task.exception()) is not None and failed is not None:
            failed(error)
