"""Who may go where: routes, first match wins, and what matches nothing is denied.

Rules see the method, the host and the canonical path; never the query, a fragment or another header.

Apps differ in what they take for the same path, so no spelling may be more permissive than another:

1. A route that opens (`public`, `optional`) matches a path exactly as it is written, and only if every other reading of
   that path matches too: `/admin;a.js` is not opened by `/*.js`, since some apps read `/admin`.
2. A route that closes (`signed_in`, `deny`) matches any reading: other case, a slash at the end, parameters (`;x`) cut,
   percent-decoded again, cut at a decoded `?`. `/ADMIN`, `/admin/`, `/admin;x`, `/%2561dmin` are all `/admin`.
3. If another reading by itself would fall under a stricter route, or under none, that decides: with `/files/**` signed
   in and nothing else open, `/files/%252e%252e/internal` is denied as `/internal` is.

Globs: `*` stands for any characters within a segment, but at least one where it is a whole segment; `**` for any across
segments; `/a/**` matches `/a` too, and `/a/**/b` matches `/a/b`. `regex:` is anchored at both ends. Both are compared
with the percent-decoded path. A host without a port stands for all ports, `*.` for one label or more.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final, Literal, assert_never
from urllib.parse import unquote

import msgspec

from gateway.core.challenge import choose
from gateway.core.decision import Allow, Challenge, Decision, Deny
from gateway.core.identity import Identity, IdentityHeaders
from gateway.core.path import CanonicalPath
from gateway.core.request import RequestHead
from gateway.errors import SettingsError

OnUnauthenticated = Literal["auto", "redirect", "unauthorized"]

_MEMO_SIZE: Final = 4096  # entries
_MEMO_KEY: Final = 512  # characters; longer ones are not worth remembering
_DECODINGS: Final = 3  # times a path is decoded beyond what is right; nothing was seen to do more than one


class Access(StrEnum):
    """What a route asks of the visitor."""

    PUBLIC = "public"  # nothing; the session is not even looked at
    OPTIONAL = "optional"  # nothing, but whoever is signed in is named to the app
    SIGNED_IN = "signed_in"
    DENY = "deny"


_STRICTNESS: Final = {Access.PUBLIC: 0, Access.OPTIONAL: 1, Access.SIGNED_IN: 2, Access.DENY: 3}


class Route(msgspec.Struct, frozen=True):
    """One rule, as written in the settings."""

    path: str
    access: Access = Access.SIGNED_IN
    host: str | None = None
    methods: frozenset[str] | None = None  # None: all; GET implies HEAD
    on_unauthenticated: OnUnauthenticated = "auto"

    @property
    def opens(self) -> bool:
        """Whether the route lets the anonymous in."""
        return self.access in {Access.PUBLIC, Access.OPTIONAL}


class Match(msgspec.Struct, frozen=True):
    """The route that decides, and its place in the list (from 0)."""

    route: Route
    index: int


class Step(msgspec.Struct, frozen=True):
    """One route that was tried, and what came of it; for people to read."""

    index: int
    path: str
    outcome: str

    def __str__(self) -> str:
        return f"route {self.index} ({self.path}): {self.outcome}"


class Policy:
    """Compiled routes. Raises `SettingsError` for a `regex:` that is none."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._rules = tuple(_Rule(route, index) for index, route in enumerate(routes))
        self._memo: dict[tuple[str, str, str], Match | None] = {}

    def match(self, method: str, host: str, path: CanonicalPath) -> Match | None:
        """Return the route that decides, or None when no route matches."""
        key = (method, host, path.text)
        try:
            return self._memo[key]
        except KeyError:
            found = self._find(method, host, path.text)
        if len(method) + len(host) + len(path.text) <= _MEMO_KEY:
            if len(self._memo) >= _MEMO_SIZE:
                self._memo.clear()
            self._memo[key] = found
        return found

    def trace(self, method: str, host: str, path: CanonicalPath) -> tuple[Step, ...]:
        """Return each route that is tried, up to the one that decides, and why the others do not."""
        readings = _Readings(path.text)
        steps: list[Step] = []
        found: Match | None = None
        for rule in self._rules:
            mismatch = rule.mismatch(method, host, readings)
            steps.append(rule.step(mismatch or "matches"))
            if mismatch is None:
                found = rule.match
                break
        for reading in readings.others:
            match = self._read(method, host, reading)
            if _is_stricter(match, found):
                outcome = f"decides, since an app may read the path as {reading!r}"
                steps += [self._rules[match.index].step(outcome)] if match is not None else []
                steps += (
                    [Step(-1, reading, "no route, and an app may read the path so")] if match is None else []
                )
                found = match
        return tuple(steps)

    def _find(self, method: str, host: str, text: str) -> Match | None:
        readings = _Readings(text)
        matches = (rule.match for rule in self._rules if rule.mismatch(method, host, readings) is None)
        found = next(matches, None)
        for reading in readings.others:
            match = self._read(method, host, reading)
            if _is_stricter(match, found):
                found = match
        return found

    def _read(self, method: str, host: str, reading: str) -> Match | None:
        """Return the first route for one reading by itself."""
        rules = (rule for rule in self._rules if rule.takes(method, host) and rule.reads(reading))
        return next((rule.match for rule in rules), None)


