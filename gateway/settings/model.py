"""The settings as a whole: the top-level keys, and the rules between sections."""

from __future__ import annotations

import base64
import re
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from gateway.settings.audit import AuditSettings
from gateway.settings.brand import BrandSettings
from gateway.settings.forward_auth import ForwardAuthSettings
from gateway.settings.headers import DROPPED, check_dropped
from gateway.settings.identity import IdentitySettings
from gateway.settings.limits import LimitsSettings
from gateway.settings.listening import PublicListeners, listener_at
from gateway.settings.operator import AdminSettings, DrainSettings, LogSettings, TokensSettings
from gateway.settings.origin import Origin
from gateway.settings.problem import quote
from gateway.settings.redis import RedisSettings
from gateway.settings.route import RouteSettings
from gateway.settings.scalars import PublicUrl, Tracing, Trusted
from gateway.settings.secret import Token
from gateway.settings.section import OneOrMore, Section, Strings
from gateway.settings.session import CorsSettings, ReturnToSettings, SessionSettings
from gateway.settings.tiktok import TikTokSettings
from gateway.settings.tls import TlsSettings
from gateway.settings.upstream import NamedUpstream, UpstreamSettings, read_upstream

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PREFIX: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")


class Settings(Section):
    """The whole file."""

    public_url: PublicUrl
    """What browsers type; the redirect URI is {public_url}{prefix}/callback."""
    upstream: UpstreamSettings | None = None
    """The app: an address, or a mapping; none only answers forward-auth."""
    upstreams: dict[str, NamedUpstream] = Field(default_factory=dict)
    """More apps, by name, for routes to lead to; `upstream` is the one called default."""
    redis: RedisSettings
    """Where sessions live: a URL, or a mapping."""
    secret_keys: Annotated[tuple[Token, ...], OneOrMore(least=1)]
    """Keys that seal what is kept in Redis, newest first; make one with `gateway keys new`."""
    instance: str = Field(default="", pattern=r"^[A-Za-z0-9._-]{0,64}$")
    """Name of this gateway, if several share one Redis; default: where its session cookie holds."""
    tiktok: TikTokSettings
    """The app at developers.tiktok.com."""
    listen: PublicListeners = (listener_at("0.0.0.0:8080"),)
    """Address to serve on, or a list: host:port, unix:/path, systemd or systemd:NAME; or a mapping of it and how."""
    tls: TlsSettings | None = None
    """The gateway's own certificate; without it, it speaks plain http, and TLS ends at a front."""
    prefix: str = "/oauth2"
    """Where the gateway's own pages live."""
    trusted_proxies: Annotated[tuple[Trusted, ...], OneOrMore()] = ()
    """CIDRs (or unix) whose X-Forwarded-* are believed; empty believes nobody."""
    trusted_headers: Annotated[
        tuple[Literal["X-Forwarded-Prefix", "X-Forwarded-Port", "X-Request-Id"], ...], OneOrMore()
    ] = ()
    """What else is taken from them: X-Forwarded-Prefix, X-Forwarded-Port, X-Request-Id. Only for fronts that set these
    themselves, or take a client's off."""
    drop_headers: Annotated[Strings, AfterValidator(check_dropped)] = DROPPED
    """Headers that no client may send to the app, in any spelling; * at the end of a name stands for any rest."""
    session: SessionSettings = SessionSettings()
    """Sessions and their cookie."""
    identity: IdentitySettings = IdentitySettings()
    """What the app is told of a person."""
    routes: tuple[RouteSettings, ...] = (RouteSettings(path="/**"),)
    """Who may go where; first match wins, what matches nothing is denied."""
    return_to: ReturnToSettings = ReturnToSettings()
    """Where a sign-in may lead."""
    cors: CorsSettings = CorsSettings()
    """Scripts of other origins."""
    sign_in: Literal["redirect", "page"] = "redirect"
    """redirect straight to TikTok, or a page with a button first."""
    qr_sign_in: bool = False
    """Offer a code that a phone scans (desktops, TVs, kiosks). Whoever shows somebody else their own code is signed in
    as them: read docs/qr.md first. Needs the extra `qr`."""
    brand: BrandSettings = BrandSettings()
    """Whose site the gateway's own pages say it is."""
    limits: LimitsSettings = LimitsSettings()
    """What is too much."""
    forward_auth: ForwardAuthSettings = ForwardAuthSettings()
    """Where and how fronts ask; off unless given."""
    admin: AdminSettings = AdminSettings()
    """The operator's listener."""
    tokens: TokensSettings = TokensSettings()
    """Access tokens outside a request."""
    drain: DrainSettings = DrainSettings()
    """The end of a process, after SIGTERM."""
    log: LogSettings = LogSettings()
    """The log."""
    audit: AuditSettings = AuditSettings()
    """Who did what."""
    tracing: Tracing = "off"
    """Traces of requests, sent as the variables OTEL_… say; on goes on with those of trusted_proxies, join_anyone with
    any client's."""

    _plain_secrets: frozenset[str] = PrivateAttr(default=frozenset())
    _origin: Origin = PrivateAttr(default=Origin())

    @property
    def origin(self) -> Origin:
        """Where each key was written."""
        return self._origin

    @property
    def plain_secrets(self) -> frozenset[str]:
        """Keys of secrets that stand in the file in the clear."""
        return self._plain_secrets

    @property
    def apps(self) -> dict[str, UpstreamSettings]:
        """Every upstream by its name; without one called default, the gateway only answers forward-auth there."""
        return self.upstreams if self.upstream is None else {"default": self.upstream, **self.upstreams}

    @property
    def read_from(self) -> str:
        """Where they were read: the whole path of the file, or what there was instead."""
        path = self._origin.path
        return str(path.absolute()) if path is not None else self._origin.nowhere

    @property
    def is_for_middleware(self) -> bool:
        """Whether nothing says where the app is, so that it can only be in the same process; `upstream: none` does."""
        return "upstream" not in self.model_fields_set and "default" not in self.upstreams

    @property
    def secure(self) -> bool:
        """Whether browsers reach the gateway over https."""
        return self.public_url.startswith("https:")

    @property
    def binds_devices(self) -> bool:
        """Whether sessions are bound to devices: over https only, for this host alone, in windows of its own."""
        session = self.session
        asked = session.device_binding == "on" and self.secure
        return asked and session.cookie_domain is None and session.cookie_same_site == "lax"

    @property
    def instance_name(self) -> str:
        """What tells this gateway's sessions from those of others of the same app: where the session cookie holds."""
        return self.instance or self.session.cookie_domain or self.public_url

    @property
    def redirect_uri(self) -> str:
        """The address to register at TikTok."""
        return f"{self.public_url}{self.prefix}/callback"

    @property
    def cookie_name(self) -> str:
        """The session cookie's name."""
        if self.session.cookie_name:
            return self.session.cookie_name
        if not self.secure:
            return "gateway"
        return "__Secure-gateway" if self.session.cookie_domain else "__Host-gateway"

    @field_validator("upstream", mode="before")
    @classmethod
    def _read_upstream(cls, value: Any) -> Any:
        return None if value == "none" else read_upstream(value)

    @field_validator("redis", mode="before")
    @classmethod
    def _read_redis(cls, value: Any) -> Any:
        return {"url": value} if isinstance(value, str) else value

    @field_validator("upstreams")
    @classmethod
    def _check_names(cls, upstreams: dict[str, UpstreamSettings]) -> dict[str, UpstreamSettings]:
        for name in upstreams:
            if not _NAME.fullmatch(name):
                raise ValueError(f"has an upstream called {quote(name)}: names have letters, digits, - and _")
        return upstreams

    @field_validator("secret_keys")
    @classmethod
    def _check_keys(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for number, key in enumerate(keys, start=1):
            text = key.get_secret_value()
            if not re.fullmatch(r"[A-Za-z0-9_-]{43}=?", text) or len(base64.urlsafe_b64decode(text[:43] + "=")) != 32:
                raise ValueError(f"has an entry that is no secret key (number {number}): run `gateway keys new`")
        return keys

    @field_validator("prefix")
    @classmethod
    def _check_prefix(cls, prefix: str) -> str:
        if not _PREFIX.fullmatch(prefix):
            raise ValueError("must be a path like /oauth2: begins with /, does not end with /")
        return prefix

    @model_validator(mode="after")
    def _check_together(self, info: ValidationInfo) -> Self:
        session, host = self.session, urlsplit(self.public_url).hostname or ""
        name, domain = session.cookie_name, session.cookie_domain
        if domain is not None and not (host == domain or host.endswith("." + domain.lstrip("."))):
            raise ValueError(
                f"session.cookie_domain: {quote(domain)} is not the domain of {host}, so no browser takes it"
            )
        if name.startswith("__Host-") and domain is not None:
            raise ValueError("session.cookie_name: __Host- cookies have no domain; begin the name with __Secure-")
        if name.startswith(("__Host-", "__Secure-")) and not self.secure:
            raise ValueError("session.cookie_name: __Host- and __Secure- need an https public_url")
        if self.trusted_headers and not self.trusted_proxies:
            raise ValueError("trusted_headers: are taken from nobody: list the fronts in trusted_proxies")
        if session.cookie_same_site == "none" and not self.secure:
            raise ValueError("session.cookie_same_site: none needs an https public_url: browsers drop it otherwise")
        if self.upstream is not None and "default" in self.upstreams:
            raise ValueError("upstreams.default: is `upstream` by another name; leave one of them out")
        for index, route in enumerate(self.routes):
            if route.upstream not in {"default", *self.upstreams}:
                known = ", ".join(dict.fromkeys(["default", *self.upstreams]))
                raise ValueError(
                    f"routes[{index}].upstream: there is no upstream {quote(route.upstream)}; there are {known}"
                )
            if route.preflight == "answer" and not self.cors.allowed_origins:
                raise ValueError(
                    f"routes[{index}].preflight: answers to nobody; list the origins in cors.allowed_origins"
                )
        self._check_listeners()
        needs_upstream = (info.context or {}).get("needs_upstream", False)  # else the app is in the process
        if self.tiktok.webhook.forward_to is not None and needs_upstream and "default" not in self.apps:
            raise ValueError("tiktok.webhook.forward_to: there is no app to pass events on to: set `upstream`")
        own = next((path for path in self.tiktok.ownership_paths if path.startswith(f"{self.prefix}/")), None)
        if own is not None:
            raise ValueError(f"tiktok.ownership_files: {own} lies under `prefix`, where the gateway's own pages are")
        if len(self.redirect_uri) >= 512:
            raise ValueError(f"public_url: TikTok takes redirect URIs below 512 characters, not {self.redirect_uri}")
        return self

    def _check_listeners(self) -> None:
        for each in self.listen:
            if any(each.collides_with(other) for other in self.forward_auth.listen):
                raise ValueError(f"forward_auth.listen: {each} is `listen`, which browsers reach: choose another")
            if self.admin.listen is not None and each.collides_with(self.admin.listen):
                raise ValueError(f"admin.listen: {each} is `listen`, which browsers reach: choose another")
            if each.tls and self.tls is None:
                raise ValueError(f"listen: {each} has `tls: true`, but there is no certificate: set tls.certificate")
            if each.proxy_protocol and not self.trusted_proxies:
                raise ValueError(
                    f"listen: {each} has `proxy_protocol`, which is taken from nobody: list the balancer in "
                    "trusted_proxies"
                )
