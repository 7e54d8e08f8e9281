"""The read that nearly every request needs, over connections of its own.

redis-py makes the connections (TLS, users, Sentinel are its business); the command is packed here, and read without
pool, retries and callbacks, which together cost several times what Redis does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from redis.exceptions import RedisError


class Reader:
    """Reads many keys with one command. `make` returns a redis-py connection that is not connected yet."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._free: list[Any] = []
        self._closed = 0  # times

    async def read(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values; once more on a fresh connection, if a kept one was found dead.

        Raises what redis-py raises.
        """
        values: list[bytes | None] = await self.exchange(pack("MGET", *keys), 1)
        return values

    async def exchange(self, commands: bytes, answers: int) -> Any:
        """Send packed commands, and return what `receive` makes of their answers."""
        if self._free:
            try:
                return await self._ask(self._free.pop(), commands, answers)
            except (RedisError, OSError):
                await self.close()  # Redis has gone, and they all with it
        return await self._ask(self._make(), commands, answers)

    async def receive(self, connection: Any, answers: int) -> Any:
        """Read the one answer."""
        return await connection.read_response(disable_decoding=True)

    async def _ask(self, connection: Any, commands: bytes, answers: int) -> Any:
        closed = self._closed
        try:
            if not connection.is_connected:  # sending would connect, too, but not where a Sentinel points
                await connection.connect()
            await connection.send_packed_command(commands, check_health=False)
            values = await self.receive(connection, answers)
        except BaseException:
            # an answer that is still to come must not be taken for the next one's
            await connection.disconnect(nowait=True)
            raise
        if closed == self._closed:
            self._free.append(connection)
        else:
            await connection.disconnect(nowait=True)
        return values

    async def close(self) -> None:
        """Close the connections: those in use, as soon as they have answered."""
        self._closed += 1
        free, self._free = self._free, []
        for connection in free:
            await connection.disconnect(nowait=True)


def pack(*words: str) -> bytes:
    """Pack a command (RESP, "Sending commands to a Redis server"); its words are ASCII."""
    text = "".join([f"${len(word)}\r\n{word}\r\n" for word in words])
    return f"*{len(words)}\r\n{text}".encode("ascii")
