"""Reads checks of the plain kind: who asks, and what about.

What was found out is kept by the bytes that it depends on, each part by itself: where a check comes from, whose cookies
it has, which request it is about. So a visitor who is known needs no page that is known, and the other way round. The
secret that proves a check is compared each time, and never looked up.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from gateway.core.fields import split_line
from gateway.core.headers import join_cookies
from gateway.core.request import RequestHead
from gateway.core.route import Match
from gateway.errors import GatewayError
from gateway.flows.device_proofs import Proofs
from gateway.server.short.check_lines import (
    ADDRESS,
    COOKIE,
    EMPTY,
    HOST,
    METHOD,
    NOTHING,
    ODD,
    ORIGIN,
    PROVES,
    CheckLines,
    Said,
)
from gateway.server.short.permit import Yes
from gateway.server.short.recurring import Recurring, Shelf
from gateway.telemetry.logs import describe_asked
from gateway.web.asgi_head import HeadReader
from gateway.web.forward_auth.dialect import IN_PATH, Dialect
from gateway.web.forward_auth.endpoint import ForwardAuth
from gateway.web.pipeline import Pipeline

MOST_ORIGINS: Final = 2048
MOST_ASKERS: Final = 4096
MOST_ASKED: Final = 4096
MOST_FORMS: Final = 256
"""Most origins, askers, requests asked about, and forms of asking that are kept."""
HEAVIEST: Final = 4 * 1024 * 1024
"""Most bytes of the lines by which origins, and askers, are known."""
HEAVIEST_YES: Final = 32 * 1024 * 1024
"""Most bytes of all that was said to askers."""
WEIGHT_OF_YES: Final = 1_000
WEIGHT_OF_CALLER: Final = 5_000
"""Bytes that a yes takes besides its lines, and somebody it is about: they stay while it does, whoever else forgets."""
LONGEST_ASKED: Final = 1024
"""The longest request line and fields, in bytes, among what is asked about and kept."""
_LINE: Final = re.compile(rb"([A-Z]{1,16}) (/[\x21\x22\x24-\x7e]*) HTTP/1\.1")

Form = tuple[bytes, bytes, str, str]
"""A check but for the address that it names: line, fields that say method and host, host and scheme of the origin."""


class Origin:
    """Where checks come from."""

    __slots__ = ("client_address", "host", "scheme")

    def __init__(self, head: RequestHead) -> None:
        self.host = head.host
        self.scheme = head.scheme
        self.client_address = head.client_address


class Asker:
    """Who asks from there: a set of cookies, and each yes that was said to them."""

    __slots__ = ("cookies", "origin", "proofs", "session_key", "yes")

    def __init__(self, origin: Origin, session_key: str | None, cookies: bytes, proofs: Proofs = ()) -> None:
        self.origin = origin
        self.session_key = session_key
        self.proofs = proofs  # of the device, where the session is bound to one
        self.cookies = cookies  # those of the app
        self.yes: dict[tuple[int, str, bytes], Yes] = {}  # by `Asked.place`


class Asked:
    """What is asked about, and how."""

    __slots__ = ("described", "dialect", "head", "match", "original", "place")

    def __init__(self, original: RequestHead, match: Match, dialect: Dialect) -> None:
        self.head = original
        self.original = original.method or "-", original.path.text  # as it is told
        self.described = describe_asked(*self.original)  # for the log
        self.match = match
        self.dialect = dialect
        self.place = match.index, dialect.page, dialect.removes


class CheckReader:
    """Reads checks, and knows them again."""

    def __init__(
        self,
        reader: HeadReader,
        forward_auth: ForwardAuth,
        pipeline: Pipeline,
        own_cookies: frozenset[bytes],
        *,
        pages: frozenset[str],
        by_proof: bool,
    ) -> None:
        """`pages` are those that answer checks. `by_proof`: anybody may ask there, so the secret must be shown."""
        self._reader = reader
        self._forward_auth = forward_auth
        self._pipeline = pipeline
        self._own_cookies = own_cookies
        self._pages = pages
        self._by_proof = by_proof
        self._lines = CheckLines(reader, forward_auth, told_id=by_proof)
        self._origins: Shelf[tuple[bytes, str | None, str], Origin] = Shelf(MOST_ORIGINS, HEAVIEST)
        self._askers: Shelf[tuple[bytes, Origin], Asker] = Shelf(MOST_ASKERS, HEAVIEST)
        self._said = 0  # bytes
        self._asked: Recurring[tuple[Form, bytes], Asked] = Recurring(MOST_ASKED)
        self._forms: Recurring[Form, Asked] = Recurring(MOST_FORMS)

    def read(self, data: bytes, peer: str | None, scheme: str) -> tuple[Asker, Asked] | None:
        """Return who asks, and what about, in a whole head; None for a check that is not plain, or not proven."""
        line, *lines = data[:-4].split(b"\r\n")
        limits = self._reader.limits
        if len(lines) > limits.header_count or len(data) > limits.header_bytes:
            return None
        said = self._sort(lines)
        if said is None or (self._by_proof and not self._is_proven(said[PROVES])):
            return None
        origin = self._find_origin([*said[ORIGIN], *said[HOST]], peer, scheme)
        asker = self._find_asker(said[COOKIE], origin) if origin is not None else None
        if origin is None or asker is None:
            return None
        asked = self._find_asked(line, said, origin, peer, scheme)
        return (asker, asked) if asked is not None else None

    def read_whole(self, data: bytes, peer: str | None, scheme: str) -> RequestHead | None:
        """Return the whole head of a check that was read before."""
        line, *lines = data[:-4].split(b"\r\n")
        parts = _LINE.fullmatch(line)
        return self._read_head(parts[1].decode(), parts[2], lines, peer, scheme) if parts is not None else None

    def keep_yes(self, asker: Asker, asked: Asked, yes: Yes) -> None:
        """Keep a yes for the next check; beyond the bound, all askers and what was said to them are let go."""
        weight = WEIGHT_OF_YES + len(yes.lines) + (WEIGHT_OF_CALLER if yes.passage.caller is not None else 0)
        if self._said + weight > HEAVIEST_YES:
            self._let_go_of_askers()
        self._said += weight
        asker.yes[asked.place] = yes

    def _let_go_of_askers(self) -> None:
        for asker in self._askers.kept.values():
            asker.yes.clear()  # somebody may have it in hand
        self._askers.clear()
        self._said = 0

    def _sort(self, lines: list[bytes]) -> Said | None:
        """Return the lines that say something, by what they say; of cookies and proofs, the values."""
        said: Said = [], [], [], [], [], [], []
        known, read = self._lines.known, self._lines.read
        for line in lines:
            says, told = known.get(line) or read(line)
            if says == NOTHING:
                continue
            if says == ODD:
                return None
            said[says].append(told)
        return said if len(said[EMPTY]) < 2 else None

    def _is_proven(self, shown: list[bytes]) -> bool:
        try:
            return self._forward_auth.is_proof(shown)
        except GatewayError:
            return False  # the app tells why

    def _find_origin(self, saying: list[bytes], peer: str | None, scheme: str) -> Origin | None:
        key = b"\n".join(saying), peer, scheme
        origin = self._origins.kept.get(key)
        if origin is None:
            head = self._read_head("GET", b"/", saying, peer, scheme)
            if head is None:
                return None
            origin = Origin(head)
            self._origins.put(key, origin, len(key[0]))
        return origin

    def _find_asker(self, cookies: list[bytes], origin: Origin) -> Asker | None:
        joined = b"\n".join(cookies)
        asker = self._askers.kept.get((joined, origin))
        if asker is None:
            fields = tuple((b"cookie", each) for each in cookies)
            keys = self._pipeline.read_session_keys(fields)
            if len(keys) > 1:
                return None  # the gate has to choose
            key = keys[0] if keys else None
            passing, proofs = join_cookies(cookies, self._own_cookies), self._pipeline.read_proofs(fields, key)
            asker = Asker(origin, key, passing, proofs)
            if not self._askers.has_room(2 * len(joined)):  # the app's cookies, once more
                self._let_go_of_askers()
            self._askers.put((joined, origin), asker, 2 * len(joined))
        return asker

    def _find_asked(self, line: bytes, said: Said, origin: Origin, peer: str | None, scheme: str) -> Asked | None:
        """Return what is asked about. It depends on nothing but the keys here."""
        addresses = said[ADDRESS]
        form = line, b"\n".join([*said[METHOD], *said[HOST]]), origin.host, origin.scheme
        key = form, b"\n".join(addresses)
        asked = self._asked.kept.get(key)
        if asked is not None:
            return asked
        target = _find_target(addresses)
        like = self._forms.kept.get(form) if target else None
        try:
            if like is not None:
                asked = self._note_match(self._forward_auth.read_another(like.head, target), like.dialect)
            else:
                asked = self._learn(line, [*said[ORIGIN], *said[HOST], *said[METHOD], *addresses], peer, scheme)
        except GatewayError:
            return None  # the app tells why
        if asked is not None and sum(map(len, (*form, key[1]))) <= LONGEST_ASKED:
            self._asked.note(key, asked)
            if target and like is None and asked.dialect is not IN_PATH:  # whose line names an address, too
                self._forms.note(form, asked)
        return asked

    def _learn(self, line: bytes, fields: list[bytes], peer: str | None, scheme: str) -> Asked | None:
        """Read what is asked about. Raises `RequestRefused`."""
        parts = _LINE.fullmatch(line)
        head = self._read_head(parts[1].decode(), parts[2], fields, peer, scheme) if parts is not None else None
        if head is None or head.path.text not in self._pages:
            return None
        dialect = self._forward_auth.dialect_of(head)
        if not dialect.whole and head.method not in {"GET", "HEAD"}:
            return None  # the page takes no other
        return self._note_match(self._forward_auth.read_asked(head), dialect)

    def _note_match(self, original: RequestHead, dialect: Dialect) -> Asked | None:
        match = self._pipeline.match(original.method, original.host, original.path)
        original = msgspec.structs.replace(original, headers=())  # those of one check, and maybe long
        return Asked(original, match, dialect) if match is not None else None

    def _read_head(
        self, method: str, target: bytes, lines: list[bytes], peer: str | None, scheme: str
    ) -> RequestHead | None:
        headers = [parts for line in lines if (parts := split_line(line)) is not None]
        try:
            return self._reader.read_raw(method=method, scheme=scheme, target=target, headers=headers, peer=peer)
        except GatewayError:
            return None


def _find_target(addresses: list[bytes]) -> bytes:
    """Return the target that a check names in one field, and by nothing but a path; b"" where it says more, or less."""
    if len(addresses) != 1:
        return b""
    value = addresses[0].partition(b":")[2].strip(b" \t")
    return value if value.startswith(b"/") else b""
