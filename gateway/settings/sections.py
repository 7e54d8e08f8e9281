"""The sections of the settings: their keys, defaults, meanings and rules.

A key is here only if the program acts on it.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from gateway.settings.parts import (
    Duration,
    Endpoint,
    ExistingFile,
    OptionalListenOn,
    OptionalSize,
    Size,
    Span,
    UpstreamUrls,
    read_listen,
)

TEMPLATE_FIELDS: Final = (
    "open_id",
    "union_id",
    "username",
    "display_name",
    "avatar_url",
    "scopes",
    "access_token",
    "token_expires_at",
    "session_id",
    "signed_in_at",
)
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HOST: Final = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
_SCOPE: Final = re.compile(r"[a-z0-9._]+")
_UNTOUCHABLE: Final = re.compile(
    r"(?i)host|cookie|set-cookie|content-.*|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect|"
    r"proxy-.*|sec-.*|forwarded|x-forwarded-(for|host|proto|port)|x-real-ip|x-request-id"
)


class Part(BaseModel):
    """A mapping in the file: frozen, and strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)


def read_list(value: Any) -> Any:
    """Refuse a lone string where a list is meant."""
    if isinstance(value, str):
        raise ValueError(f"must be a list, like [{value}]")
    return value


Strings = Annotated[tuple[str, ...], BeforeValidator(read_list)]
Pkce = Annotated[Literal["hex", "base64url", "off"], BeforeValidator(lambda value: "off" if value is False else value)]


class TikTokSettings(Part):
    """The app at developers.tiktok.com, and what it asks of people."""

    client_key: str = Field(min_length=1)
    """Client key of the app (TikTok calls it key, not id)."""
    client_secret: SecretStr = Field(min_length=1)
    """Client secret of the app."""
    scopes: Strings = ("user.info.basic",)
    """Scopes asked for at sign-in; people may untick all but user.info.basic."""
    pkce: Pkce = "hex"
    """Form of the PKCE challenge: hex (TikTok's), base64url (RFC 7636) or off."""
    always_ask: bool = False
    """Always show TikTok's consent page, so that people can switch accounts."""
    authorize_url: Endpoint = "https://www.tiktok.com/v2/auth/authorize/"
    """Authorization endpoint; another one for simulators."""
    token_url: Endpoint = "https://open.tiktokapis.com/v2/oauth/token/"  # noqa: S105
    """Token endpoint."""
    revoke_url: Endpoint = "https://open.tiktokapis.com/v2/oauth/revoke/"
    """Revocation endpoint."""
    user_info_url: Endpoint = "https://open.tiktokapis.com/v2/user/info/"
    """User info endpoint."""

    @field_validator("scopes")
    @classmethod
    def _check_scopes(cls, scopes: tuple[str, ...]) -> tuple[str, ...]:
        for scope in scopes:
            if not _SCOPE.fullmatch(scope):
                raise ValueError(f"has `{scope}`, which is no scope: one list item each, like user.info.basic")
        if "user.info.basic" not in scopes:
            raise ValueError("must have user.info.basic, without which nobody can be told apart")
        return tuple(dict.fromkeys(scopes))


class RedisSettings(Part):
    """Where sessions live."""

    url: SecretStr
    """redis://, rediss:// or unix:// URL; memory:// is the embedded store, one process, for development."""
    key_prefix: str = "gateway:"
    """Prefix of every key, so that a Redis can be shared."""
    timeout: Duration = timedelta(seconds=2)
    """Longest time one call to Redis may take."""

    @field_validator("key_prefix")
    @classmethod
    def _check_prefix(cls, prefix: str) -> str:
        if not re.fullmatch(r"[\x21-\x7e]*", prefix):
            raise ValueError("must be visible ASCII, like gateway:")
        return prefix

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: SecretStr) -> SecretStr:
        if urlsplit(url.get_secret_value()).scheme not in {"redis", "rediss", "unix", "memory"}:
            raise ValueError(
                "is no Redis URL: write it like redis://127.0.0.1:6379/0, rediss://…, unix://… or memory://"
            )
        return url


class TimeoutSettings(Part):
    """How long an app may take."""

    connect: Duration = timedelta(seconds=5)
    """Longest time to connect, and to wait for a free connection."""
    first_byte: Duration = timedelta(seconds=60)
    """Longest time until the app begins to answer."""
    idle: Span = timedelta(minutes=5)
    """Longest pause within a body; 0s for no limit."""


