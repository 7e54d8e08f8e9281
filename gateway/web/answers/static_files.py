"""Files beside the pages: the stylesheet, scripts, pictures of ours and the operator's.

A file's address has the hash of its bytes, so browsers keep it for good (cache busting). A hash that is not the file's
is asked for while replicas differ: it gets the file that there is, and nobody keeps it.
"""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from typing import Final

import msgspec

from gateway.core.fields import Headers
from gateway.web.answers.answer import NO_SNIFF, Answer

TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "ico": "image/x-icon",
    "jpeg": "image/jpeg",
    "js": "text/javascript; charset=utf-8",
    "png": "image/png",
    "svg": "image/svg+xml",
    "webp": "image/webp",
}
_NAMED: Final = re.compile(r"([a-z_]{1,32})(?:-([0-9a-f]{16}))?\.([a-z]{2,4})")
_ALONE: Final = (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; sandbox")
"""An SVG that is opened by itself is a document: it may run nothing, load nothing, and has no origin."""


class StaticFile(msgspec.Struct, frozen=True):
    """One file: `name` is without the hash."""

    name: str
    body: bytes
    hash: str


class StaticFiles:
    """The files below `{prefix}/static`."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._files: dict[str, StaticFile] = {}
        for item in (files("gateway.web.answers") / "static").iterdir():
            if item.is_file():
                self.add(item.name, item.read_bytes())

    def add(self, name: str, body: bytes) -> None:
        """Add a file; its ending says what it is."""
        self._files[name] = StaticFile(name, body, hashlib.sha256(body).hexdigest()[:16])

    def read(self, name: str) -> bytes:
        """Return the bytes of a file that there is."""
        return self._files[name].body

    def address(self, name: str) -> str:
        """Return where a file that there is can be had, for good."""
        stem, _, ending = name.rpartition(".")
        return f"{self._prefix}/static/{stem}-{self._files[name].hash}.{ending}"

    def answer(self, asked: str, if_none_match: str = "") -> Answer | None:
        """Answer with a file; None where there is no such one."""
        named = _NAMED.fullmatch(asked)
        found = self._files.get(f"{named[1]}.{named[3]}") if named is not None else None
        if found is None or named is None:
            return None
        etag = f'"{found.hash}"'
        headers = self._describe(found, etag, named[2])
        return Answer(304, headers, b"") if if_none_match == etag else Answer(200, headers, found.body)

    def _describe(self, found: StaticFile, etag: str, asked_hash: str | None) -> Headers:
        ending = found.name.rpartition(".")[2]
        kept = {found.hash: b"public, max-age=31536000, immutable", None: b"public, max-age=86400"}
        return (
            (b"content-type", TYPES[ending].encode()),
            (b"etag", etag.encode()),
            (b"cache-control", kept.get(asked_hash, b"no-cache")),
            NO_SNIFF,
            *((_ALONE,) if ending == "svg" else ()),
        )
