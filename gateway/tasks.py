"""Tasks that run beside requests."""

from __future__ import annotations

import asyncio
from typing import Any


async def stop(task: asyncio.Task[Any]) -> None:
    """Cancel a task until it has ended.

    Once may not be enough: redis-py, for one, takes a cancellation while it connects for a lost connection.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait((task,), timeout=0.1)
