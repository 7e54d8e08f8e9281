"""Tells what changes in Redis, whoever changes it: server-assisted client-side caching.

Redis itself says which keys were written, deleted or have expired (CLIENT TRACKING in broadcasting mode, Redis 6 and
newer), so no writer can forget to. The messages come on a connection of their own, redirected to itself as pub/sub
messages. `up` is true only while they surely come: from the answer to SUBSCRIBE on, while the connection gives a sign
of life every second.

Anybody on that Redis can publish on the channel, and write any key: what Redis cannot have said, and keys that cannot
be ours, are ignored. Whatever goes wrong, the feed tries again; it ends only when it is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final

from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from gateway.tasks import stop
from gateway.telemetry.logs import log

Changed = Callable[[str | None], None]

PULSE: Final = 1.0
"""Seconds between two signs of life."""
RETRY: Final = 1.0
"""Seconds before the next attempt; after a refusal it doubles each time, since that seldom mends itself."""
LONGEST_RETRY: Final = 30.0
_CHANNEL: Final = "__redis__:invalidate"


class CannotFollow(RedisError):
    """The server refuses to tell changes; `advice` says what would mend that."""

    def __init__(self, command: str, error: ResponseError, rights: str) -> None:
        super().__init__(f"{command} is refused")
        unknown = f"use Redis 6 or newer, or Valkey: this server does not know {command}"
        self.advice = f"add `{rights}` to the user's ACL" if isinstance(error, NoPermissionError) else unknown


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
        self._told = ""  # why it is down, once that is in the log
        self._told_odd = False
        self._pause = RETRY
        self.up = False

    def start(self, changed: Changed) -> None:
        """Begin to follow, within the event loop; `changed(None)` means that anything may have changed."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(changed), name="store changes")

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            await stop(self._task)
        await self._client.aclose()

    async def try_out(self) -> None:
        """Do all that following needs, and leave it again. Raises `CannotFollow`, or what redis-py raises."""
        pubsub = self._client.pubsub()
        try:
            await self._subscribe(pubsub)
        finally:
            await pubsub.aclose()

    async def _run(self, changed: Changed) -> None:
        while True:
            try:
                await self._follow(changed)
            except Exception as error:  # noqa: BLE001 -- whatever it was: changes are to be followed again
                self._note_down(error)
            await asyncio.sleep(self._pause)

    async def _follow(self, changed: Changed) -> None:
        """Follow until something goes wrong, and raise it."""
        pubsub = self._client.pubsub()
        try:
            await self._subscribe(pubsub)
            await self._confirmed(pubsub)
            self.up = True
            changed(None)
            self._note_up()
            await self._listen(pubsub, changed)
        finally:
            self.up = False
            try:
                changed(None)
            finally:
                with contextlib.suppress(Exception):
                    await pubsub.aclose()

    def _note_up(self) -> None:
        if self._told:
            log.info("store_changes_followed_again")
        self._told, self._pause = "", RETRY

    def _note_down(self, error: Exception) -> None:
        refused = isinstance(error, CannotFollow | AuthenticationError)
        self._pause = min(self._pause * 2, LONGEST_RETRY) if refused else RETRY
        reason = str(error) if isinstance(error, CannotFollow) else type(error).__name__
        if reason == self._told:  # once, not every second
            return
        self._told = reason
        advice = error.advice if isinstance(error, CannotFollow) else "it is tried again"
        log.warning("store_changes_not_followed", reason=reason, advice=f"{advice}; every request asks Redis meanwhile")

    async def _subscribe(self, pubsub: Any) -> None:
        """Have changes told on this connection; returns once Redis has said that it will."""
        async with asyncio.timeout(self._timeout):
            await pubsub.connect()
            prefixes = [part for prefix in self._prefixes for part in ("PREFIX", prefix)]
            try:
                own_id = await _ask(pubsub.connection, "CLIENT", "ID")
                await _ask(pubsub.connection, "CLIENT", "TRACKING", "ON", "REDIRECT", own_id, "BCAST", *prefixes)
            except ResponseError as error:
                raise CannotFollow("CLIENT TRACKING", error, "+client|tracking") from None
            await pubsub.subscribe(_CHANNEL)
            try:
                while (answer := await pubsub.get_message(timeout=self._timeout)) is None:
                    pass
            except ResponseError as error:
                raise CannotFollow("SUBSCRIBE", error, f"resetchannels &{_CHANNEL} +subscribe") from None
            if answer["type"] != "subscribe":
                raise RedisError("SUBSCRIBE has another answer")

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
                self._tell(message, changed)
            elif loop.time() > heard_at + PULSE + self._timeout:
                raise TimeoutError
            if loop.time() >= asked_at + PULSE:  # however much is told meanwhile
                asked_at = loop.time()
                await pubsub.ping()
                await self._confirmed(pubsub)

    def _tell(self, message: dict[str, Any], changed: Changed) -> None:
        if message["type"] != "message":
            return
        keys = message["data"]
        if message["channel"] == _CHANNEL.encode() and (keys is None or isinstance(keys, list)):
            for key in _read_keys(keys):
                changed(key)
        elif not self._told_odd:
            self._told_odd = True  # once: whoever publishes must not fill the log
            log.warning("store_changes_odd", advice=f"somebody else publishes on {_CHANNEL}: that is ignored")


async def _ask(connection: Any, *words: Any) -> Any:
    await connection.send_command(*words)
    return await connection.read_response()


def _read_keys(keys: Sequence[object] | None) -> Iterator[str | None]:
    """Yield what has changed. None: anything may have, as Redis says it ("Invalidation messages", FLUSHALL)."""
    if keys is None:
        yield None
        return
    for key in keys:
        if not isinstance(key, bytes):
            yield None
        elif key.isascii():  # all of ours are
            yield key.decode("ascii")
