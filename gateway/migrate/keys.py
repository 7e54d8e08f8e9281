"""oauth2-proxy's keys, by the name that they have in its config file: how each is read, and what becomes of it.

A key is carried over, to a key of ours, or it is not, and then there is a reason that an operator is told. A key that
keeps people out by what TikTok does not tell (an e-mail address, a group) is never just left out: whoever it kept out
must not come in by the move.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

Kind = Literal["text", "flag", "list", "duration"]


class Key(NamedTuple):
    """A key: how its value is written, and what it becomes (`to`), or why nothing (`why`)."""

    kind: Kind
    to: str = ""
    why: str = ""
    narrows: bool = False
    """Whether it keeps people out by what TikTok does not tell."""


_EMAILS: Final = "TikTok tells no e-mail addresses"
_PROVIDER: Final = "belongs to another provider; TikTok's own settings are in `tiktok`"
_OURS: Final = "needs no setting: the gateway does so by itself"
_FRONT: Final = "TLS ends in front of the gateway, at a load balancer, an ingress or the like (docs/fronts.md)"
_LOG: Final = "the log is one line of JSON for a request, on standard error; who starts the gateway keeps files of it"
_PAGES: Final = "the gateway's own pages are made yours by `brand`: name, logo, footer, templates (docs/pages.md)"
_TOKENS: Final = "programs cannot come with a token of their own: only with a session, or by a public route"

_CARRIED: Final[Mapping[str, Key]] = {
    "upstreams": Key("list", to="upstream"),
    "upstream_timeout": Key("duration", to="upstream.timeouts.first_byte"),
    "pass_host_header": Key("flag", to="upstream.pass_host"),
    "proxy_websockets": Key("flag", to="upstream.websockets"),
    "ssl_upstream_insecure_skip_verify": Key("flag", to="upstream.tls.verify"),
    "http_address": Key("text", to="listen"),
    "proxy_prefix": Key("text", to="prefix"),
    "redirect_url": Key("text", to="public_url"),
    "reverse_proxy": Key("flag", to="trusted_proxies"),
    "trusted_proxy_ips": Key("list", to="trusted_proxies"),
    "request_id_header": Key("text", to="trusted_headers"),
    "metrics_address": Key("text", to="admin.listen"),
    "whitelist_domains": Key("list", to="return_to.allowed_hosts"),
    "skip_provider_button": Key("flag", to="sign_in"),
    "skip_auth_routes": Key("list", to="routes"),
    "skip_auth_regex": Key("list", to="routes"),
    "skip_auth_preflight": Key("flag", to="routes"),
    "api_routes": Key("list", to="routes"),
    "force_json_errors": Key("flag", to="routes"),
    "email_domains": Key("list", to="routes"),
    "pass_basic_auth": Key("flag", to="identity"),
    "pass_user_headers": Key("flag", to="identity"),
    "pass_access_token": Key("flag", to="identity"),
    "set_xauthrequest": Key("flag", to="identity"),
    "cookie_secret": Key("text", to="secret_keys"),
    "cookie_secret_file": Key("text", to="secret_keys"),
    "cookie_name": Key("text", to="session.cookie_name"),
    "cookie_domains": Key("list", to="session.cookie_domain"),
    "cookie_samesite": Key("text", to="session.cookie_same_site"),
    "cookie_expire": Key("duration", to="session.absolute_timeout"),
    "session_store_type": Key("text", to="redis"),
    "redis_connection_url": Key("text", to="redis.url"),
    "redis_username": Key("text", to="redis.username"),
    "redis_password": Key("text", to="redis.password"),
    "redis_use_sentinel": Key("flag", to="redis.sentinel"),
    "redis_sentinel_password": Key("text", to="redis.sentinel.sentinel_password"),
    "redis_sentinel_master_name": Key("text", to="redis.sentinel.service"),
    "redis_sentinel_connection_urls": Key("list", to="redis.sentinel.nodes"),
    "redis_use_cluster": Key("flag", to="redis.cluster"),
    "redis_cluster_connection_urls": Key("list", to="redis.cluster.nodes"),
    "redis_ca_path": Key("text", to="redis.tls.ca"),
    "redis_insecure_skip_tls_verify": Key("flag", to="redis.tls.verify"),
    "client_id": Key("text", to="tiktok.client_key"),
    "client_secret": Key("text", to="tiktok.client_secret"),
    "client_secret_file": Key("text", to="tiktok.client_secret"),
}
_LEFT: Final[Sequence[tuple[Kind, str, str]]] = (
    ("flag", "is for one start, and no setting", "config_test convert_config_to_alpha version"),
    ("flag", f"{_EMAILS}: X-Forwarded-User is the open_id", "prefer_email_to_user"),
    (
        "list",
        "who comes from an address is nobody: a network lets nobody in. Open what it was for by a public route",
        "trusted_ips",
    ),
    ("duration", "tokens are refreshed when they are due, never with each request", "cookie_refresh"),
    (
        "flag",
        f"{_OURS}: `public_url` decides whether cookies are for https only, and no script sees them",
        "cookie_secure cookie_httponly",
    ),
    ("text", "cookies are for the whole host", "cookie_path"),
    ("flag", _OURS, "cookie_csrf_per_request encode_state allow_query_semicolons session_cookie_minimal"),
    ("text", _OURS, "cookie_csrf_per_request_limit cookie_csrf_samesite redis_connection_idle_timeout"),
    ("duration", _OURS, "cookie_csrf_expire"),
    ("flag", "connections to the app are kept; answers are streamed as they come", "disable_keep_alives"),
    ("duration", "connections to the app are kept; answers are streamed as they come", "flush_interval"),
    ("text", _FRONT, "https_address tls_cert_file tls_key_file tls_min_version"),
    ("list", _FRONT, "tls_cipher_suites"),
    ("flag", f"{_FRONT}; that is also where http is sent to https", "force_https"),
    (
        "text",
        "`admin.listen` speaks plain http: keep it within",
        "metrics_secure_address metrics_tls_cert_file metrics_tls_key_file",
    ),
    (
        "text",
        "addresses are read from X-Forwarded-For (or Forwarded) of `trusted_proxies`: have the front set that",
        "real_client_ip_header",
    ),
    ("flag", "the redirect URI is {public_url}{prefix}/callback, always", "relative_redirect_url"),
    ("text", "ask {prefix}/livez (or `admin.listen`, /livez)", "ping_path ping_user_agent"),
    ("text", "ask {prefix}/readyz (or `admin.listen`, /readyz)", "ready_path"),
    ("flag", "ask {prefix}/livez", "gcp_healthchecks"),
    (
        "flag",
        "there is no ID token; `identity.assertion` is a signed statement, the preset `bearer` TikTok's access token",
        "pass_authorization_header set_authorization_header",
    ),
    ("text", "apps are told in headers who somebody is; see `identity`", "basic_auth_password"),
    ("flag", "apps are told in headers who somebody is; see `identity`", "set_basic_auth"),
    ("flag", f"{_OURS}: identity headers of clients reach no app", "skip_auth_strip_headers"),
    ("text", "use `identity.assertion`, which apps check by a public key", "signature_key"),
    ("text", "nobody signs in with a password", "htpasswd_file"),
    ("list", "nobody signs in with a password", "htpasswd_user_groups"),
    ("flag", "nobody signs in with a password", "display_htpasswd_form"),
    ("flag", _TOKENS, "skip_jwt_bearer_tokens bearer_token_login_fallback"),
    ("list", _TOKENS, "extra_jwt_issuers"),
    ("text", _PAGES, "banner custom_sign_in_logo custom_templates_dir footer provider_display_name"),
    ("flag", "a page says what happened by its code; the rest is in the log", "show_debug_on_error"),
    ("list", _LOG, "exclude_logging_paths"),
    (
        "flag",
        _LOG,
        "auth_logging errors_to_info_log logging_compress logging_local_time request_logging silence_ping_logging "
        "standard_logging",
    ),
    (
        "text",
        _LOG,
        "auth_logging_format logging_filename logging_max_age logging_max_backups logging_max_size "
        "request_logging_format standard_logging_format",
    ),
    ("text", "TikTok's are in `tiktok.scopes`; user.info.basic is usual", "scope"),
    ("text", "`tiktok.always_ask: true` has TikTok ask every time", "approval_prompt prompt acr_values"),
    ("text", "`tiktok.pkce` is on", "code_challenge_method force_code_challenge_method"),
    ("text", "sign-out ends the session here; POST {prefix}/disconnect at TikTok too", "backend_logout_url"),
    (
        "text",
        _PROVIDER,
        "provider login_url redeem_url profile_url validate_url resource user_id_claim auth_request_response_mode "
        "jwt_key jwt_key_file pubjwk_url oidc_issuer_url oidc_jwks_url oidc_email_claim oidc_groups_claim "
        "azure_tenant azure_graph_group_field github_token google_admin_email google_service_account_json "
        "google_target_principal google_use_organization_id google_use_application_default_credentials "
        "google_admin_api_user_scope",
    ),
    (
        "list",
        _PROVIDER,
        "oidc_audience_claims oidc_extra_audiences oidc_public_key_files oidc_enabled_signing_algs provider_ca_files",
    ),
    (
        "flag",
        _PROVIDER,
        "insecure_oidc_allow_unverified_email insecure_oidc_skip_issuer_verification insecure_oidc_skip_nonce "
        "skip_claims_from_profile_url skip_oidc_discovery use_system_trust_store ssl_insecure_skip_verify "
        "entra_id_federated_token_auth",
    ),
)
_NARROWING: Final[Sequence[tuple[Kind, str, str]]] = (
    ("text", f"{_EMAILS}; list people in `allow` instead", "authenticated_emails_file"),
    ("list", "TikTok knows no groups; list people in `allow`", "allowed_groups allowed_roles"),
    (
        "list",
        f"{_PROVIDER}; list people in `allow`",
        "keycloak_groups github_users gitlab_groups gitlab_projects google_groups google_group "
        "entra_id_allowed_tenants",
    ),
    (
        "text",
        f"{_PROVIDER}; list people in `allow`",
        "github_org github_team github_repo bitbucket_team bitbucket_repository",
    ),
)

KEYS: Final[Mapping[str, Key]] = {
    **_CARRIED,
    **{name: Key(kind, why=why) for kind, why, names in _LEFT for name in names.split()},
    **{name: Key(kind, why=why, narrows=True) for kind, why, names in _NARROWING for name in names.split()},
}
