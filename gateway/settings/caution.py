"""What is allowed but unsafe (hardening): said by `gateway check`, and no reason not to start."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from gateway.settings.headers import METHOD_OVERRIDES, TEMPLATE_FIELDS
from gateway.settings.listening_caution import find_in_listeners
from gateway.settings.model import Settings
from gateway.settings.problem import Problem
from gateway.settings.refusal import read_path
from gateway.settings.scalars import is_loopback

_METHODS: Final = (
    *("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"),
    *("PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "MKCALENDAR", "ACL", "SEARCH"),
)
"""IANA's HTTP Method Registry, as far as apps use it."""


IDLE_IN_MIDDLEWARE: Final = {
    "listen": "the server that runs your app listens",
    "tls": "the server that runs your app speaks TLS, or what stands in front of it",
    "admin": "there is no admin listener; for metrics there is gateway.asgi.metrics_app",
    "tokens": "there is no admin listener, where jobs ask for tokens",
    "drain": "the server that runs your app ends it",
    "upstream": "the app that is protected is in the same process",
}
"""What only a gateway that serves by itself acts on, and why."""


def warnings(settings: Settings, *, in_process: bool = False) -> tuple[Problem, ...]:
    """Return what an operator should think about twice; `in_process`: the settings are those of middleware."""
    found = [*_find(settings), *(_find_idle(settings) if in_process else _find_lost_posts(settings))]
    return tuple(place(settings, key, message) for key, message in found)


def place(settings: Settings, key: str, message: str) -> Problem:
    """Return what is to be said of a key, with where it was written."""
    return Problem(settings.origin.locate(read_path(key))[0], key, message)


def _find_idle(settings: Settings) -> Iterator[tuple[str, str]]:
    for key, instead in IDLE_IN_MIDDLEWARE.items():
        if key in settings.model_fields_set:
            yield key, f"does nothing in middleware: {instead}"


def _find_lost_posts(settings: Settings) -> Iterator[tuple[str, str]]:
    for index, route in enumerate(settings.routes):
        if route.keep_post and route.upstream not in settings.apps:
            yield f"routes[{index}].keep_post", "does nothing with `upstream: none`: forms do not come through here"


def _find(settings: Settings) -> Iterator[tuple[str, str]]:
    public = urlsplit(settings.public_url)
    if not settings.secure and not is_loopback(public.hostname or ""):
        yield (
            "public_url",
            "is http: anybody on the way can take cookies and tokens; TikTok registers https only",
        )
    for key in sorted(settings.plain_secrets):
        yield key, "stands in the file in the clear: use ${NAME} or ${file:PATH}"
    yield from _find_in_redis(settings)
    if settings.tiktok.pkce == "off":
        yield "tiktok.pkce", "is off: a stolen authorization code can be redeemed by whoever has it"
    yield from _find_unbound(settings)
    for network in settings.trusted_proxies:
        if network != "unix" and ipaddress.ip_network(network).prefixlen == 0:
            yield "trusted_proxies", f"has {network}: everybody can claim any address, host and scheme"
    yield from find_in_listeners(settings)
    yield from _find_in_forward_auth(settings)
    dropped = {name.lower() for name in settings.drop_headers}
    passing = [name for name in METHOD_OVERRIDES if not _is_dropped(name.lower(), dropped)]
    narrowed = [index for index, route in enumerate(settings.routes) if route.methods]
    if passing and narrowed:
        yield "drop_headers", f"lacks {passing[0]}: an app that obeys it goes round routes[{narrowed[0]}].methods"
    admin = settings.admin.listen
    if admin is not None and not admin.unix_path and not is_loopback(admin.host):
        yield "admin.listen", f"is {admin.host}: metrics are open to whoever reaches it"
        if settings.admin.keys:
            yield "admin.listen", "is plain HTTP, on the network: have TLS in front, or keys can be read on the way"
    keys = [key.get_secret_value() for key in settings.secret_keys]
    if len(set(keys)) < len(keys):
        yield "secret_keys", "has the same key twice"
    if any(len(set(key)) < 12 for key in keys):
        yield "secret_keys", "has a key that does not look random: make one with `gateway keys new`"
    for origin in settings.cors.allowed_origins:
        if settings.secure and origin.startswith("http:") and not is_loopback(urlsplit(origin).hostname or ""):
            yield "cors.allowed_origins", f"has {origin}, which is http: anybody on the way can speak for it"
    yield from _find_in_options(settings)
    yield from _find_slips(settings)
    if settings.qr_sign_in:
        yield "qr_sign_in", "is on: whoever gets a person to scan and confirm a code is signed in as them (docs/qr.md)"
    elsewhere = {settings.tiktok.client_secret.get_secret_value()}
    elsewhere |= {key.get_secret_value() for key in settings.admin.keys}
    if settings.forward_auth.secret is not None:
        elsewhere.add(settings.forward_auth.secret.get_secret_value())
    elsewhere |= {client.key.get_secret_value() for client in settings.tokens.clients}
    if elsewhere & set(keys):
        yield "secret_keys", "has a key that is used for something else too: make one with `gateway keys new`"
    admin_keys = [key.get_secret_value() for key in settings.admin.keys]
    if set(admin_keys) & {client.key.get_secret_value() for client in settings.tokens.clients}:
        yield "tokens.clients", "has a key that is one of `admin.keys`: who may ask for tokens could end sessions too"


