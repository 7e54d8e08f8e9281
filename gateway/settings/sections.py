"""The sections of the settings: their keys, defaults, meanings and rules.

A key is here only if the program acts on it.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    field_validator,
    model_validator,
)

from gateway.settings.headers import TOKEN, check_headers
from gateway.settings.problem import quote
from gateway.settings.route import SCOPE
from gateway.settings.scalars import (
    Duration,
    Endpoint,
    ListenOnMany,
    OptionalListenOn,
    OptionalSize,
    PublicUrl,
    Size,
    Span,
    read_listen,
)
from gateway.settings.secret import StrongKey, Token, Word
from gateway.settings.section import OneOrMore, Section, Strings

_HOST: Final = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")


class WebhookSettings(Section):
    """TikTok's webhooks: {public_url}{prefix}/webhook is the address to register."""

    enabled: bool = True
    """Take webhooks."""
    tolerance: Duration = timedelta(hours=73)
    """Oldest signature taken; TikTok tries for 72 hours."""
    forward_to: str | None = None
    """Path of the app to which every event is passed on, by a POST with X-Gateway-Event."""

    @field_validator("forward_to")
    @classmethod
    def _check_path(cls, path: str | None) -> str | None:
        if path is not None and not re.fullmatch(r"(?:/[A-Za-z0-9._~-]+)+", path):
            raise ValueError("must be a path like /tiktok/events")
        return path


Pkce = Annotated[Literal["hex", "base64url", "off"], BeforeValidator(lambda value: "off" if value is False else value)]


class TikTokSettings(Section):
    """The app at developers.tiktok.com, and what it asks of people."""

    client_key: Word = Field(min_length=1)
    """Client key of the app (TikTok calls it key, not id)."""
    client_secret: Token = Field(min_length=1)
    """Client secret of the app."""
    scopes: Strings = ("user.info.basic",)
    """Scopes asked for at sign-in; people may untick all but user.info.basic."""
    pkce: Pkce = "hex"
    """Form of the PKCE challenge: hex (TikTok's), base64url (RFC 7636) or off."""
    always_ask: bool = False
    """Always show TikTok's consent page, so that people can switch accounts."""
    webhook: WebhookSettings = WebhookSettings(enabled=False)
    """TikTok's webhooks; off unless given."""
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
            if not SCOPE.fullmatch(scope):
                raise ValueError(f"has {quote(scope)}, which is no scope: one list item each, like user.info.basic")
        if "user.info.basic" not in scopes:
            raise ValueError("must have user.info.basic, without which nobody can be told apart")
        return tuple(dict.fromkeys(scopes))


