"""The settings as keyword arguments, for editors and type checkers: the same names as in the file.

Written by `python -m tests.settings.write_keywords`, from the model: change that, and never this file. Any key may be
left out here, as the file or the environment may have it; what is missing is told when the settings are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Literal, TypedDict


class AdminKeywords(TypedDict, total=False):
    """The operator's listener: /livez, /readyz, /metrics, and with a key /sessions, /grants."""

    listen: str | ListenerKeywords | bool | None
    keys: str | Sequence[str | NamedKeyKeywords]
    hosts: str | Sequence[str]


class AllowKeywords(TypedDict, total=False):
    """Who may in; whoever is on one of the lists may."""

    open_ids: str | Sequence[str]
    union_ids: str | Sequence[str]
    usernames: str | Sequence[str]
    file: str | None


class AssertionKeywords(TypedDict, total=False):
    """A signed statement of who somebody is, for apps that do not trust their network."""

    header: str
    audience: str | None
    lifetime: str | timedelta


class AuditKeywords(TypedDict, total=False):
    """Who signed in, was refused, signed out, was ended by whom: one line of JSON an event."""

    to: str
    subject: Literal["hash", "open_id"]


class BrandKeywords(TypedDict, total=False):
    """Whose site the gateway's own pages say it is."""

    name: str
    logo: str | None
    icon: str | None
    accent: str | None
    terms_url: str | None
    privacy_url: str | None
    support_url: str | None
    footer: str
    templates: str | None
    languages: str | Sequence[str]


class ClusterKeywords(TypedDict, total=False):
    """A Redis Cluster."""

    nodes: str | Sequence[str]
    username: str | None
    password: str | None


class CorsKeywords(TypedDict, total=False):
    """Scripts of other origins. The app's own answers are its own affair."""

    allowed_origins: str | Sequence[str]


class CreatorKeywords(TypedDict, total=False):
    """What must be so of a person on TikTok, as TikTok last told."""

    is_verified: bool | None
    follower_count: RangeKeywords | None
    following_count: RangeKeywords | None
    likes_count: RangeKeywords | None
    video_count: RangeKeywords | None


class DrainKeywords(TypedDict, total=False):
    """The end of a process, after SIGTERM."""

    delay: str | Literal[0]
    timeout: str | timedelta


class ForwardAuthKeywords(TypedDict, total=False):
    """Where and how fronts ask about requests that they serve themselves."""

    listen: str | ListenerKeywords | Sequence[str | ListenerKeywords]
    grpc: str | bool | None
    secret: str | None


class IdentityKeywords(TypedDict, total=False):
    """What the app is told of a person."""

    presets: (
        Literal["tiktok", "oauth2-proxy", "remote-user", "grafana", "bearer"]
        | Sequence[Literal["tiktok", "oauth2-proxy", "remote-user", "grafana", "bearer"]]
    )
    assertion: AssertionKeywords | None
    headers: Mapping[str, str]


class LimitsKeywords(TypedDict, total=False):
    """What is too much."""

    header_bytes: str | int
    header_count: int
    target_bytes: str | int
    body: str | int | None
    head_timeout: str | timedelta
    body_timeout: str | timedelta
    body_rate: str | int | None
    send_timeout: str | timedelta
    keep_alive: str | timedelta
    websocket_idle: str | Literal[0]
    connections_per_address: int
    waiting_per_address: str | int | None
    sign_in_attempts: int
    sign_in_attempts_of_all: int


class ListenerKeywords(TypedDict, total=False):
    """An address to listen on, and how connections are taken there."""

    address: str
    mode: str
    group: str | int
    proxy_protocol: bool
    tls: bool | None


class LogKeywords(TypedDict, total=False):
    """The log, on standard error."""

    format: Literal["json", "console"]
    level: Literal["debug", "info", "warning", "error"]
    answer_request_id: bool


class NamedKeyKeywords(TypedDict, total=False):
    """A key, and whose it is."""

    name: str
    key: str


class RangeKeywords(TypedDict, total=False):
    """From one number to another, both included."""

    min: int | None
    max: int | None


class RedisKeywords(TypedDict, total=False):
    """Where sessions live: one of `url`, `sentinel` and `cluster`."""

    url: str | None
    username: str | None
    password: str | None
    sentinel: SentinelKeywords | None
    cluster: ClusterKeywords | None
    tls: RedisTlsKeywords | None
    key_prefix: str
    timeout: str | timedelta
    upgrade_window: str | Literal[0]


class RedisTlsKeywords(TypedDict, total=False):
    """TLS towards Redis, and towards Sentinels."""

    ca: str | None
    certificate: str | None
    key: str | None
    verify: bool


class ReturnToKeywords(TypedDict, total=False):
    """Where a sign-in may lead."""

    allowed_hosts: str | Sequence[str]


class RouteLimitsKeywords(TypedDict, total=False):
    """What is too much on one route."""

    body: str | int | None


