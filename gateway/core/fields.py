"""Header fields as lists of pairs: names in lower case, values as they came. Found, compared, read and written here.

Which of them go in to the app is `headers`' affair, which come out `response`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, TypeVar

from gateway.errors import MalformedRequest

T = TypeVar("T")

Headers = tuple[tuple[bytes, bytes], ...]
"""Header fields in the order received; names in lower case, values without surrounding white space."""
Fields = list[tuple[bytes, bytes]]
"""Fields that are being put together."""

NAMES_A_MOUNT: Final = frozenset({b"daphne-root-path", b"path-info", b"script-name"})
"""Fields that servers cut a path by, in normalised spelling: daphne believes anybody, gunicorn its own machine.

From a client they would have the app look at another path than the one that was judged.
"""

TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
"""What names and methods are made of (RFC 9110 §5.6.2), as the beginning of a regular expression."""
_NAME: Final = re.compile(TOKEN + rb"+")
# name, and value with what white space is behind it (RFC 9110 §5.5, §5.6.2); nothing is given back, so it is linear
_LINE: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]++):[\t ]*+([\t\x20-\x7e\x80-\xff]*+)")
_MEMO_SIZE: Final = 2048
_NORMAL: Final = bytes(ord(chr(code).lower()) if code < 128 and chr(code).isalnum() else 45 for code in range(256))
_normal: dict[bytes, bytes] = {}


def is_token(name: bytes) -> bool:
    """Whether this can be the name of a field, or a method (RFC 9110 §5.6.2)."""
    return _NAME.fullmatch(name) is not None


def split_line(line: bytes) -> tuple[bytes, bytes] | None:
    """Return name and value of a field line, given without its end; None for what is no plain one (RFC 9112 §5)."""
    found = _LINE.fullmatch(line)
    return (found[1], found[2].rstrip(b"\t ")) if found is not None else None


def first(headers: Headers, name: bytes) -> bytes | None:
    """Return the value of the first field called `name` (lower case), or None."""
    for field, value in headers:
        if field == name:
            return value
    return None


def every(headers: Headers, name: bytes) -> tuple[bytes, ...]:
    """Return the values of all fields called `name` (lower case)."""
    return tuple(value for field, value in headers if field == name)


def normalised(name: bytes) -> bytes:
    """Return a name as the most careless server tells its app: lower case, with `-` for all but letters and digits.

    Most write `_` for `-` in a variable's name (RFC 3875 §4.1.18); PHP for `.` too, lighttpd for whatever a token may
    hold.
    """
    known = _normal.get(name)
    if known is None:
        known = name.translate(_NORMAL)
        remember_name(_normal, name, known)
    return known


def remember_name(memo: dict[bytes, T], name: bytes, value: T) -> None:
    """Remember what was made of a name, in a bounded memo."""
    if len(name) <= 64:
        if len(memo) >= _MEMO_SIZE:
            memo.clear()  # whoever sends many odd names must not keep the usual ones out
        memo[name] = value


def build_lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the lines of header fields.

    Raises `MalformedRequest` for a field that would begin another line: the second fence against request splitting,
    whatever a value came from.
    """
    lines = [b": ".join(field) for field in headers]
    block = b"\r\n".join((*lines, b""))
    if block.count(b"\n") != len(lines) or block.count(b"\r") != len(lines):
        raise MalformedRequest("a header value holds a line break")
    return block