class _Rule:
    """A route with its patterns compiled."""

    def __init__(self, route: Route, index: int) -> None:
        self.match = Match(route=route, index=index)
        self._opens = route.opens
        self._is_regex = route.path.startswith("regex:")
        try:
            self._exact, self._folded = _compile_path(route.path)
        except re.error as error:
            raise SettingsError(
                f"routes[{index}].path: {route.path!r} is no regular expression ({error}); mend it or use a glob"
            ) from None
        self._host = _compile_host(route.host, opens=route.opens) if route.host is not None else None
        self._methods = _with_head(route.methods) if route.methods is not None else None

    def mismatch(self, method: str, host: str, readings: _Readings) -> str | None:
        """Return why the route does not match, or None when it does."""
        if not self._takes_host(host):
            return f"another host than {self.match.route.host}"
        if not self._matches_path(readings):
            return "another path"
        if not self._takes_method(method):
            return f"another method than {', '.join(sorted(self._methods or ()))}"
        return None

    def takes(self, method: str, host: str) -> bool:
        """Whether the route is for this method and host."""
        return self._takes_host(host) and self._takes_method(method)

    def reads(self, reading: str) -> bool:
        """Whether the route matches a reading; a closing one whether or not it ends in a slash."""
        if self._opens:
            return self._matches_folded(reading)
        bare = reading.rstrip("/")
        return self._matches_folded(bare or "/") or self._matches_folded(bare + "/")

    def step(self, outcome: str) -> Step:
        """Return a line of a trace."""
        return Step(self.match.index, self.match.route.path, outcome)

    def _takes_host(self, host: str) -> bool:
        return self._host is None or self._host.fullmatch(host) is not None

    def _takes_method(self, method: str) -> bool:
        # methods are case-sensitive (RFC 9110 §9.1), but some apps take `post` for POST
        return self._methods is None or (method if self._opens else method.upper()) in self._methods

    def _matches_path(self, readings: _Readings) -> bool:
        exact = self._exact.fullmatch(readings.text) is not None
        if self._opens:
            return exact and all(self.reads(reading) for reading in readings.others)
        return exact or any(self.reads(reading) for reading in readings.all)

    def _matches_folded(self, reading: str) -> bool:
        if self._folded.fullmatch(reading):
            return True
        # a regular expression cannot be folded, so accented letters stand in it composed
        return self._is_regex and self._folded.fullmatch(unicodedata.normalize("NFC", reading)) is not None