class RouteKeywords(TypedDict, total=False):
    """One rule; the first that matches decides."""

    path: str
    host: str | None
    methods: str | Sequence[str] | None
    access: Literal["public", "optional", "signed_in", "deny"]
    on_unauthenticated: Literal["auto", "redirect", "unauthorized"]
    upstream: str
    scopes: str | Sequence[str]
    reason: str
    allow: AllowKeywords | None
    creator: CreatorKeywords | None
    headers: Mapping[str, str]
    keep_post: bool
    preflight: Literal["refuse", "pass", "answer"]
    encoded_slashes: Literal["refuse", "keep"]
    merge_slashes: bool
    allowed_origins: str | Sequence[str]
    limits: RouteLimitsKeywords | None


class SentinelKeywords(TypedDict, total=False):
    """A master that Sentinels watch."""

    nodes: str | Sequence[str]
    service: str
    username: str | None
    password: str | None
    sentinel_username: str | None
    sentinel_password: str | None
    database: int | timedelta


class SessionKeywords(TypedDict, total=False):
    """Sessions and their cookie."""

    cookie_name: str
    cookie_domain: str | None
    cookie_same_site: Literal["lax", "none"]
    cookie_partitioned: bool
    idle_timeout: str | timedelta
    absolute_timeout: str | timedelta
    device_binding: Literal["off", "on"]
    device_proof_lifetime: str | timedelta
    cache_for: str | Literal[0]
    cache_size: str | int


class TikTokKeywords(TypedDict, total=False):
    """The app at developers.tiktok.com, and what it asks of people."""

    client_key: str
    client_secret: str
    scopes: str | Sequence[str]
    pkce: Literal["hex", "base64url", "off", False]
    ownership_files: Mapping[str, str]
    always_ask: bool
    webhook: WebhookKeywords
    authorize_url: str
    token_url: str
    revoke_url: str
    user_info_url: str
    get_qrcode_url: str
    check_qrcode_url: str


class TimeoutKeywords(TypedDict, total=False):
    """How long an app may take."""

    connect: str | timedelta
    first_byte: str | timedelta
    idle: str | Literal[0]


class TlsKeywords(TypedDict, total=False):
    """The gateway's own certificate: with it, `listen` speaks https. Read again when the files change."""

    certificate: str
    key: str


class TokenClientKeywords(TypedDict, total=False):
    """One of the app's own jobs, which asks the admin listener for access tokens."""

    name: str
    key: str
    scopes: str | Sequence[str]
    per_minute: int


class TokensKeywords(TypedDict, total=False):
    """Access tokens outside a request."""

    keep_grants: bool
    clients: Sequence[TokenClientKeywords]


class UpstreamKeywords(TypedDict, total=False):
    """An app behind the gateway."""

    url: str | Sequence[str]
    timeouts: TimeoutKeywords
    tls: UpstreamTlsKeywords
    pass_host: bool
    strip_prefix: str
    rewrite_addresses: bool
    header_case: Literal["lower", "title"]
    websockets: bool
    audience: str | None
    max_connections: int


class UpstreamTlsKeywords(TypedDict, total=False):
    """How an https upstream is trusted, and how we show who we are."""

    ca: str | None
    certificate: str | None
    key: str | None
    server_name: str | None
    verify: bool


class WebhookKeywords(TypedDict, total=False):
    """TikTok's webhooks: {public_url}{prefix}/webhook is the address to register."""

    enabled: bool
    tolerance: str | timedelta
    forward_to: str | None


class SettingsKeywords(TypedDict, total=False):
    """What `protect` takes besides the app."""

    public_url: str
    upstream: str | UpstreamKeywords
    upstreams: Mapping[str, str | UpstreamKeywords]
    redis: str | RedisKeywords
    secret_keys: str | Sequence[str]
    instance: str
    tiktok: TikTokKeywords
    listen: str | ListenerKeywords | Sequence[str | ListenerKeywords]
    tls: TlsKeywords | None
    prefix: str
    trusted_proxies: str | Sequence[str]
    trusted_headers: (
        Literal["X-Forwarded-Prefix", "X-Forwarded-Port", "X-Request-Id"]
        | Sequence[Literal["X-Forwarded-Prefix", "X-Forwarded-Port", "X-Request-Id"]]
    )
    drop_headers: str | Sequence[str]
    session: SessionKeywords
    identity: IdentityKeywords
    routes: Sequence[RouteKeywords]
    return_to: ReturnToKeywords
    cors: CorsKeywords
    sign_in: Literal["redirect", "page"]
    qr_sign_in: bool
    brand: BrandKeywords
    limits: LimitsKeywords
    forward_auth: ForwardAuthKeywords
    admin: AdminKeywords
    tokens: TokensKeywords
    drain: DrainKeywords
    log: LogKeywords
    audit: AuditKeywords
    tracing: Literal["off", "on", "join_anyone", True, False]
