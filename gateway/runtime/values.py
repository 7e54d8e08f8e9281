"""From settings to the values of the core: what reads heads, cookies, authorization requests, assertions."""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from gateway.core.assertion import AssertionKeys, Assertions
from gateway.core.authorization import AuthorizationPlan
from gateway.core.cookies import CookieSpec, OwnCookies
from gateway.core.forwarded import TrustedProxies, without_default_port
from gateway.core.keyring import read_secret_key
from gateway.core.names import FieldNames
from gateway.core.operator_session import COOKIE as OPERATOR_COOKIE
from gateway.core.original import WHOLE
from gateway.core.request import Limits
from gateway.settings import Settings
from gateway.web.answers.site import Site, SiteWithFiles
from gateway.web.asgi_head import HeadReader

OF_DEVICES: Final = ("Secure-Session-Response", "Sec-Secure-Session-Id")
"""What browsers say of sessions that are bound to devices: to the gateway's own pages, and to no app behind it."""


def build_reader(settings: Settings, reserved: frozenset[bytes] = frozenset()) -> HeadReader:
    """Make what reads request heads, by the operator's limits, trusted proxies, dropped fields and routes.

    `reserved` are the names that identity goes by.
    """
    limits = settings.limits
    return HeadReader(
        TrustedProxies(settings.trusted_proxies, keep=[name.lower() for name in settings.trusted_headers]),
        Limits(
            header_bytes=limits.header_bytes,
            header_count=limits.header_count,
            target_bytes=limits.target_bytes,
            own_targets=tuple(f"{settings.prefix}/{page}?".encode() for page in ("start", "sign_in")),
            check_target=f"{settings.prefix}/{WHOLE}".encode(),
        ),
        FieldNames((*settings.drop_headers, *(OF_DEVICES if settings.binds_devices else ())), kept=reserved),
        encoded_slashes=any(route.encoded_slashes == "keep" for route in settings.routes),
        own_host=urlsplit(settings.public_url).netloc.encode(),
        probes=frozenset(f"{settings.prefix}/{name}".encode() for name in ("livez", "readyz")),
    )


def build_allowed_hosts(settings: Settings) -> frozenset[str]:
    """Return the other hosts that a sign-in may return to, as requests name them."""
    scheme = "https" if settings.secure else "http"
    return frozenset(without_default_port(scheme, host) for host in settings.return_to.allowed_hosts)


def build_site(settings: Settings) -> Site:
    """Return where the gateway is, and which addresses are its own to lead to."""
    where: dict[str, Any] = {
        "public_url": settings.public_url,
        "prefix": settings.prefix,
        "allowed_hosts": build_allowed_hosts(settings),
        "shared": settings.session.cookie_domain is not None,
    }
    files = frozenset(settings.tiktok.ownership_paths)
    return SiteWithFiles(files, **where) if files else Site(**where)  # each request asks it: free without files


class Cookies(NamedTuple):
    """The gateway's own cookies."""

    session: CookieSpec
    binding: CookieSpec
    """Binds sign-in attempts to a browser."""
    device: CookieSpec
    """Stands for a proof that a browser still is on the device that its session is bound to."""
    own: OwnCookies
    """The names of all, and of the operator's, which a browser sends to every port of its host."""


def build_cookies(settings: Settings) -> Cookies:
    """Return the gateway's own cookies."""
    name, secure = settings.cookie_name, settings.secure
    bare = name.removeprefix("__Host-").removeprefix("__Secure-")
    session = CookieSpec(
        name=name,
        secure=secure,
        domain=settings.session.cookie_domain,
        same_site=settings.session.cookie_same_site.capitalize(),
        partitioned=settings.session.cookie_partitioned,
    )
    # never shared between hosts or sites, whatever the session cookie is: only this host completes sign-ins, only in
    # a window of its own, since TikTok shows itself in no frame
    binding = CookieSpec(name=f"{'__Host-' if secure else ''}{bare}-sign-in", secure=secure, domain=None)
    device = CookieSpec(name=f"{'__Host-' if secure else ''}{bare}-device", secure=secure)
    own = OwnCookies(session=session, binding=binding, device=device, others=(OPERATOR_COOKIE,))
    return Cookies(session, binding, device, own)


def build_plan(settings: Settings, scopes: frozenset[str]) -> AuthorizationPlan:
    """Return what every authorization request has in common; `scopes` are all that routes and sign-ins name."""
    tiktok = settings.tiktok
    of_jobs = (scope for client in settings.tokens.clients for scope in client.scopes)
    return AuthorizationPlan(
        authorize_url=tiktok.authorize_url,
        client_key=tiktok.client_key,
        redirect_uri=settings.redirect_uri,
        scopes=tuple(tiktok.scopes),
        pkce=tiktok.pkce,
        always_ask=tiktok.always_ask,
        known_scopes=scopes.union(of_jobs),
    )


def build_assertions(settings: Settings) -> Assertions | None:
    """Return what makes assertions, if the app is to have them."""
    chosen = settings.identity.assertion
    if chosen is None:
        return None
    named = {name: each.audience or name for name, each in settings.upstreams.items()}
    default = settings.upstream.audience if settings.upstream is not None else None
    return Assertions(
        AssertionKeys([read_secret_key(key.get_secret_value()) for key in settings.secret_keys]),
        header=chosen.header,
        issuer=settings.public_url,
        lifetime=chosen.lifetime,
        audiences={"default": default or chosen.audience or settings.public_url, **named},
    )
