"""Who may go where: rules of oauth2-proxy are regular expressions beside the upstreams, ours are one list with both.

What was open stays open, what was closed stays closed: a rule that cannot be carried over opens nothing. Whoever was
kept out by what TikTok does not tell is kept out still: an allow-list that names nobody yet stands in its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from gateway.migrate.keys import KEYS
from gateway.migrate.old import Old
from gateway.migrate.patterns import Pattern
from gateway.migrate.plan import TO_FILL_IN, Plan
from gateway.migrate.upstreams import Place

_RULE: Final = re.compile(r"(?:([^=!]*)(!?)=)?(.*)", re.DOTALL)
NOBODY: Final = "fill-in-an-open-id"


class _Rule(msgspec.Struct, frozen=True):
    """An old rule. `opens`: nobody need be signed in; else programs and people alike get 401 there."""

    pattern: Pattern
    opens: bool
    method: str = ""
    negated: bool = False


def add_routes(plan: Plan, old: Old, places: Sequence[Place]) -> None:
    """Add the routes."""
    who = _find_who(plan, old)
    usual: dict[str, Any] = {}
    if old.flag("force_json_errors"):
        usual["on_unauthenticated"] = "unauthorized"
    if old.flag("skip_auth_preflight"):
        usual["preflight"] = "pass"
        plan.note("routes", "preflight: pass lets CORS preflights to the app; other OPTIONS need a session")
    rules = list(_read_rules(plan, old))
    everywhere = places or (Place("/", "default"),)
    routes = [route for rule in rules for route in _spread(rule, everywhere, usual | who)]
    routes += [{"path": place.pattern, **_upstream(place), **usual, **who} for place in everywhere]
    if any(rule.opens for rule in rules):
        plan.note("routes", "Open as before, but without identity: access: optional tells the app who is signed in")
    plan.set("routes", list(_drop_unreached(routes)))


def _drop_unreached(routes: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the routes but those whose path an earlier one has taken whole: first match wins."""
    taken: list[dict[str, Any]] = []
    for route in routes:
        same = (each for each in taken if each["path"] == route["path"])
        if not any("methods" not in each or each["methods"] == route.get("methods") for each in same):
            taken.append(route)
            yield route


def _find_who(plan: Plan, old: Old) -> dict[str, Any]:
    """Return whom the routes let in, of those who are signed in."""
    narrowing = [key for key in KEYS if KEYS[key].narrows and old.has(key)]
    domains = old.items("email_domains")
    if domains and "*" not in domains:
        narrowing.append("email_domains")
    names = (
        "Nobody may until `allow` names them: open_ids (see `gateway sessions list`), or usernames, which people "
        "can change"
    )
    if narrowing:
        said = f"{', '.join(narrowing)} said who may in, by what TikTok does not tell. {names}"
    elif not domains:
        said = (
            f"nothing here says who may in (email_domains, perhaps given elsewhere). {names}; or without it, everybody"
        )
    else:
        return {}
    plan.note("routes", f"{TO_FILL_IN}: {said}")
    return {"allow": {"open_ids": [NOBODY]}}


def _read_rules(plan: Plan, old: Old) -> Iterator[_Rule]:
    for key in ("skip_auth_regex", "skip_auth_routes", "api_routes"):
        for text in old.items(key):
            found = _RULE.fullmatch(text) if key == "skip_auth_routes" else None
            method, negation, source = (found[1] or "", found[2] or "", found[3]) if found else ("", "", text)
            try:
                pattern = Pattern(source)
            except ValueError as error:
                plan.note("routes", f"{TO_FILL_IN}: {key} has {text}, which {error}: write that route by hand")
                continue
            if method and not method.isalpha():
                plan.note("routes", f"{TO_FILL_IN}: {key} has {text}, whose method is none: write that route by hand")
                continue
            yield _Rule(pattern, key != "api_routes", method.upper(), bool(negation))


def _spread(rule: _Rule, places: Sequence[Place], usual: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what a rule says of the paths of each upstream; nothing where it has none of them."""
    methods = {"methods": [rule.method]} if rule.method else {}
    said = {"access": "public"} if rule.opens else usual | {"on_unauthenticated": "unauthorized"}
    for place in places:
        path = _narrow(rule, place)
        if path is not None:
            yield {"path": path, **methods, **_upstream(place), **said}
        if not rule.negated and place.path.endswith("/") and rule.pattern.beginning.startswith(place.path):
            return  # it has no other


def _narrow(rule: _Rule, place: Place) -> str | None:
    """Return the pattern of a rule within the paths of an upstream."""
    if place.path == "/":
        return rule.pattern.for_other_paths() if rule.negated else rule.pattern.for_whole_path()
    if rule.negated:
        return rule.pattern.for_other_paths().replace("regex:", f"regex:(?={place.regex})", 1)
    begins = rule.pattern.beginning
    if place.path.endswith("/") and begins.startswith(place.path):
        return rule.pattern.for_whole_path()
    return rule.pattern.ahead(place.regex) if begins.startswith(place.path) or place.path.startswith(begins) else None


def _upstream(place: Place) -> dict[str, str]:
    return {} if place.upstream == "default" else {"upstream": place.upstream}
