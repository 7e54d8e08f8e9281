"""Tells what changes in Redis, whoever changes it: server-assisted client-side caching.

Redis itself says which keys were written, deleted or have expired (CLIENT TRACKING in broadcasting mode, Redis 6 and
newer), so no writer can forget to. The messages come on a connection of their own, redirected to itself as pub/sub
messages. `up` is true only while they surely come: the connection is asked for a sign of life every second.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from redis.exceptions import RedisError

from gateway.tasks import stop
from gateway.telemetry.logs import log

Changed = Callable[[str | None], None]

PULSE: Final = 1.0  # seconds between two signs of life
RETRY: Final = 1.0  # seconds before the next attempt
_CHANNEL: Final = "__redis__:invalidate"


class ChangeFeed:
    """Follows the keys under some prefixes. `client` is a redis-py client of its own.

    `confirm`, when given, is asked with every sign of life whether the connection still leads to the right server, and
    raises when not.
    """

    def __init__(
        self,
        client: Any,
        prefixes: Sequence[str],
        *,
        timeout: float,
        confirm: Callable[[Any], Awaitable[None]] | None = None,
    ) -> None:
        self._client = client
        self._prefixes = prefixes
        self._timeout = timeout
        self._confirm = confirm
        self._task: asyncio.Task[None] | None = None
        self.up = False

    def start(self, changed: Changed) -> None:
        """Begin to follow, within the event loop; `changed(None)` means that anything may have changed."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._follow(changed), name="store changes")

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            await stop(self._task)
        await self._client.aclose()

    async def _follow(self, changed: Changed) -> None:
        told = ""
        while True:
            pubsub = self._client.pubsub()
            try:
                await self._subscribe(pubsub)
                await self._confirmed(pubsub)
                changed(None)
                self.up = True
                if told:
                    log.info("store_changes_followed_again")
                    told = ""
                await self._listen(pubsub, changed)
            except (RedisError, OSError, TimeoutError) as error:
                if type(error).__name__ != told:  # once, not every second
                    told = type(error).__name__
                    log.warning("store_changes_not_followed", reason=told, advice="every request asks Redis meanwhile")
            finally:
                self.up = False
                changed(None)
                with contextlib.suppress(RedisError, OSError):
                    await pubsub.aclose()
            await asyncio.sleep(RETRY)

    async def _subscribe(self, pubsub: Any) -> None:
        async with asyncio.timeout(self._timeout):
            await pubsub.connect()
            connection = pubsub.connection
            await connection.send_command("CLIENT", "ID")
            own_id = await connection.read_response()
            prefixes = [part for prefix in self._prefixes for part in ("PREFIX", prefix)]
            await connection.send_command("CLIENT", "TRACKING", "ON", "REDIRECT", own_id, "BCAST", *prefixes)
            await connection.read_response()
            await pubsub.subscribe(_CHANNEL)

    async def _confirmed(self, pubsub: Any) -> None:
        if self._confirm is not None:
            await self._confirm(pubsub.connection)

    async def _listen(self, pubsub: Any, changed: Changed) -> None:
        loop = asyncio.get_running_loop()
        heard_at = asked_at = loop.time()
        while True:
            message = await pubsub.get_message(timeout=PULSE)
            if message is not None:
                heard_at = loop.time()
                _tell(message, changed)
            elif loop.time() > heard_at + PULSE + self._timeout:
                raise TimeoutError
            if loop.time() >= asked_at + PULSE:  # however much is told meanwhile
                asked_at = loop.time()
                await pubsub.ping()
                await self._confirmed(pubsub)


def _tell(message: dict[str, Any], changed: Changed) -> None:
    if message["type"] == "message":
        keys = message["data"]
        for key in keys if keys is not None else (None,):
            changed(key.decode() if key is not None else None)