class _Readings:
    """What apps may take a path for, all folded: `others` besides the path itself, `all` with it."""

    def __init__(self, text: str) -> None:
        self.text = text
        folded = _fold(text)
        self.others: tuple[str, ...] = ()
        if not _is_plain(text):
            others = dict.fromkeys(_read_otherwise(folded))
            if _shape(text) == _shape(folded):
                others.pop(folded, None)  # differs in letters only, which no opening route cares for
            self.others = tuple(others)
        self.all = (folded, *self.others)


def decide(
    match: Match | None, head: RequestHead, caller: Identity | None, headers: IdentityHeaders
) -> Decision:
    """Return the decision for a request; `caller` is who is signed in, as far as `needs_caller` asked."""
    if match is None:
        return Deny("no route matches")
    route = match.route
    match route.access:
        case Access.DENY:
            return Deny(f"route {match.index} denies")
        case Access.PUBLIC:
            return Allow((), headers.reserved, None)
        case Access.OPTIONAL | Access.SIGNED_IN as access:
            if caller is not None:
                return Allow(headers.build(caller), headers.reserved, caller)
            if access == Access.OPTIONAL:
                return Allow((), headers.reserved, None)
            return Challenge(choose(head, route.on_unauthenticated))
        case _ as never:
            assert_never(never)


def needs_caller(match: Match | None) -> bool:
    """Whether the decision depends on who is signed in."""
    return match is not None and match.route.access in {Access.OPTIONAL, Access.SIGNED_IN}


def _is_stricter(match: Match | None, than: Match | None) -> bool:
    return _strictness(match) > _strictness(than)


def _strictness(match: Match | None) -> int:
    return _STRICTNESS[match.route.access if match is not None else Access.DENY]


_PLAIN: Final = re.compile(r"[^%;?#\\]*")


def _is_plain(text: str) -> bool:
    """Whether nobody can read the path otherwise, but for case and a slash at the end."""
    return text.isascii() and _PLAIN.fullmatch(text) is not None


def _fold(text: str) -> str:
    """Make equal what differs in case or compatibility form (Unicode UAX #15; §3.13 of the Standard)."""
    if text.isascii():
        return text.lower()
    # upper first: dotless i has a capital but no folding
    decomposed = unicodedata.normalize("NFKD", text).upper().casefold()
    return unicodedata.normalize("NFKD", decomposed)


def _shape(text: str) -> str:
    return re.sub(r"[^/\\.;%?#]", "", text)


def _read_otherwise(folded: str) -> Iterable[str]:
    for _ in range(_DECODINGS + 1):
        slashed = folded.replace("\\", "/")
        yield _resolve(slashed)
        yield _resolve(re.sub(r";[^/]*", "", slashed))
        yield _resolve(re.sub(r";[^/]*", "", re.split(r"[?#\0]", slashed, maxsplit=1)[0]))
        decoded = _fold(unquote(folded))
        if decoded == folded:
            return
        folded = decoded


def _resolve(path: str) -> str:
    """Resolve dot segments and merge slashes; a final slash stays. What leads above the root ends there."""
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    return "/" + "/".join(kept) + ("/" if kept and segments[-1] in {"", ".", ".."} else "")


def _compile_path(path: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return the pattern as written, and the one for folded readings. Raises `re.error`."""
    if path.startswith("regex:"):
        pattern = path.removeprefix("regex:")
        return re.compile(pattern, re.DOTALL), re.compile(pattern, re.DOTALL | re.IGNORECASE)
    return re.compile(_glob(path), re.DOTALL), re.compile(_glob(_fold(path)), re.DOTALL)


def _glob(path: str) -> str:
    first, *rest = re.split(r"(/\*\*$|/\*\*/|\*\*|\*)", path)
    pattern, before = re.escape(first), first
    for star, literal in zip(rest[::2], rest[1::2], strict=True):
        is_segment = before.endswith("/") and (literal.startswith("/") or not literal)
        is_last = literal == rest[-1] and pattern is not None
        pattern += _star(star, re.escape(literal), is_segment=is_segment, is_last=is_last)
        before = literal
    return pattern
