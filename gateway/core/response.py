"""What comes back: the fields of an app's answer, and what of them the client may see.

Out is ours: hop-by-hop fields end here, with whatever `Connection` names; identity headers and the gateway's own
cookies are never the app's to set; and what was made for somebody in particular is kept out of shared caches (web cache
deception). A field that would begin another line is refused (header injection, response splitting).

Apps send the same lines, and often the same heads, again and again, so what was found out about one is kept, by its
exact bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from gateway.core.fields import Fields, normalised, split_line
from gateway.core.headers import HOP_BY_HOP, named_by_connection
from gateway.errors import UpstreamBroken

PLAIN: Final = 0
COOKIE: Final = 1
CACHING: Final = 2
DATE: Final = 3
BINDING: Final = 4  # to the connection: whoever signs in on it is who it belongs to
HOP: Final = 5  # concerns one connection; from here on, nothing goes to the client
CONNECTION: Final = 6
CODING: Final = 7
LENGTH: Final = 8
"""Kinds of fields: what must be looked at besides the name."""

_NO_BODY: Final = frozenset({*range(100, 200), 204, 304})
_LENGTH: Final = re.compile(rb"[0-9]{1,19}")
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.1 (101|[2-5][0-9]{2}) [\t\x20-\x7e\x80-\xff]*")  # RFC 9112 §4
_MEMO_SIZE: Final = 4096
_MEMO_LINE: Final = 128  # bytes; longer lines are rarely the same twice
_HEADS: Final = 512  # remembered; most have a date, so they come again within a second or not at all
_MEMO_HEAD: Final = 1024  # bytes
_KINDS: Final = {
    b"set-cookie": COOKIE,
    b"cache-control": CACHING,
    b"vary": CACHING,
    b"surrogate-control": CACHING,
    b"x-accel-expires": CACHING,
    b"date": DATE,
    b"connection": CONNECTION,
    b"transfer-encoding": CODING,
    b"content-length": LENGTH,
}
_DIRECTIVE: Final = re.compile(rb'[^\s,="]+(?:\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s,"]*))?')  # RFC 9111 §5.2
_BINDING: Final = re.compile(rb"(?i)(?:ntlm|negotiate)\b")
"""Schemes that sign in the connection instead of the request (RFC 4559 §6)."""
_SHARED: Final = frozenset({b"public", b"s-maxage", b"proxy-revalidate", b"private"})


class AnswerField(msgspec.Struct, frozen=True):
    """A field, and all that depends on it alone."""

    name: bytes  # lower case
    value: bytes
    normal: bytes  # name in normalised spelling
    kind: int
    line: bytes  # as it is sent on
    number: int = -1  # of a Content-Length; -1: none


EditResponse = Callable[[list[AnswerField]], list[AnswerField]]
"""From the fields of an answer to those that the client may see."""


def has_no_body(status: int) -> bool:
    """Whether answers of a status have no body, and so no length, whatever they say (RFC 9110 §6.4.1)."""
    return status in _NO_BODY


class AnswerHead:
    """The head of an answer of the common kind: HTTP/1.1, not chunked. Compared by identity."""

    __slots__ = ("_whole_at", "fields", "keep_alive", "length", "status")

    def __init__(self, status: int, fields: list[AnswerField], length: int, *, keep_alive: bool) -> None:
        self.status = status
        self.fields = fields
        self.length = length  # of the body in bytes; -1: not said
        self.keep_alive = keep_alive  # whether the connection stays open
        self._whole_at = length if keep_alive and not has_no_body(status) else -1

    def is_whole(self, length: int) -> bool:
        """Whether so many bytes after it make the answer whole, and leave the connection ready for another."""
        return length == self._whole_at


_known: dict[bytes, AnswerField] = {}
_heads: dict[bytes, AnswerHead | None] = {}


def read_answer_head(head: bytes) -> AnswerHead | None:
    """Return the head of an answer, given without the empty line at its end; None for what is not plain."""
    try:
        return _heads[head]
    except KeyError:
        found = _read_head(head)
    if len(head) <= _MEMO_HEAD:
        if len(_heads) >= _HEADS:
            _heads.clear()
        _heads[head] = found
    return found


def read_whole(data: bytes) -> tuple[AnswerHead, bytes] | None:
    """Return head and body of an answer that is there as a whole, has a body, and leaves the connection open.

    None for any other. Not for answers to HEAD.
    """
    end = data.find(b"\r\n\r\n")
    if not 0 < end <= _MEMO_HEAD:
        return None
    head = _heads.get(data[:end]) or read_answer_head(data[:end])
    body = data[end + 4 :]
    return (head, body) if head is not None and head.is_whole(len(body)) else None


def _read_head(head: bytes) -> AnswerHead | None:
    first, *lines = head.split(b"\r\n")
    status = _STATUS_LINE.fullmatch(first)
    if status is None:
        return None
    length, keep_alive = -1, True
    fields: list[AnswerField] = []
    for line in lines:
        field = _known.get(line) or read_field(line)
        if field is None:
            return None
        fields.append(field)
        kind = field.kind
        if kind < BINDING:
            continue
        if kind == LENGTH:
            if length >= 0 or field.number < 0:
                return None
            length = field.number
        elif kind == CODING:
            return None
        elif kind == BINDING or (kind == CONNECTION and b"close" in field.value.lower()):
            keep_alive = False
    return AnswerHead(int(status[1]), fields, length, keep_alive=keep_alive)


def read_field(line: bytes) -> AnswerField | None:
    """Return the field of a line (without its end); None for what is no plain field line."""
    field = _known.get(line)
    if field is not None:
        return field
    parts = split_line(line)
    if parts is None:
        return None
    field = build_field(*parts)
    if len(line) <= _MEMO_LINE:
        if len(_known) >= _MEMO_SIZE:
            _known.clear()  # whoever sends ever new lines must not keep the usual ones out
        _known[line] = field
    return field


def build_field(name: bytes, value: bytes) -> AnswerField:
    """Return a field made from its parts. Raises `UpstreamBroken` when the value would begin another line."""
    if b"\n" in value or b"\r" in value or b"\n" in name or b"\r" in name:
        raise UpstreamBroken("a header of the answer holds a line break")
    lower = name.lower()
    kind = _KINDS.get(lower, PLAIN)
    if kind == PLAIN and lower in HOP_BY_HOP:
        kind = HOP
    elif kind == PLAIN and lower.endswith(b"cdn-cache-control"):  # RFC 9213 §2.2
        kind = CACHING
    elif kind == PLAIN and lower == b"www-authenticate" and binds_connection(value):
        kind = BINDING
    number = int(value) if kind == LENGTH and _LENGTH.fullmatch(value) else -1
    return AnswerField(lower, value, normalised(lower), kind, b"%b: %b\r\n" % (lower, value), number)


def binds_connection(credentials: bytes) -> bool:
    """Whether a challenge or credentials are of a scheme by which a connection is signed in, not a request."""
    return any(_BINDING.match(each.lstrip()) for each in credentials.split(b","))


_VARIES: Final = build_field(b"vary", b"Cookie")
_SAYS_PRIVATE: Final = (_VARIES, build_field(b"cache-control", b"private"))


def client_fields(
    fields: Iterable[AnswerField],
    *,
    own_cookies: frozenset[bytes],
    remove_headers: frozenset[bytes],
    identity_bearing: bool,
    varies: bool = False,
    keep_date: bool = True,
) -> list[AnswerField]:
    """Return the fields that the client may see.

    Without the hop-by-hop ones, without identity headers, without cookies that would set the gateway's own, and, when
    the answer was made for somebody in particular, kept out of shared caches; when it was made for nobody and would be
    another one for somebody (`varies`), kept apart there. A Content-Length stays: whether it counts is for whoever
    frames the body to say. `keep_date` is for servers that do not date answers themselves.
    """
    kept: list[AnswerField] = []
    caching: list[AnswerField] = []
    named: set[bytes] = set()
    for field in fields:
        kind = field.kind
        if field.normal in remove_headers:
            continue
        if kind in (PLAIN, LENGTH, BINDING):
            kept.append(field)
        elif kind == CACHING:
            caching.append(field)
        elif kind == COOKIE:
            if _cookie_name(field.value) not in own_cookies:
                kept.append(field)
        elif kind == DATE:
            if keep_date:
                kept.append(field)
        elif kind == CONNECTION:
            named.update(named_by_connection(((field.name, field.value),)))
    if named:
        kept = [field for field in kept if field.name not in named]
        caching = [field for field in caching if field.name not in named]
    if not identity_bearing:
        return kept + (_keep_apart(caching) if varies else caching)
    kept += _make_private(tuple((field.name, field.value) for field in caching)) if caching else _SAYS_PRIVATE
    return kept


def client_headers(
    headers: Iterable[tuple[bytes, bytes]],
    *,
    own_cookies: frozenset[bytes],
    remove_headers: frozenset[bytes],
    identity_bearing: bool,
    varies: bool = False,
) -> Fields:
    """The same for fields that come, and go, as pairs. Raises `UpstreamBroken` for one that would be two."""
    kept = client_fields(
        [build_field(name, value) for name, value in headers],
        own_cookies=own_cookies,
        remove_headers=remove_headers,
        identity_bearing=identity_bearing,
        varies=varies,
    )
    return [(field.name, field.value) for field in kept]


def _cookie_name(set_cookie: bytes) -> bytes:
    # `=gateway=x` is a cookie without a name (RFC 6265bis §5.6), which browsers send back as `gateway=x`
    return set_cookie.partition(b";")[0].lstrip(b" \t=").partition(b"=")[0].strip()


@lru_cache(maxsize=1024)
def _make_private(caching: Sequence[tuple[bytes, bytes]]) -> tuple[AnswerField, ...]:
    """Keep an answer out of shared caches (RFC 9111 §5.2.2), never weaker than the app said."""
    said = _read_directives(caching)
    words = {directive.lower() for directive in said}
    directives = [part for part in said if part.partition(b"=")[0].strip().lower() not in _SHARED]
    # shared caches obey what is neither Cache-Control nor Vary before both, so it goes
    kept = [(name, value) for name, value in caching if name == b"vary"]
    if b"no-store" not in words:
        if not _varies(kept) & {b"cookie", b"*"}:
            kept.append((b"vary", b"Cookie"))
        words.add(b"private")
    if b"private" in words:  # the bare word: `private="x"` is about the field x only (§5.2.2.7)
        directives.insert(0, b"private")
    kept.append((b"cache-control", b", ".join(directives)))
    return tuple(build_field(name, value) for name, value in kept)


def _keep_apart(caching: list[AnswerField]) -> list[AnswerField]:
    """Have a shared cache ask again for whoever sends another cookie (RFC 9111 §4.1), if it may keep the answer."""
    pairs = [(field.name, field.value) for field in caching]
    words = {directive.lower() for directive in _read_directives(pairs)}
    if words & {b"no-store", b"private"} or _varies(pairs) & {b"cookie", b"*"}:
        return caching
    return [*caching, _VARIES]


def _read_directives(caching: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
    return [found for name, value in caching if name == b"cache-control" for found in _DIRECTIVE.findall(value)]


def _varies(fields: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    return {part.strip().lower() for name, value in fields if name == b"vary" for part in value.split(b",")}