class SessionSettings(Section):
    """Sessions and their cookie."""

    cookie_name: str = ""
    """Name of the session cookie; default __Host-gateway on https, gateway on http."""
    cookie_domain: str | None = None
    """Share the session between sub-domains of this domain; the name then begins with __Secure-."""
    cookie_same_site: Literal["lax", "none"] = "lax"
    """none sends the cookie with requests from other sites too, for an app within their frames. The app must then guard
    itself against requests that other sites make in a person's name."""
    cookie_partitioned: bool = False
    """With none: a cookie for each site that frames the app (CHIPS). A sign-in in a window of its own does not count in
    a frame of another site."""
    idle_timeout: Duration = timedelta(days=7)
    """A session ends when it is not used for this long."""
    absolute_timeout: Duration = timedelta(days=30)
    """A session ends this long after the sign-in, whatever happens."""
    cache_for: Span = timedelta(seconds=5)
    """Longest time a process may answer from memory; 0s asks Redis for each request."""

    @field_validator("cookie_name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if name and not TOKEN.fullmatch(name):
            raise ValueError("is no cookie name: letters, digits, - and _")
        return name

    @model_validator(mode="after")
    def _check_times(self) -> Self:
        if self.idle_timeout > self.absolute_timeout:
            raise ValueError("idle_timeout must not be longer than absolute_timeout")
        if self.cookie_partitioned and self.cookie_same_site != "none":
            raise ValueError("cookie_partitioned means nothing without cookie_same_site: none")
        return self


class AssertionSettings(Section):
    """A signed statement of who somebody is, for apps that do not trust their network."""

    header: str = "X-Gateway-Assertion"
    """Name of the header that carries it."""
    audience: str | None = None
    """Whom it is for; default public_url. A named upstream has its own: its `audience`, or its name."""
    lifetime: Duration = timedelta(minutes=5)
    """How long it is good; one that is handed on has half of that left at least."""

    @field_validator("header")
    @classmethod
    def _check_header(cls, header: str) -> str:
        check_headers({header: "{open_id}"})
        return header

    @field_validator("lifetime")
    @classmethod
    def _check_lifetime(cls, lifetime: timedelta) -> timedelta:
        if not timedelta(seconds=30) <= lifetime <= timedelta(hours=1):
            raise ValueError("must be from 30s to 1h: long enough to arrive, short enough to be stolen in vain")
        return lifetime


def _read_assertion(value: Any) -> Any:
    """Read true and false, or `on` and `off`, which YAML 1.2 and the environment take for words."""
    words: dict[Any, Any] = {True: {}, "true": {}, "on": {}, False: None, "false": None, "off": None}
    return words.get(value, value) if isinstance(value, bool | str) else value


class IdentitySettings(Section):
    """What the app is told of a person."""

    presets: Annotated[
        tuple[Literal["tiktok", "oauth2-proxy", "remote-user", "grafana", "bearer"], ...],
        OneOrMore(),
    ] = ("tiktok",)
    """Sets of headers: tiktok, oauth2-proxy, remote-user, grafana, bearer."""
    assertion: Annotated[AssertionSettings | None, BeforeValidator(_read_assertion)] = None
    """A signed JWT beside the headers: a mapping, or true for the usual one; off unless given."""
    headers: dict[str, str] = Field(default_factory=dict)
    """Headers of your own: name to template, like X-User: "{open_id}"."""

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        return check_headers(headers)


class ReturnToSettings(Section):
    """Where a sign-in may lead."""

    allowed_hosts: Strings = ()
    """Other hosts (with port, if any) that a sign-in may return to."""

    @field_validator("allowed_hosts")
    @classmethod
    def _check_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not _HOST.fullmatch(host):
                raise ValueError(
                    f"has {quote(host)}, which is no host: write it like other.example.com or other.example.com:8443"
                )
        return tuple(host.lower() for host in hosts)


class CorsSettings(Section):
    """Scripts of other origins. The app's own answers are its own affair."""

    allowed_origins: Annotated[tuple[PublicUrl, ...], OneOrMore()] = ()
    """Origins whose scripts may read the gateway's own JSON answers, with credentials."""


class LimitsSettings(Section):
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
    body_rate: OptionalSize = 512
    """Least bytes a second of a request body that takes longer than body_timeout; none for no limit."""
    send_timeout: Duration = timedelta(seconds=60)
    """Longest time in which a client may take nothing of an answer that is waiting for it."""
    keep_alive: Duration = timedelta(seconds=75)
    """How long a connection without a request is kept."""
    websocket_idle: Span = timedelta(0)
    """Longest time in which neither end of a WebSocket says anything; 0s for no limit."""
    connections_per_address: int = Field(default=1000, ge=0)
    """Most connections of one client address (IPv6: one /64) at once, trusted proxies aside; 0 for no limit."""
    waiting_per_address: OptionalSize = 24 * 1024 * 1024
    """Most bytes that wait in one worker for a client address and from it, trusted proxies aside; none for no limit."""
    sign_in_attempts: int = Field(default=30, ge=0)
    """Most sign-ins begun from one address (IPv6: one /64) in a minute; 0 for no limit."""
    sign_in_attempts_of_all: int = Field(default=6000, ge=0)
    """Most sign-ins begun by all together in a minute; 0 for no limit. It bounds what strangers can fill Redis with."""


class ForwardAuthSettings(Section):
    """Where and how fronts ask about requests that they serve themselves.

    A browser can send whatever a front sends, so a check is told an identity only if it comes over `listen`, or with
    the `secret`.
    """

    listen: ListenOnMany = ()
    """Address, or a list of them, where only checks are answered: host:port or unix:/path, which only fronts reach."""
    secret: StrongKey | None = None
    """What a front sends as X-Gateway-Check with its checks, and with nothing else, on the public listener."""


class AdminSettings(Section):
    """The operator's listener: /livez, /readyz, /metrics, and with a key /sessions, /grants."""

    listen: OptionalListenOn = read_listen("127.0.0.1:9090")
    """Address of the admin listener, or off."""
    keys: Annotated[tuple[StrongKey, ...], OneOrMore()] = ()
    """Keys of the API for sessions and grants, sent as a bearer token; without any it is off."""
    hosts: Strings = ()
    """Names that it may be asked for by, besides addresses, loopback names and that in `listen`; without a port."""

    @property
    def all_hosts(self) -> tuple[str, ...] | None:
        """All such names; None for any: no browser reaches a unix socket."""
        if self.listen is None or self.listen.unix_path:
            return None
        return (self.listen.host, *self.hosts)

    @field_validator("hosts")
    @classmethod
    def _check_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not _HOST.fullmatch(host) or ":" in host:
                raise ValueError(f"has {quote(host)}, which is no name: write it like gateway.internal, without a port")
        return tuple(host.lower() for host in hosts)


class TokenClientSettings(Section):
    """One of the app's own jobs, which asks the admin listener for access tokens."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    """Name in the log."""
    key: StrongKey
    """Its key, sent as a bearer token to POST /tokens."""
    scopes: Strings = ()
    """Scopes it may ask for; a person who has not granted them has no token for it."""
    per_minute: int = Field(default=60, ge=0)
    """Most tokens in a minute; 0 for no limit."""


class TokensSettings(Section):
    """Access tokens outside a request."""

    keep_grants: bool = False
    """Keep a person's grant when their last session has ended, for jobs that run when nobody is signed in."""
    clients: tuple[TokenClientSettings, ...] = ()
    """Who may ask for tokens."""

    @field_validator("clients")
    @classmethod
    def _check_names(cls, clients: tuple[TokenClientSettings, ...]) -> tuple[TokenClientSettings, ...]:
        names = [client.name for client in clients]
        if len(set(names)) < len(names):
            raise ValueError("has the same name twice")
        keys = [client.key.get_secret_value() for client in clients]
        if len(set(keys)) < len(keys):
            raise ValueError("has the same key twice: each client needs its own")
        return clients


def _read_level(value: Any) -> Any:
    """Read a level in any case, and as other programs write it."""
    return {"warn": "warning"}.get(value.lower(), value.lower()) if isinstance(value, str) else value


class LogSettings(Section):
    """The log, on standard error."""

    format: Literal["json", "console"] = "json"
    """json for machines, console for people."""
    level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_read_level)] = "info"
    """Least level that is written."""
    answer_request_id: bool = False
    """Put the id of a request, by which the log names it, into its answer: X-Request-Id."""
