"""The one form of a path, which policy decides on and which is forwarded byte for byte.

A path that can be read in two ways is refused, not guessed at:

1. Refused: `%2f`, `%5c`, `%00` and other encoded control characters, a backslash, `#`, white space, bytes beyond
   ASCII, broken percent-encoding, percent-encoded bytes that are not UTF-8 (overlong forms are not), dot segments with
   parameters (`..;x`), and dot segments that lead above the root.
2. Resolved: `.` and `..`, also written `%2e` (RFC 3986 §5.2.4, §6.2.2.3).
3. Merged: repeated slashes, as nginx does by default. Upstreams disagree on what `//` means; now they cannot.
4. Normalised: encoded unreserved characters are decoded, other encodings have upper-case hex (RFC 3986 §6.2.2).

Nothing is decoded twice: `%252e` stays `%252e`. The result is a fixed point: canonicalising it again changes nothing.

An app may hang below the root of its server: at a mount, which is `root_path` in ASGI and `SCRIPT_NAME` in WSGI. The
mount is part of the path, and in canonical form itself.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec

from gateway.errors import MalformedRequest

# segments of characters that are never encoded, dotted only between others: what nearly every request is
_PLAIN: Final = re.compile(
    rb"/(?:[A-Za-z0-9_~$!*+,=:@-][A-Za-z0-9_~$!*+,=:@.-]*/)*(?:[A-Za-z0-9_~$!*+,=:@-][A-Za-z0-9_~$!*+,=:@.-]*)?"
)
_ALLOWED: Final = re.compile(rb"/[!\"$-\[\]-~]*")  # visible ASCII without "#" and the backslash
_ESCAPE: Final = re.compile(rb"%(..|.?)", re.DOTALL)
_HEX: Final = re.compile(rb"[0-9A-Fa-f]{2}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DOT_WITH_PARAMETER: Final = re.compile(rb"\.{1,2}(?:;|%3B)")
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_SEPARATORS: Final = frozenset(b"/\\")
_NEVER_ENCODED: Final = "/!$&'()*+,;=:@-._~"  # RFC 3986 §3.3


class CanonicalPath(msgspec.Struct, frozen=True):
    """A path in canonical form; made by `canonicalise` only."""

    raw: bytes  # percent-encoded, as it is forwarded
    text: str  # percent-decoded, as policy reads it; unambiguous, since no encoded slash is let in

    def is_under(self, prefix: str) -> bool:
        """Whether this is `prefix` (no slash at its end) or a path below it."""
        return self.text == prefix or self.text.startswith(prefix + "/")

    def without(self, prefix: str) -> CanonicalPath:
        """Return what is left below `prefix` (unreserved ASCII, no slash at its end); elsewhere, the path itself."""
        if not self.is_under(prefix):
            return self
        # the prefix is written in one way only, so it is as long in bytes as in characters
        return CanonicalPath(self.raw[len(prefix) :] or b"/", self.text[len(prefix) :] or "/")


def canonicalise(raw: bytes) -> CanonicalPath:
    """Return the canonical form of the path part of a request target.

    Raises `MalformedRequest` when the path can be read in more than one way.
    """
    if _PLAIN.fullmatch(raw):
        return CanonicalPath(raw, raw.decode("ascii"))
    if not _ALLOWED.fullmatch(raw) or b"?" in raw:
        raise MalformedRequest("the path has a character that does not belong there, or does not begin with /")
    normal = _ESCAPE.sub(_normalise, raw)
    # the whole path is judged before dot segments take parts of it away
    if _CONTROL.search(_decode(normal)):
        raise MalformedRequest("the path has an encoded control character")
    resolved = _resolve(normal)
    return CanonicalPath(resolved, _decode(resolved))


def encode_path(decoded: bytes) -> bytes:
    """Return a path as it stands in a request target, from what a server has percent-decoded."""
    return quote_from_bytes(decoded, safe=_NEVER_ENCODED).encode()


def read_mount(decoded: bytes) -> CanonicalPath | None:
    """Return the path that an app hangs below, without a slash at its end; None at the root.

    `decoded` is as a server hands it over: percent-decoded. Raises `MalformedRequest` when it is not in canonical form:
    the app and the gateway might take it for two different places.
    """
    name = decoded.rstrip(b"/")
    if not name:
        return None
    mount = canonicalise(encode_path(name))
    if mount.text.encode() != name:
        raise MalformedRequest("the app's mount (root_path, SCRIPT_NAME) is not in canonical form")
    return mount


def _decode(path: bytes) -> str:
    try:
        return unquote_to_bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedRequest("the path's percent-encoding is not UTF-8") from None


def _normalise(escape: re.Match[bytes]) -> bytes:
    digits = escape[1]
    if not _HEX.fullmatch(digits):
        raise MalformedRequest("the path has broken percent-encoding")
    byte = int(digits, 16)
    if byte in _SEPARATORS:
        raise MalformedRequest("the path has an encoded slash or backslash")
    return bytes([byte]) if byte in _UNRESERVED else b"%" + digits.upper()


def _resolve(path: bytes) -> bytes:
    """Resolve dot segments and merge slashes; a final slash stays."""
    kept: list[bytes] = []
    segments = path.split(b"/")[1:]
    for segment in segments:
        if segment == b"..":
            if not kept:
                raise MalformedRequest("the path leads above the root")
            kept.pop()
        elif _DOT_WITH_PARAMETER.match(segment):
            raise MalformedRequest("the path has a dot segment with a parameter")
        elif segment not in {b"", b"."}:
            kept.append(segment)
    ends_in_slash = kept and segments[-1] in {b"", b".", b".."}
    return b"/" + b"/".join(kept) + (b"/" if ends_in_slash else b"")