def _find_unbound(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield why no session is bound to a device, though it is asked for."""
    if settings.session.device_binding == "off" or settings.binds_devices:
        return
    reasons = {
        "public_url is http, where no browser does it": not settings.secure,
        "session.cookie_domain shares the session with other hosts": settings.session.cookie_domain is not None,
        "session.cookie_same_site is none": settings.session.cookie_same_site == "none",
    }
    told = ", and ".join(reason for reason, holds in reasons.items() if holds)
    yield "session.device_binding", f"is on, and binds nothing: {told}"


def _find_in_forward_auth(settings: Settings) -> Iterator[tuple[str, str]]:
    asked = settings.forward_auth
    only_asked = "upstream" in settings.model_fields_set and not settings.apps
    is_proven = bool(asked.listen) or asked.secret is not None or asked.grpc is not None
    if only_asked and not is_proven:
        yield (
            "forward_auth",
            "is off, with `upstream: none`: whoever asks is told by status alone, never who somebody is; "
            "set forward_auth.listen, and let the front ask there",
        )
    if is_proven:
        yield from _find_names(settings)
        yield from _find_untrusted_fronts(settings)
    narrowed = next((index for index, route in enumerate(settings.routes) if route.host is not None), None)
    if narrowed is not None and (is_proven or only_asked):
        yield (
            f"routes[{narrowed}].host",
            "is what the front says: have it set X-Forwarded-Host itself, or a client may name that host",
        )
    private = [("listen", each.address) for each in asked.listen]
    private += [("grpc", asked.grpc)] if asked.grpc is not None else []
    for key, listen in private:
        if not listen.unix_path and not is_loopback(listen.host):
            yield (
                f"forward_auth.{key}",
                f"is {listen}: whoever reaches it is taken for a front and told access tokens; "
                "keep browsers and other programs away from it",
            )


def _find_untrusted_fronts(settings: Settings) -> Iterator[tuple[str, str]]:
    """Find fronts whose word on who asks is not taken, so that all visitors share the address of the front."""
    asked, trusted = settings.forward_auth, settings.trusted_proxies
    if any(listen.unix_path for listen in asked.listen) and "unix" not in trusted:
        yield "trusted_proxies", "lacks `unix`: who comes over the socket in forward_auth.listen has no address"
    over_tcp = asked.secret is not None or any(not listen.unix_path for listen in asked.listen)
    if over_tcp and not trusted:
        yield (
            "trusted_proxies",
            "is empty, with forward_auth on: all visitors count as one, the front: name its address, like 10.0.0.0/8",
        )


def _find_names(settings: Settings) -> Iterator[tuple[str, str]]:
    """Find names that the files for fronts do not have: one that a front leaves out, every client can say."""
    identity = settings.identity
    own = [*identity.headers, *(name for route in settings.routes for name in route.headers)]
    own += ["Authorization"] if "bearer" in identity.presets else []
    own += [f"those of the preset {name}" for name in identity.presets if name not in {"tiktok", "bearer"}]
    if own:
        yield (
            "forward_auth",
            f"has the front tell more than X-TikTok-*: {', '.join(dict.fromkeys(own))}; have it copy and remove these "
            "names, too, or the app takes a client's word for them",
        )


def _find_in_options(settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.session.cookie_same_site == "none":
        yield (
            "session.cookie_same_site",
            "is none: any site can make requests in a person's name, so the app must judge Origin or Sec-Fetch-Site, "
            "and say in frame-ancestors who may frame it",
        )
    if settings.session.cookie_partitioned:
        yield "session.cookie_partitioned", "is on: a frame of another site does not see what a new window signs in"
    for index, route in enumerate(settings.routes):
        where = f"routes[{index}]"
        if route.encoded_slashes == "keep" and route.access in {"public", "optional"}:
            yield f"{where}.encoded_slashes", "lets in whoever asks: sure that the app takes %2F for no slash?"
        for origin in route.allowed_origins:
            if settings.secure and origin.startswith("http:") and not is_loopback(urlsplit(origin).hostname or ""):
                yield f"{where}.allowed_origins", f"has {origin}, which is http: anybody on the way can speak for it"
    for name, each in settings.apps.items():
        where = "upstream" if name == "default" else f"upstreams.{name}"
        if each.rewrite_addresses and not each.strip_prefix and each.pass_host:
            yield (
                f"{where}.rewrite_addresses",
                "has little to do: without strip_prefix, and with the browser's own Host",
            )


def _find_slips(settings: Settings) -> Iterator[tuple[str, str]]:
    """Find what may stand there and does little of what it looks like."""
    if not settings.routes:
        yield (
            "routes",
            "is empty, so everything is denied: leave it out, or write [{path: /**}], for whoever is signed in",
        )
    headers = [("identity.headers", settings.identity.headers)]
    headers += [(f"routes[{index}].headers", route.headers) for index, route in enumerate(settings.routes)]
    for where, templates in headers:
        for name, template in templates.items():
            if template in TEMPLATE_FIELDS:
                yield f"{where}.{name}", f'is the same for everybody: did you mean "{{{template}}}"?'
    for index, route in enumerate(settings.routes):
        unknown = next((method for method in route.methods or () if method not in _METHODS), None)
        if unknown is not None:
            close = difflib.get_close_matches(unknown, _METHODS, n=1)
            meant = f": did you mean {close[0]}?" if close else ""
            yield f"routes[{index}].methods", f"has {unknown}, which is no method of HTTP or WebDAV{meant}"


def _find_in_redis(settings: Settings) -> Iterator[tuple[str, str]]:
    url = urlsplit(settings.redis.address)
    if url.scheme == "memory":
        yield "redis", "is the embedded store: sessions end with the process and are not shared"
    elif url.scheme == "redis" and not is_loopback(url.hostname or ""):
        if not settings.redis.has_password:
            yield "redis", "has no password, on another host"
        yield "redis", "is not encrypted, on another host: use rediss://"
    if settings.redis.tls is not None and not settings.redis.tls.verify:
        yield "redis.tls.verify", "is off: anybody on the way can be Redis; name its authority in `redis.tls.ca`"


def _is_dropped(name: str, dropped: set[str]) -> bool:
    return name in dropped or any(each.endswith("*") and name.startswith(each[:-1]) for each in dropped)
