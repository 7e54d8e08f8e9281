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

    async def read(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values; once more on a fresh connection, if a kept one was found dead.

        Raises what redis-py raises.
        """
        command = _pack(keys)
        if self._free:
            try:
                return await self._ask(self._free.pop(), command)
            except (RedisError, OSError):
                await self.close()  # Redis has gone, and they all with it
        return await self._ask(self._make(), command)

    async def _ask(self, connection: Any, command: bytes) -> list[bytes | None]:
        try:
            await connection.send_packed_command(command, check_health=False)
            values: list[bytes | None] = await connection.read_response(disable_decoding=True)
        except BaseException:
            # an answer that is still to come must not be taken for the next one's
            await connection.disconnect(nowait=True)
            raise
        self._free.append(connection)
        return values

    async def close(self) -> None:
        """Close the connections that are not in use."""
        free, self._free = self._free, []
        for connection in free:
            await connection.disconnect(nowait=True)


def _pack(keys: Sequence[str]) -> bytes:
    """Pack `MGET` (RESP, "Sending commands to a Redis server"); keys are ASCII."""
    text = "".join([f"${len(key)}\r\n{key}\r\n" for key in keys])
    return f"*{len(keys) + 1}\r\n$4\r\nMGET\r\n{text}".encode("ascii")
