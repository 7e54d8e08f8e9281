"""The one form of a path, which policy decides on and which is forwarded byte for byte.

A path that can be read in two ways is refused, not guessed at (path traversal):

1. Refused: `%2f`, `%5c`, `%00` and other encoded control characters, a backslash, `#`, white space, bytes beyond
   ASCII, broken percent-encoding, percent-encoded bytes that are not UTF-8 (overlong forms are not), dot segments with
   parameters (`..;x`), and dot segments that lead above the root.
2. Resolved: `.` and `..`, also written `%2e` (RFC 3986 §5.2.4, §6.2.2.3).
3. Merged: repeated slashes, as nginx does by default. Upstreams disagree on what `//` means; now they cannot.
4. Normalised: encoded unreserved characters are decoded, other encodings have upper-case hex (RFC 3986 §6.2.2).

Nothing is decoded twice: `%252e` stays `%252e`. The result is a fixed point: canonicalising it again changes nothing.

An app may hang below the root of its server: at a mount, which is `root_path` in ASGI and `SCRIPT_NAME` in WSGI. The
mount is part of the path, and in canonical form itself.

Two exceptions, which routes ask for and `policy` judges. An encoded slash (never a backslash) may be let in as an
opaque character of its segment, written as the client wrote it. And where slashes were merged, the form in which they
were not is kept beside, but for those at the start, which some take for a host.
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
_NEVER_ENCODED: Final = "/!$&'()*+,;=:@-._~"  # RFC 3986 §3.3
_SLASH, _BACKSLASH = b"/\\"
_ENCODED_SLASH: Final = re.compile(rb"%2[Ff]")


class CanonicalPath(msgspec.Struct, frozen=True, eq=False):
    """A path in canonical form; made by `canonicalise` only. Equal to what is forwarded in the same form."""

    raw: bytes  # percent-encoded, as it is forwarded
    text: str  # percent-decoded, as policy reads it; an encoded slash stands there as `%2F`
    encoded_slash: bool = False  # whether there is one; see `policy.Route.encoded_slashes`
    merged: bool = False  # whether slashes were merged; see `policy.Route.merge_slashes`
    unmerged: bytes = b""  # `raw` without that; b"" where none were, or where dot segments make it ambiguous
    fixed: bool = False  # handed on as it came, by somebody who merges no slashes for us

    def __eq__(self, other: object) -> bool:
        """Compare what is forwarded."""
        return isinstance(other, CanonicalPath) and (self.raw, self.text) == (other.raw, other.text)

    def __hash__(self) -> int:
        """Hash what is forwarded."""
        return hash(self.raw)

    @property
    def decoded(self) -> str:
        """The path with every encoding decoded, as apps in this process are called with it."""
        return unquote_to_bytes(self.raw).decode("utf-8") if self.encoded_slash else self.text

    def keep_slashes(self) -> CanonicalPath:
        """Return the form whose slashes are not merged."""
        if not self.unmerged:
            return self
        return CanonicalPath(self.unmerged, _decode(self.unmerged), encoded_slash=self.encoded_slash)

    def is_under(self, prefix: str) -> bool:
        """Whether this is `prefix` (no slash at its end) or a path below it."""
        return self.text == prefix or self.text.startswith(prefix + "/")

    def without(self, prefix: str) -> CanonicalPath:
        """Return what is left below `prefix` (unreserved ASCII, no slash at its end); elsewhere, the path itself."""
        if not self.is_under(prefix):
            return self
        # the prefix is written in one way only, so it is as long in bytes as in characters
        raw, text = self.raw[len(prefix) :] or b"/", self.text[len(prefix) :] or "/"
        if raw.startswith(b"//"):  # slashes that were kept are at the start now, where they would name a host
            raw, text = b"/" + raw.lstrip(b"/"), "/" + text.lstrip("/")
        return CanonicalPath(raw, text, encoded_slash=self.encoded_slash)


def canonicalise(raw: bytes, *, encoded_slashes: bool = False, fixed: bool = False) -> CanonicalPath:
    """Return the canonical form of the path part of a request target.

    `encoded_slashes` lets `%2F` in, for a route to take it or not; `fixed` says that somebody else hands the path on
    as it came. Raises `MalformedRequest` when the path can be read in more than one way; when it is `fixed`, also
    for all that is not canonical but for its percent-encoding.
    """
    if _PLAIN.fullmatch(raw):
        return CanonicalPath(raw, raw.decode("ascii"))
    if not _ALLOWED.fullmatch(raw) or b"?" in raw:
        raise MalformedRequest("the path has a character that does not belong there, or does not begin with /")
    normal = _ESCAPE.sub(_normalise, raw)
    has_encoded = _ENCODED_SLASH.search(normal) is not None
    if has_encoded and not encoded_slashes:
        raise MalformedRequest("the path has an encoded slash")
    # the whole path is judged before dot segments take parts of it away
    if _CONTROL.search(_decode(normal)):
        raise MalformedRequest("the path has an encoded control character")
    resolved = _resolve(normal)
    unmerged = _keep_slashes(normal) if b"//" in normal else b""
    if has_encoded:
        _check_encoded(normal)
    if fixed and unquote_to_bytes(raw) != unquote_to_bytes(unmerged or resolved):
        raise MalformedRequest("the path is not in canonical form")
    return CanonicalPath(
        resolved,
        _decode(resolved),
        encoded_slash=has_encoded,
        merged=b"//" in normal and unmerged != resolved,
        unmerged=unmerged if unmerged != resolved else b"",
        fixed=fixed,
    )


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
    """Decode a path, but for its slashes: no sequence of UTF-8 goes across one."""
    try:
        return "%2F".join(unquote_to_bytes(part).decode("utf-8") for part in _ENCODED_SLASH.split(path))
    except UnicodeDecodeError:
        raise MalformedRequest("the path's percent-encoding is not UTF-8") from None


def _normalise(escape: re.Match[bytes]) -> bytes:
    digits = escape[1]
    if not _HEX.fullmatch(digits):
        raise MalformedRequest("the path has broken percent-encoding")
    byte = int(digits, 16)
    if byte == _BACKSLASH:
        raise MalformedRequest("the path has an encoded backslash")
    if byte == _SLASH:
        return escape[0]
    return bytes([byte]) if byte in _UNRESERVED else b"%" + digits.upper()


def _check_encoded(path: bytes) -> None:
    """Raise `MalformedRequest` for dot segments beside encoded slashes: what they take away is up to the app."""
    for part in _ENCODED_SLASH.sub(b"/", path).split(b"/"):
        if part in {b".", b".."} or _DOT_WITH_PARAMETER.match(part):
            raise MalformedRequest("the path has dot segments and an encoded slash")


def _keep_slashes(path: bytes) -> bytes:
    """Return a path with repeated slashes as it is, but for those at its start; b"" where dot segments are, too."""
    if any(segment in {b".", b".."} for segment in path.split(b"/")):
        return b""
    return b"/" + path.lstrip(b"/")


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