class UpstreamTlsSettings(Part):
    """How an https upstream is trusted, and how we show who we are."""

    ca: ExistingFile | None = None
    """PEM file of the certificate authorities to trust instead of the system's."""
    certificate: ExistingFile | None = None
    """PEM file of our client certificate, with its chain."""
    key: ExistingFile | None = None
    """PEM file of the client certificate's key, if it is not in the same file."""
    server_name: str | None = None
    """Name the app's certificate must have; default the host of the url."""
    verify: bool = True
    """Check the app's certificate; false trusts whoever answers."""

    @model_validator(mode="after")
    def _check_pair(self) -> Self:
        if self.key is not None and self.certificate is None:
            raise ValueError("has a key without a certificate")
        if not self.verify and (self.ca is not None or self.server_name is not None):
            raise ValueError("has `verify: false`, with which `ca` and `server_name` mean nothing")
        return self


class UpstreamSettings(Part):
    """An app behind the gateway."""

    url: UpstreamUrls
    """Address of the app: scheme, host and port, or unix:/path; a list for an app that runs in several places."""
    timeouts: TimeoutSettings = TimeoutSettings()
    """How long the app may take."""
    tls: UpstreamTlsSettings = UpstreamTlsSettings()
    """Certificates, for https."""
    pass_host: bool = True
    """Send the Host that the browser asked for; false sends the upstream's own."""
    strip_prefix: str = ""
    """Path to take off the front of request paths; the app finds it in X-Forwarded-Prefix."""
    websockets: bool = True
    """Whether WebSockets may be opened."""
    max_connections: int = Field(default=1000, ge=1, le=100_000)
    """Most requests to the app at once; more wait. WebSockets that are open do not count."""

    @field_validator("strip_prefix")
    @classmethod
    def _check_prefix(cls, prefix: str) -> str:
        if prefix and not re.fullmatch(r"(?:/[A-Za-z0-9._~-]+)+", prefix):
            raise ValueError("must be a path like /api: begins with /, does not end with /")
        return prefix

    @property
    def secure(self) -> bool:
        """Whether the app is spoken to over TLS."""
        return self.url[0].startswith("https:")

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        if self.tls != UpstreamTlsSettings() and not self.secure:
            raise ValueError("has `tls`, but its url is not https")
        return self


def read_upstream(value: Any) -> Any:
    """Read an upstream: the mapping, or its url alone."""
    return {"url": value} if isinstance(value, str | list) else value


NamedUpstream = Annotated[UpstreamSettings, BeforeValidator(read_upstream)]


