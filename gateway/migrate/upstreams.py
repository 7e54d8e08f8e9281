"""oauth2-proxy's upstreams → ours, each with the paths that it gets: the longest decides, as there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from gateway.migrate.old import Old, Upstream, read_seconds, split_address
from gateway.migrate.plan import TO_FILL_IN, Plan

_CUT: Final = re.compile(r"\^((?:/[A-Za-z0-9._~-]+)+)/\((?:\.\*|\.\+)\)\$?")
"""A path of which the beginning is taken off."""
_USUAL: Final = {"", "/"}


class Place(msgspec.Struct, frozen=True):
    """Which requests an upstream gets. `path`: all below, where it ends with `/`; exactly that otherwise."""

    path: str
    upstream: str
    """Its name; `default` for `upstream`."""

    @property
    def pattern(self) -> str:
        """The same as a pattern of routes."""
        return f"{self.path}**" if self.path.endswith("/") else self.path

    @property
    def regex(self) -> str:
        """The same as a regular expression, for the beginning of a path."""
        return re.escape(self.path) if self.path.endswith("/") else re.escape(self.path) + "$"


def add_upstreams(plan: Plan, old: Old) -> list[Place]:
    """Add the upstreams; returns the places, in the order in which they are to be tried."""
    found = [each for each in _read(plan, old) if _is_carried(plan, each)]
    apps = [each for each in found if not each.static]
    for each in found if apps else ():
        if each.static:
            plan.leave(
                f"the static upstream for {each.path}",
                "the gateway has no answers of its own for apps: have the app give it, or the front",
            )
    places: list[Place] = []
    for upstream in sorted(apps, key=lambda each: len(each.path), reverse=True):
        cut = _CUT.fullmatch(upstream.path)
        path = f"{cut[1]}/" if cut else upstream.path
        if path in [place.path for place in places]:
            plan.leave(
                f"another upstream for {path}", "one app has a path; `url` may be a list, for one that runs twice"
            )
            continue
        name = "default" if path in _USUAL and not cut else _name(path, [place.upstream for place in places])
        places.append(Place("/" if path == "" else path, name))
        _add(plan, upstream, name, cut[1] if cut else "")
    if all(place.upstream != "default" for place in places):
        _add_none(plan, found, places)
    return places


def _read(plan: Plan, old: Old) -> Sequence[Upstream]:
    if old.upstreams:
        return old.upstreams
    common = Upstream(
        "",
        "/",
        pass_host=old.flag("pass_host_header", default=True),
        websockets=old.flag("proxy_websockets", default=True),
        verify=not old.flag("ssl_upstream_insecure_skip_verify"),
        timeout=old.text("upstream_timeout"),
    )
    return [_read_one(text, common) for text in old.items("upstreams")]


def _read_one(text: str, common: Upstream) -> Upstream:
    if text.startswith("unix:"):
        return msgspec.structs.replace(common, uri=text)
    parts = split_address(text)
    if parts.scheme in {"static", "file"}:
        path = parts.fragment or "/" if parts.scheme == "static" else parts.fragment or parts.path
        return msgspec.structs.replace(common, uri=text, path=path, static=parts.scheme == "static")
    return msgspec.structs.replace(common, uri=text, path=parts.path or "/")


def _is_carried(plan: Plan, upstream: Upstream) -> bool:
    if upstream.uri.startswith("file:"):
        why = "no files are served: have the app or the front do so"
    elif upstream.rewrite and not (_CUT.fullmatch(upstream.path) and upstream.rewrite == "/$1"):
        why = "no path is rewritten, but for a beginning that `strip_prefix` takes off: have the app do so"
    else:
        return True
    plan.leave(f"the upstream for {upstream.path}", why)
    return False


def _add(plan: Plan, upstream: Upstream, name: str, cut: str) -> None:
    key = "upstream" if name == "default" else f"upstreams.{name}"
    options: dict[str, Any] = {}
    address, notes = _read_address(upstream.uri)
    if not upstream.pass_host:
        options["pass_host"] = False
    if not upstream.websockets:
        options["websockets"] = False
    if cut:
        options["strip_prefix"] = cut
    if not upstream.verify and address.startswith("https:"):
        options["tls"] = {"verify": False}
        notes.append("Nobody checks who answers here: name the authority in tls.ca instead")
    seconds = read_seconds(upstream.timeout)
    if seconds is not None:
        options["timeouts"] = {"first_byte": write_seconds(seconds)}
    plan.set(key, {"url": address} | options if options else address, *notes)


def _add_none(plan: Plan, found: Sequence[Upstream], places: Sequence[Place]) -> None:
    """Say that only fronts ask: about everything, or about what no upstream has."""
    plan.set("upstream", "none")
    if places:
        plan.note("upstream", "Nothing has the paths below / that no other upstream has: they are denied")
        return
    told = "oauth2-proxy had a static upstream" if found else "oauth2-proxy had no upstream"
    plan.note("upstream", f"{told}: a front asks, and serves the app itself (docs/fronts.md)")
    plan.set(
        "forward_auth.listen",
        "127.0.0.1:8081",
        f"{TO_FILL_IN}: an address that only the front reaches; it asks there ({{prefix}}/auth), and nowhere else is "
        "it told who somebody is. Its other requests ({prefix}/…) still go to `listen`",
    )


def _read_address(uri: str) -> tuple[str, list[str]]:
    """Return an address as ours are, and what there is to say."""
    if uri.startswith("unix:"):
        return "unix:/" + uri.removeprefix("unix:").lstrip("/"), []
    if uri.startswith("${"):
        return uri, []
    parts = split_address(uri)
    notes = (
        ["The user in the address of the app is gone: apps are told in headers who asks"] if "@" in parts.netloc else []
    )
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", notes


def _name(path: str, taken: Sequence[str]) -> str:
    name = re.sub(r"[^A-Za-z0-9]+", "-", path).strip("-")[:48] or "root"
    return f"{name}-{len(taken)}" if name in taken or name == "default" else name


def write_seconds(seconds: float) -> str:
    """Return a duration in its largest whole unit."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if seconds % length == 0:
            return f"{int(seconds // length)}{unit}"
    return f"{round(seconds * 1000)}ms"
