"""What in a list of routes is allowed, and probably not meant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from gateway.core.route import Access, Route
from gateway.core.scopes import is_known
from gateway.core.spelling import PathPattern

_EVERYTHING: Final = frozenset({"/**", "**", "regex:.*", "regex:/.*"})
_OPEN_END: Final = re.compile(r"[^/*]\*{1,2}$")
_NESTED: Final = re.compile(r"\((?:\?:)?(?:\[[^\]]+\]|\\.|[^()\[\]\\])[*+]\)(?:[*+]|\{\d*,)")  # as (a+)+
_EXAMPLES: Final = ("a", "b.c", "deep/er/still")
"""What a `**` may stand for."""

Fault = tuple[str, str]
"""A key of the settings, and what is to be said of it."""


def find_faults(routes: Sequence[Route], asked: Sequence[str]) -> Iterator[Fault]:
    """Yield what an operator should look at twice; `asked` are the scopes of every sign-in."""
    for index, route in enumerate(routes):
        where = f"routes[{index}]"
        yield from _find_in_path(route, where)
        yield from _find_in_requirement(route, where, asked)
    yield from _find_unreachable(routes)
    yield from _find_open_below(routes)
    yield from _find_unused_scopes(routes, asked)


def _find_in_path(route: Route, where: str) -> Iterator[Fault]:
    everything = route.path in _EVERYTHING and route.host is None and route.methods is None
    if everything and route.opens:
        yield where, f"makes everything {route.access}"
    elif route.opens and not route.path.startswith("regex:") and _OPEN_END.search(route.path):
        stem = route.path.rstrip("*")
        yield f"{where}.path", f"opens every path that begins with {stem}, like {stem}-x: write {stem} and {stem}/**"
    pattern = route.path.removeprefix("regex:")
    if route.path.startswith("regex:") and not everything:
        if route.opens and re.search(r"(?<!\\)\.[*+]", pattern):
            yield f"{where}.path", "opens whatever `.*` or `.+` stands for, slashes too: [^/]* stays within a segment"
        if not pattern.startswith(("/", "(", "[")) and not pattern.startswith(".*"):
            yield f"{where}.path", "matches nothing: it is anchored at both ends, and paths begin with /"
        if _NESTED.search(pattern):
            yield f"{where}.path", "repeats what repeats itself: some paths take very long to match; a glob never does"
        if pattern.startswith("^") or pattern.endswith("$"):
            yield f"{where}.path", "is anchored at both ends already: leave ^ and $ out"


def _find_in_requirement(route: Route, where: str, asked: Sequence[str]) -> Iterator[Fault]:
    requirement = route.requirement
    if requirement is None:
        return
    for scope in sorted(requirement.scopes):
        if not is_known(scope):
            yield f"{where}.scopes", f"has `{scope}`, which is no scope that TikTok is known to have"
    allow = requirement.allow
    if allow is not None:
        if allow.named.usernames or (allow.from_file is not None and allow.from_file.usernames):
            yield f"{where}.allow.usernames", "can change hands: prefer open_ids, which cannot"
            if "user.info.profile" not in {*asked, *requirement.all_scopes}:
                yield f"{where}.allow.usernames", "match nobody without the scope user.info.profile: add it to `scopes`"
        if allow.from_file is not None and not allow.from_file and not allow.named:
            yield f"{where}.allow.file", "names nobody, so the route lets nobody in"


def _find_unreachable(routes: Sequence[Route]) -> Iterator[Fault]:
    for index, route in enumerate(routes):
        hider = next((before for before in range(index) if _hides(routes[before], route)), None)
        if hider is not None:
            yield f"routes[{index}]", f"is never reached: routes[{hider}] ({routes[hider].path}) takes all of it before"


def _hides(before: Route, route: Route) -> bool:
    """Whether every example of a route's paths, hosts and methods is taken by one before it."""
    if before.host is not None and before.host != route.host:
        return False
    if before.methods is not None and (route.methods is None or not route.methods <= before.methods):
        return False
    if before.path == route.path or before.path in _EVERYTHING:
        return True
    if route.path.startswith("regex:"):
        return False
    pattern = PathPattern(before.path)
    return all(pattern.matches(example) for example in _examples(route.path))


def _find_open_below(routes: Sequence[Route]) -> Iterator[Fault]:
    """Yield routes that close a path, while another one lets more people in to what lies below it."""
    for index, route in enumerate(routes):
        stem = route.path.rstrip("/")
        last = stem.rpartition("/")[2]
        if not last or last == "**" or "." in last or route.path.startswith("regex:"):
            continue  # everything, all below already, a file, or what only its author can read
        below = re.sub(r"\*+", partial(_fill, "a"), stem) + "/a"
        others = ((number, other) for number, other in enumerate(routes) if _takes(other, route, below))
        number, other = next(others, (index, route))
        if _strictness(other) < _strictness(route) and not other.path.startswith(f"{stem}/"):
            yield (
                f"routes[{index}].path",
                f"leaves what lies below to routes[{number}] ({other.path}), which lets more people in: "
                f"write {stem} and {stem}/**",
            )


def _takes(other: Route, route: Route, path: str) -> bool:
    """Whether one route takes all requests for a path that have the host and a method of another."""
    if other.host not in {None, route.host}:
        return False
    if other.methods is not None and (route.methods is None or not route.methods <= other.methods):
        return False
    return other.path in _EVERYTHING or PathPattern(other.path).matches(path)


def _strictness(route: Route) -> int:
    asks = route.requirement is not None and route.access is Access.SIGNED_IN
    return {Access.PUBLIC: 0, Access.OPTIONAL: 0, Access.SIGNED_IN: 1, Access.DENY: 3}[route.access] + asks


def _examples(glob: str) -> set[str]:
    """Return some paths that a glob stands for."""
    found = {re.sub(r"\*+", partial(_fill, word), glob) for word in _EXAMPLES}
    if glob.endswith("/**"):
        found.add(re.sub(r"\*+", "a", glob.removesuffix("/**")) or "/")
    return found


def _fill(word: str, stars: re.Match[str]) -> str:
    return word if stars[0] == "**" else "a"


def _find_unused_scopes(routes: Sequence[Route], asked: Sequence[str]) -> Iterator[Fault]:
    needed = {scope for route in routes if route.requirement is not None for scope in route.requirement.all_scopes}
    for scope in asked:
        if not is_known(scope):
            yield "tiktok.scopes", f"has `{scope}`, which is no scope that TikTok is known to have"
        elif needed and scope not in needed and not scope.startswith("user.info."):
            yield (
                "tiktok.scopes",
                f"asks everybody for {scope}, which no route needs: a route with `scopes: [{scope}]` asks when it must",
            )