class SessionSettings(Part):
    """Sessions and their cookie."""

    cookie_name: str = ""
    """Name of the session cookie; default __Host-gateway on https, gateway on http."""
    cookie_domain: str | None = None
    """Share the session between sub-domains of this domain; the name then begins with __Secure-."""
    idle_timeout: Duration = timedelta(days=7)
    """A session ends when it is not used for this long."""
    absolute_timeout: Duration = timedelta(days=30)
    """A session ends this long after the sign-in, whatever happens."""
    cache_for: Span = timedelta(seconds=5)
    """Longest time a process may answer from memory; 0s asks Redis for each request."""

    @field_validator("cookie_name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if name and not _TOKEN.fullmatch(name):
            raise ValueError("is no cookie name: letters, digits, - and _")
        return name

    @model_validator(mode="after")
    def _check_times(self) -> Self:
        if self.idle_timeout > self.absolute_timeout:
            raise ValueError("idle_timeout must not be longer than absolute_timeout")
        return self


class IdentitySettings(Part):
    """What the app is told of a person."""

    presets: Annotated[
        tuple[Literal["tiktok", "oauth2-proxy", "remote-user", "grafana", "bearer"], ...],
        BeforeValidator(read_list),
    ] = ("tiktok",)
    """Sets of headers: tiktok, oauth2-proxy, remote-user, grafana, bearer."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Headers of your own: name to template, like X-User: "{open_id}"."""

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, template in headers.items():
            if not _TOKEN.fullmatch(name) or _UNTOUCHABLE.fullmatch(name):
                raise ValueError(f"has `{name}`, which cannot carry identity; choose a name of your own")
            _check_template(name, template)
        return headers


def _check_template(name: str, template: str) -> None:
    if not re.fullmatch(r"[\x20-\x7e]+", template) or template != template.strip():
        raise ValueError(f"has a template for {name} that is empty, padded with spaces, or not plain ASCII")
    rest = re.sub(r"\{([a-z_]+)\}", "", template)
    unknown = [field for field in re.findall(r"\{([a-z_]+)\}", template) if field not in TEMPLATE_FIELDS]
    if unknown or "{" in rest or "}" in rest:
        fields = ", ".join(TEMPLATE_FIELDS)
        raise ValueError(f"has a template for {name} with a field that is none; fields are {fields}, in braces")


class RouteLimitsSettings(Part):
    """What is too much on one route."""

    body: OptionalSize = None
    """Largest request body; none for no limit."""


class RouteSettings(Part):
    """One rule; the first that matches decides."""

    path: str
    """Glob on the canonical path (* within a segment, ** across), or regex:… for the whole path."""
    host: str | None = None
    """Narrow the rule to a host; *.example.com for its sub-domains."""
    methods: Strings | None = None
    """Narrow the rule to methods; GET includes HEAD."""
    access: Literal["public", "optional", "signed_in", "deny"] = "signed_in"
    """public, optional, signed_in or deny."""
    on_unauthenticated: Literal["auto", "redirect", "unauthorized"] = "auto"
    """auto redirects navigations and answers 401 to programs; unauthorized never redirects; redirect is for browsers
    that do not say what they do."""
    upstream: str = "default"
    """Name of the upstream that gets the request, one of `upstreams`."""
    limits: RouteLimitsSettings | None = None
    """Limits of this route, in place of the general ones."""

    @field_validator("path")
    @classmethod
    def _check_path(cls, path: str) -> str:
        if path.startswith("regex:"):
            try:
                re.compile(path.removeprefix("regex:"))
            except re.error as error:
                raise ValueError(f"is no regular expression: {error}") from None
        elif not path.startswith("/"):
            raise ValueError(f"must begin with / (did you mean /{path}?) or with regex:")
        elif "?" in path or "#" in path:
            raise ValueError("must be a path only: rules never see the query")
        return path

    @field_validator("methods")
    @classmethod
    def _check_methods(cls, methods: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for method in methods or ():
            if not method.isalpha() or not method.isupper():
                raise ValueError(f"has `{method}`: methods are written like GET, POST")
        if methods == ():
            raise ValueError("is empty: leave it out for all methods")
        return methods


class ReturnToSettings(Part):
    """Where a sign-in may lead."""

    allowed_hosts: Strings = ()
    """Other hosts (with port, if any) that a sign-in may return to."""

    @field_validator("allowed_hosts")
    @classmethod
    def _check_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not _HOST.fullmatch(host):
                raise ValueError(
                    f"has `{host}`, which is no host: write it like other.example.com or other.example.com:8443"
                )
        return tuple(host.lower() for host in hosts)


class LimitsSettings(Part):
    """What is too much."""

    header_bytes: Size = 32 * 1024
    """Largest header block of a request."""
    header_count: int = Field(default=100, ge=8, le=1000)
    """Most header fields of a request."""
    target_bytes: Size = 8 * 1024
    """Longest path and query of a request."""
    body: OptionalSize = None
    """Largest request body; none for no limit. A route may have its own."""
    head_timeout: Duration = timedelta(seconds=10)
    """Longest time in which the request headers must be complete, from the first byte or from connecting."""
    body_timeout: Duration = timedelta(seconds=30)
    """Longest pause within a request body."""
    send_timeout: Duration = timedelta(seconds=60)
    """Longest time in which a client may take nothing of an answer that is waiting for it."""
    keep_alive: Duration = timedelta(seconds=75)
    """How long a connection without a request is kept."""
    websocket_idle: Span = timedelta(0)
    """Longest time in which neither end of a WebSocket says anything; 0s for no limit."""
    connections_per_address: int = Field(default=1000, ge=0)
    """Most connections of one client address at once, trusted proxies aside; 0 for no limit."""
    sign_in_attempts: int = Field(default=30, ge=0)
    """Most sign-ins begun from one address in a minute; 0 for no limit."""


class AdminSettings(Part):
    """The operator's listener: /livez, /readyz, /metrics."""

    listen: OptionalListenOn = read_listen("127.0.0.1:9090")
    """Address of the admin listener, or off."""


class LogSettings(Part):
    """The log, on standard error."""

    format: Literal["json", "console"] = "json"
    """json for machines, console for people."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is written."""
