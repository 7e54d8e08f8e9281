"""Who may go where (access control): routes, first match wins, and what matches nothing is denied.

Rules see the method, the host and the canonical path; never the query, a fragment or another header.

Apps differ in what they take for the same path, so no spelling may be more permissive than another:

1. A route that opens (`public`, `optional`) matches a path exactly as it is written, and only if every other
   reading of that path matches too: `/*.js` does not open `/admin;a.js`, since some apps read `/admin`.
2. A route that closes (`signed_in`, `deny`) matches any reading: other case, a slash at the end, parameters
   (`;x`) cut, percent-decoded again. `/ADMIN`, `/admin/`, `/admin;x`, `/%2561dmin` are all closed by `/admin`.
3. If another reading by itself falls under a stricter route, or under none, that decides: where `/files/**` is
   all that is let in, `/files/%252e%252e/internal` is denied as `/internal` is. So does the path as it is written,
   where others lead up from it: `/internal/%252e%252e/files` is denied too.

A request whose method is not known may do only what it might do with every method: the strictest route decides, and all
of them must take the path in its form.

Some routes let in more than the canonical form. Only the route that decides is asked for that; it is never a reason to
pass a route over:

4. A path with an encoded slash is refused unless that route takes it (`encoded_slashes`); as one that is decoded, it
   is among the readings of rules 1 to 3. Repeated slashes are merged unless that route keeps them (`merge_slashes`).
5. The form in which the app is asked for such a path must lead to that very route too. An app in this process is
   called with a decoded path, in which an encoded slash is a slash.

`spelling` has the patterns and the readings. A host without a port stands for all ports, `*.` for one label or
more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Final, assert_never

from gateway.core.challenge import choose
from gateway.core.decision import Allow, Challenge, Consent, Deny
from gateway.core.identity import Identity
from gateway.core.path import CanonicalPath
from gateway.core.request import UNKNOWN_METHOD, RequestHead
from gateway.core.route import Access, Match, Route, Step
from gateway.core.spelling import PathPattern, Readings
from gateway.errors import MalformedRequest, SettingsError

_STRICTNESS: Final = {Access.PUBLIC: 0, Access.OPTIONAL: 0, Access.SIGNED_IN: 1, Access.DENY: 3}
_WITH_REQUIREMENT: Final = 2
_NOT_PECULIAR: Final = frozenset(
    {
        *("path", "host", "methods", "access"),  # what it matches, and its strictness
        *("on_unauthenticated", "reason", "keep_post", "preflight"),  # how a no is said
        *("body_limit", "encoded_slashes", "merge_slashes", "strip_prefix"),  # what of a request the app gets
    }
)
"""Keys by which two routes may differ and still let in and tell the same people."""
_PECULIAR: Final = tuple(name for name in Route.__struct_fields__ if name not in _NOT_PECULIAR)
_DEFAULT_PORTS: Final = frozenset({"80", "443"})


class Policy:
    """Compiled routes. Raises `SettingsError` for a `regex:` that is none.

    `in_process`: the app is called with decoded paths.
    """

    def __init__(self, routes: Sequence[Route], *, in_process: bool = False) -> None:
        self._in_process = in_process
        self._rules = tuple(_Rule(route, index) for index, route in enumerate(routes))
        named = {method for route in routes for method in route.methods or ()}
        self._known = frozenset(map(id, routes))
        # every one that makes a difference, and one that no rule names
        self._methods = (UNKNOWN_METHOD, *named, *(method.lower() for method in named))

    def has(self, route: Route) -> bool:
        """Whether it is one of these routes, and not merely like one."""
        return id(route) in self._known

    def match(self, method: str, host: str, path: CanonicalPath) -> Match | None:
        """Return the route that decides, or None when no route matches.

        Raises `MalformedRequest` for a path in a form that this route does not take.
        """
        if method == UNKNOWN_METHOD:
            return reduce(_stricter_of, (self._match(each, host, path) for each in self._methods))
        return self._match(method, host, path)

    def _match(self, method: str, host: str, path: CanonicalPath) -> Match | None:
        found = self._find(method, host, path.text)
        if path.encoded_slash or path.merged:
            self._check_form(found, method, host, path)
        return found

    def _check_form(self, found: Match | None, method: str, host: str, path: CanonicalPath) -> None:
        if path.encoded_slash and (found is None or not found.route.encoded_slashes):
            raise MalformedRequest("the path has an encoded slash, for a route without `encoded_slashes: keep`")
        if found is None:
            return
        if path.merged and found.route.merge_slashes and path.fixed:
            raise MalformedRequest("the path has repeated slashes, for a route without `merge_slashes: false`")
        if path.merged and not found.route.merge_slashes and not path.unmerged:
            raise MalformedRequest("the path has dot segments and repeated slashes")
        form = found.route.form_of(path)
        asked_for = form.decoded if self._in_process else form.text
        if asked_for != path.text and self._find(method, host, asked_for) is not found:
            raise MalformedRequest("the path leads to another route in the form in which the app is asked for it")

    def _find(self, method: str, host: str, text: str) -> Match | None:
        readings = Readings(text)
        matches = (rule.match for rule in self._rules if rule.mismatch(method, host, readings) is None)
        found = next(matches, None)
        for match, _ in self._stricter(method, host, readings, found):
            found = match
        return found

    def trace(self, method: str, host: str, path: CanonicalPath) -> tuple[Step, ...]:
        """Return each route that is tried, up to the one that decides, and why the others do not."""
        readings = Readings(path.text)
        steps: list[Step] = []
        found: Match | None = None
        for rule in self._rules:
            mismatch = rule.mismatch(method, host, readings)
            steps.append(Step(rule.match.index, rule.match.route.path, mismatch or "matches"))
            if mismatch is None:
                found = rule.match
                break
        stricter = self._stricter(method, host, readings, found)
        return (*steps, *(_overruling(match, reading) for match, reading in stricter))

    def _stricter(
        self, method: str, host: str, readings: Readings, found: Match | None
    ) -> Iterator[tuple[Match | None, str]]:
        """Yield the match of every reading that is stricter than those before it, with the reading."""
        rules = [rule for rule in self._rules if rule.takes(method, host)] if readings.others else []
        for reading in readings.others:
            match = next((rule.match for rule in rules if rule.reads(reading)), None)
            if _strictness(match) > _strictness(found):
                found = match
                yield match, reading
            elif _strictness(match) == _WITH_REQUIREMENT and match is not found:
                # each asks for something else, and it is not known which the app would go by
                found = None
                yield None, reading
        if found is not None and found.route.strip_prefix and readings.leads_up:
            # an app that sees a part of the path ends at its own root what leads above that: it is another place
            yield None, readings.text


class _Rule:
    """A route with its patterns compiled."""

    def __init__(self, route: Route, index: int) -> None:
        self.match = Match(route=route, index=index)
        self._opens = route.opens
        try:
            self._path = PathPattern(route.path)
        except re.error as error:
            raise SettingsError(
                f"routes[{index}].path: {route.path!r} is no regular expression: {error}. Mend it or use a glob"
            ) from None
        self._host = _compile_host(route.host, opens=route.opens) if route.host is not None else None
        self._methods = _with_head(route.methods) if route.methods is not None else None

    def mismatch(self, method: str, host: str, readings: Readings) -> str | None:
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
        """Whether the route matches a reading."""
        return self._path.reads(reading) if self._opens else self._path.reads_with_or_without_slash(reading)

    def _takes_host(self, host: str) -> bool:
        return self._host is None or self._host.fullmatch(host) is not None

    def _takes_method(self, method: str) -> bool:
        # methods are case-sensitive (RFC 9110 §9.1), but some apps take `post` for POST
        return self._methods is None or (method if self._opens else method.upper()) in self._methods

    def _matches_path(self, readings: Readings) -> bool:
        exact = self._path.matches(readings.text)
        if self._opens:
            return exact and all(self.reads(reading) for reading in readings.others)
        return exact or any(self.reads(reading) for reading in readings.all)


def admits(match: Match | None, caller: Allow | None, anonymous: Allow) -> Allow | None:
    """Return what lets the caller in; None when nothing does.

    `caller` lets in who is signed in, as far as `needs_caller` asked; `anonymous` lets in without a name.
    """
    if match is None:
        return None
    match match.route.access:
        case Access.DENY:
            return None
        case Access.PUBLIC:
            return anonymous
        case Access.OPTIONAL:
            return caller or anonymous
        case Access.SIGNED_IN:
            requirement = match.route.requirement
            if requirement is None or caller is None or caller.identity is None:
                return caller
            return caller if requirement.admits(caller.identity) else None
        case _ as never:
            assert_never(never)


def refuse(match: Match | None, head: RequestHead, who: Identity | None) -> Challenge | Consent | Deny:
    """Return what is said to a request that nothing admits; `who` is signed in, as far as `needs_caller` asked."""
    if match is None:
        return Deny("no route matches")
    if match.route.access == Access.DENY:
        return Deny(f"route {match.index} denies")
    requirement = match.route.requirement
    if who is not None and requirement is not None:
        obstacle = requirement.find_obstacle(who)
        if obstacle is not None:
            reason = f"route {match.index}: {obstacle.reason}"
            return Deny(reason, who=who, words=match.route.reason, fact=obstacle.fact)
        return Consent(requirement.find_missing(who), match.route.reason)
    return Challenge(choose(head, match.route.on_unauthenticated))


def decide(
    match: Match | None, head: RequestHead, caller: Allow | None, anonymous: Allow
) -> Allow | Challenge | Consent | Deny:
    """Return the decision for a request; see `admits` and `refuse`."""
    return admits(match, caller, anonymous) or refuse(match, head, caller.identity if caller is not None else None)


def needs_caller(match: Match | None) -> bool:
    """Whether the decision depends on who is signed in."""
    return match is not None and match.route.access in {Access.OPTIONAL, Access.SIGNED_IN}


def _strictness(match: Match | None) -> int:
    if match is not None and match.route.requirement is not None:
        return _WITH_REQUIREMENT
    return _STRICTNESS[match.route.access if match is not None else Access.DENY]


def _stricter_of(one: Match | None, other: Match | None) -> Match | None:
    """Return what lets in nobody whom either would not, and tells nothing of them that either would not."""
    if one is None or other is None:
        return None
    if _strictness(one) != _strictness(other):
        return max(one, other, key=_strictness)
    if _peculiarities(one.route) != _peculiarities(other.route):
        return None  # each asks for something else, or lets in or tells somebody else
    return other if other.route.access == Access.PUBLIC else one


def _peculiarities(route: Route) -> tuple[object, ...]:
    """Return what lets in or tells somebody else than a route that is as strict: a new key does, at first."""
    return tuple(getattr(route, name) for name in _PECULIAR)


def _overruling(match: Match | None, reading: str) -> Step:
    if match is None:
        return Step(None, reading, f"no route matches {reading!r}, which an app may take the path for")
    return Step(match.index, match.route.path, f"decides: an app may take the path for {reading!r}")


def _compile_host(host: str, *, opens: bool) -> re.Pattern[str]:
    """A host with a port stands for that port only; without, for any. `*.` stands for one label or more.

    Requests name no default port (see `RequestHead`), so a route for one is for those without.
    """
    name, colon, port = host.rpartition(":") if re.search(r":\d+$", host) else (host, "", "")
    pattern = re.escape(name).replace(r"\*\.", r"(?:[^.:]+\.)+")
    if not opens:
        pattern += r"\.?"  # the same host with its root (RFC 1034 §3.1)
    ports = f"(?::{port})?" if port in _DEFAULT_PORTS else colon + port or r"(?::\d+)?"
    return re.compile(pattern + ports, re.IGNORECASE)


def _with_head(methods: frozenset[str]) -> frozenset[str]:
    return methods | {"HEAD"} if "GET" in methods else methods
