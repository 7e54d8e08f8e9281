"""What goes wrong with Redis, in our words: the one border to redis-py's exceptions."""

from __future__ import annotations

from typing import Final

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
)

from gateway.errors import StoreRefused, StoreUnavailable

FAULTS: Final = (RedisError, RedisClusterException, OSError)
"""What redis-py raises; the second is not among the first."""


_REFUSALS: Final[dict[str, type[RedisError]]] = {
    "LOADING": BusyLoadingError,
    "NOAUTH": AuthenticationError,
    "NOPERM": NoPermissionError,
    "NOSCRIPT": NoScriptError,
    "READONLY": ReadOnlyError,
    "WRONGPASS": AuthenticationError,
}


def read_refusal(text: str) -> RedisError:
    """Return what redis-py raises for an error that Redis answers with; it begins with its kind."""
    return _REFUSALS.get(text.partition(" ")[0], ResponseError)(text)


def translate(address: str, error: Exception) -> StoreUnavailable:
    """Return the error for one of `FAULTS`, with what to do about it."""
    kind = StoreRefused if isinstance(error, AuthenticationError | NoPermissionError) else StoreUnavailable
    return kind(_explain(address, error))


def _explain(address: str, error: Exception) -> str:
    match error:
        case AuthenticationError() | NoPermissionError():
            return f"{address} refuses the user, the password or a command: check the URL and Redis' ACL"
        case ReadOnlyError():
            return f"{address} is a read-only replica: point `redis` at the primary"
        case OutOfMemoryError():
            return f"{address} is full: raise `maxmemory`"
        case BusyLoadingError():
            return f"{address} is loading its data"
        case _:
            return f"{address} cannot be used ({type(error).__name__})"
