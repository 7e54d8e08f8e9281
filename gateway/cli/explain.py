"""`gateway explain` (dry run): what would happen to a request, by the same code that decides on real ones."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from gateway.cli.document import print_document, read_problems
from gateway.core.decision import Allow, Challenge, ChallengeKind, Consent, Deny, build_allow
from gateway.core.identity import Facts, Identity
from gateway.core.policy import decide, needs_caller
from gateway.core.request import RequestHead, read_head
from gateway.core.requirement import SCOPE_OF_FACT
from gateway.core.route import Match
from gateway.core.webdav import JUDGED_AS
from gateway.errors import MalformedRequest, RequestRefused, SettingsError
from gateway.printable import escape_controls
from gateway.runtime.routes import compile_routes
from gateway.runtime.values import build_reader
from gateway.settings import Settings, find, load

_NAMING: Final = "user.info.profile"
"""The scope with which TikTok tells a person's username."""
_EXPIRY, _SIGN_IN = datetime(9999, 1, 2, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
_AS_WRITTEN: Final = {
    "%3Cdisplay_name%3E": "<display_name>",
    "9999-01-02T00:00:00Z": "<token_expires_at>",
    "9999-01-01T00:00:00Z": "<signed_in_at>",
}

_MANY: Final = {
    "headers_removed": "names by which a client could say who it is",
    "headers_dropped": "names that apps believe of fronts, in drop_headers",
}
"""Lists of headers that are told by their number."""


def explain(
    method: str,
    url: str,
    config: Path | None,
    environ: Mapping[str, str],
    *,
    scopes: str,
    signed_out: bool,
    user: str,
    union_id: str,
    username: str,
    facts: Sequence[str],
    as_json: bool,
    every_header: bool = False,
) -> int:
    """Print the explanation; `every_header` lists those that are taken off, too.

    Returns the exit code, 1 when the request would be refused as malformed.
    """
    settings = load(find(environ, config), environ, needs_upstream=False)
    granted = tuple(scopes.split(",")) if scopes else tuple(settings.tiktok.scopes)
    somebody = msgspec.structs.replace(
        _somebody(granted, told_name=bool(username) or _NAMING in granted),
        facts=_read_facts(facts),
        **{name: value for name, value in (("open_id", user), ("union_id", union_id), ("username", username)) if value},
    )
    try:
        head = _read_head(settings, method.upper(), url)
        told = _explain(settings, head, None if signed_out else somebody)
    except RequestRefused as error:
        if as_json:
            return print_document({"status": error.status, "code": error.code}, problems=read_problems(error))
        print(escape_controls(f"{error.status} {error.code}: {error}"), file=sys.stderr)
        return 1
    if as_json:
        return print_document(told)
    print(_in_words(told, every_header=every_header))
    return 0


def _read_facts(words: Sequence[str]) -> Facts:
    """Read facts like `follower_count=1200`. Raises `SettingsError` for one that is none."""
    found: dict[str, bool | int] = {}
    for word in words:
        name, _, value = word.partition("=")
        form = "true|false" if name == "is_verified" else "[0-9]{1,18}"
        if name not in SCOPE_OF_FACT or not re.fullmatch(form, value):
            raise SettingsError(f"--fact {word}: write one of {', '.join(SCOPE_OF_FACT)}, like follower_count=1200")
        found[name] = value == "true" if name == "is_verified" else int(value)
    return msgspec.convert(found, Facts, strict=False)


def _explain(settings: Settings, head: RequestHead, person: Identity | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "method": head.method,
        "canonical_path": head.path.raw.decode(),
        "person": f"signed in, with {', '.join(person.scopes)}" if person is not None else "signed out",
    }
    if head.path.is_under(settings.prefix):
        if head.path.encoded_slash:
            raise MalformedRequest("the path has an encoded slash, which no page of the gateway's own has")
        return told | {"decision": "own", "why": "a page of the gateway itself; no route applies"}
    if head.path.text in settings.tiktok.ownership_paths:
        return told | {"decision": "own", "why": "a file of tiktok.ownership_files, for everybody; no route applies"}
    routes = compile_routes(settings, in_process=settings.is_for_middleware)
    policy, headers = routes.policy, routes.headers
    match = policy.match(head.method, head.host, head.path)
    if match is not None:
        headers = routes.headers_of_routes.get(match.index, headers)
    caller = build_allow(headers, person) if person is not None and needs_caller(match) else None
    decision = decide(match, head, caller, build_allow(headers, None))
    told |= {
        "route": match.index if match is not None else None,
        "tried": [str(step) for step in policy.trace(head.method, head.host, head.path)],
    }
    options = _describe_options(settings, head, match)
    if options:
        told["options"] = options
    match decision:
        case Allow():
            return told | {
                "decision": "allow",
                "upstream": _describe_target(settings, head, match),
                "headers_set": _describe_headers(settings, decision),
                "headers_removed": sorted(name.decode() for name in decision.remove_headers),
                "headers_dropped": list(settings.drop_headers),
            }
        case Challenge():
            status = 302 if decision.kind is ChallengeKind.REDIRECT else 401
            why = "the route needs somebody who is signed in"
            return told | {"decision": "challenge", "status": status, "how": str(decision.kind), "why": why}
        case Consent():
            why = decision.reason or "the route needs scopes that this person has not granted"
            missing = list(decision.missing)
            return told | {"decision": "consent", "status": 403, "missing_scopes": missing, "why": why}
        case Deny():
            return told | {"decision": "deny", "status": 403, "why": decision.reason}


def _describe_headers(settings: Settings, decision: Allow) -> dict[str, str]:
    """Return what the app is told, with placeholders as they stand in the settings' templates."""
    told = {name.decode(): _restore(value.decode()) for name, value in decision.set_headers}
    if settings.identity.assertion is not None and decision.identity is not None:
        told[settings.identity.assertion.header.lower()] = "<assertion>"
    return told


def _restore(value: str) -> str:
    for written, meant in _AS_WRITTEN.items():
        value = value.replace(written, meant)
    return value


def _describe_target(settings: Settings, head: RequestHead, match: Match | None) -> str:
    """Return the address that the upstream is asked for."""
    upstream = settings.apps.get(match.route.upstream) if match is not None else None
    if upstream is None:
        return "none"
    query = "?" + head.query.decode() if head.query else ""
    path = match.route.form_of(head.path) if match is not None else head.path
    path = path.without(upstream.strip_prefix) if upstream.strip_prefix else path
    return f"{' or '.join(upstream.url)}{path.raw.decode()}{query}"


def _describe_options(settings: Settings, head: RequestHead, match: Match | None) -> list[str]:
    """Return what is out of the ordinary with such requests, as the settings have asked for it."""
    if match is None:
        return []
    route, upstream = match.route, settings.apps.get(match.route.upstream)
    found: list[str] = []
    if route.encoded_slashes:
        found.append("encoded_slashes: %2F is handed on as it is; read with a slash, it must be let in too")
    if not route.merge_slashes:
        found.append("merge_slashes: // is handed on as it is; merged, it must lead to this route too")
    if route.allowed_origins:
        found.append(f"allowed_origins: pages of {', '.join(sorted(route.allowed_origins))} may open WebSockets")
    if upstream is not None and upstream.rewrite_addresses:
        below = f"{settings.public_url}{upstream.strip_prefix}"
        found.append(f"rewrite_addresses: the app's /x is {below}/x in Location, and so are the paths of its cookies")
    if upstream is not None and upstream.header_case == "title":
        found.append("header_case: names of header fields are sent in title case")
    if settings.session.cookie_same_site == "none":
        found.append("cookie_same_site: the session comes along with requests that other sites make")
    if head.method in {"COPY", "MOVE"}:
        found.append(f"Destination: the same person must be let in there with a {JUDGED_AS}, and to the same upstream")
    return found


def _read_head(settings: Settings, method: str, url: str) -> RequestHead:
    public, reader = urlsplit(settings.public_url), build_reader(settings)
    try:
        parts = urlsplit(url)
    except ValueError:
        raise MalformedRequest("the address has a host that is none") from None
    origin_length = len(f"{parts.scheme}://{parts.netloc}") if parts.scheme else 0
    target = url[origin_length:].partition("#")[0] or "/"
    return read_head(
        method=method,
        scheme=parts.scheme or public.scheme,
        target=target.encode(),
        headers=[
            (b"host", (parts.netloc or public.netloc).encode()),
            (b"accept", b"text/html"),
        ],
        peer="127.0.0.1",
        trusted=reader.trusted,
        limits=reader.limits,
        encoded_slashes=reader.encoded_slashes,
    )


def _somebody(scopes: tuple[str, ...], *, told_name: bool) -> Identity:
    """Make an example person: every value says what will stand there. `told_name`: TikTok tells the username."""
    return Identity(
        open_id="<open_id>",
        union_id="<union_id>",
        username="<username>" if told_name else None,
        display_name="<display_name>",
        avatar_url="<avatar_url>",
        scopes=scopes,
        access_token="<access_token>",  # noqa: S106 -- a placeholder
        token_expires_at=_EXPIRY,
        session_id="<session_id>",
        signed_in_at=_SIGN_IN,
    )


def _in_words(told: Mapping[str, Any], *, every_header: bool) -> str:
    lines: list[str] = []
    for name, value in told.items():
        label = name.replace("_", " ")
        if isinstance(value, dict):
            lines += [f"{label}:", *(f"  {key}: {each}" for key, each in value.items())]
        elif name in _MANY and not every_header:
            lines.append(f"{label}: {len(value)} {_MANY[name]} (--headers lists them)")
        elif isinstance(value, list):
            lines += [f"{label}:", *(f"  {each}" for each in value)]
        elif name == "route":
            lines.append(f"{label}: {'none matches' if value is None else f'{value} (the first is 0)'}")
        else:
            lines.append(f"{label}: {value}")
    return "\n".join(map(escape_controls, lines))
