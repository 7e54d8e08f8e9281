"""Replaces many records with one exchange, each only while it is what was read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from redis.exceptions import NoScriptError

from gateway.core.record import Swap
from gateway.store.reader import Reader
from gateway.tasks import until_told


async def swap_each(reader: Reader, sha: str, swaps: Sequence[Swap]) -> list[bool | None]:
    """Run the script that `sha` names for each; returns whether it was replaced, in order.

    None where Redis does not know the script, as when it has started anew. Raises one of `FAULTS`: some may be done.
    """
    head = b"*7\r\n" + _pack(b"EVALSHA", sha.encode(), b"1")
    packed = b"".join([head + _pack(key.encode("ascii"), old, new, b"%d" % ttl) for key, old, new, ttl in swaps])
    answers: list[Any] | Exception = await until_told(partial(reader.exchange, packed, len(swaps), list))
    if isinstance(answers, Exception):
        raise answers
    for answer in answers:
        if isinstance(answer, Exception) and not isinstance(answer, NoScriptError):
            raise answer
    return [None if isinstance(answer, NoScriptError) else bool(answer) for answer in answers]


def _pack(*words: bytes) -> bytes:
    return b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words])
