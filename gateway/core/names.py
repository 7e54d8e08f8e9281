"""Names of header fields, as a request's are read: in lower case, and without those of `drop_headers`.

Apps believe some fields because a front of theirs once set them: an address, a host, another method. From a client they
are lies, so they go where heads are read, for every way to the app alike. Identity headers go later: see `headers`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gateway.core.fields import is_token, normalised
from gateway.errors import MalformedRequest

_MEMO_SIZE: Final = 1024


class FieldNames:
    """Reads names. `dropped` go in every spelling; a `*` at the end of one stands for any rest.

    `kept` stay all the same, in normalised spelling: names of identity, of which a check must see that somebody poses.
    No app gets them from a client either.
    """

    def __init__(self, dropped: Iterable[str] = (), *, kept: frozenset[bytes] = frozenset()) -> None:
        names = [name.encode("ascii") for name in dropped]
        self._dropped = frozenset(normalised(name) for name in names if not name.endswith(b"*"))
        self._beginnings = tuple(normalised(name[:-1]) for name in names if name.endswith(b"*"))
        self._kept = kept
        self.known: dict[bytes, bytes] = {}

    def read(self, name: bytes) -> bytes:
        """Return a name in lower case; b"" for one that is dropped. Raises `MalformedRequest` for no name."""
        known = self.known.get(name)
        return known if known is not None else self._learn(name)

    def _learn(self, name: bytes) -> bytes:
        if not is_token(name):
            raise MalformedRequest("a header name is no token")
        normal = normalised(name)
        is_dropped = normal not in self._kept and (normal in self._dropped or normal.startswith(self._beginnings))
        read = b"" if is_dropped else name.lower()
        if len(name) <= 64:
            if len(self.known) >= _MEMO_SIZE:
                self.known.clear()  # whoever sends many odd names must not keep the usual ones out
            self.known[name] = read
        return read


ALL_NAMES: Final = FieldNames()
"""Drops nothing."""
