"""What a client may write into its fields, so that a gateway or an app believes it."""

from __future__ import annotations

from gateway.core.headers import HOP_BY_HOP
from gateway.core.identity import IdentityHeaders
from gateway.settings.headers import DROPPED

RESERVED = sorted(name.decode() for name in IdentityHeaders([], {}).reserved)
"""Names by which apps are told who somebody is, in small letters."""
SAYING = [
    *("x-forwarded-by", "x-forwarded-client-cert", "x-forwarded-email", "x-forwarded-groups", "x-forwarded-method"),
    *("x-forwarded-path", "x-forwarded-port", "x-forwarded-prefix", "x-forwarded-protocol", "x-forwarded-scheme"),
    *("x-forwarded-server", "x-forwarded-ssl", "x-forwarded-uri"),
]
REBUILT = [
    *("x-original-host", "x-original-method", "x-original-uri", "x-original-url", "x-real-ip", "x-rewrite-url"),
    *("daphne-root-path", "path-info", "script-name"),
]
FAMILIES = {
    "CF-Connecting-*": "ip",
    "X-Envoy-*": "original-path",
    "X-Remote-*": "group",
    "X-Authenticated-*": "user",
    "X-SSL-*": "client-verify",
    "SSL-Client-*": "cert",
    "X-Client-Cert*": "",
    "X-Goog-Authenticated-User-*": "email",
    "X-Goog-IAP-*": "jwt-assertion",
    "X-MS-Client-Principal*": "-name",
    "X-Amzn-OIDC-*": "identity",
    "CF-Access-*": "jwt-assertion",
    "WL-Proxy-*": "client-ip",
    "Client-Cert*": "-chain",
    "X-Amzn-Mtls-*": "clientcert",
    "OIDC-*": "claim-sub",
    "X-MS-Token-*": "aad-id-token",
    "X-Authentik-*": "username",
    "X-Pomerium-*": "jwt-assertion",
    "X-Vouch-*": "user",
    "Tailscale-User-*": "login",
}
FRAMING = {"transfer-encoding", "connection", "upgrade"}
KEPT_OUT = sorted(
    {name.decode() for name in IdentityHeaders([], {}).reserved | HOP_BY_HOP}.difference(FRAMING)
    | {*SAYING, *REBUILT, "x-url-scheme", "forwarded", "x-request-id"}
    | {(name.replace("*", FAMILIES[name]) if "*" in name else name).lower() for name in DROPPED}
)
"""What the proxy form removes, or says anew; of families, a member."""

LIES: list[dict[str, str]] = [
    {},
    *({name: "/private/x"} for name in ("X-Forwarded-Uri", "X-Original-URI", "X-Original-URL", "X-Rewrite-URL")),
    {"X-Original-URL": "http://127.0.0.1/private/x"},
    {"X-Forwarded-Uri": "/private/x", "X-Forwarded-Method": "GET", "X-Forwarded-Host": "127.0.0.1"},
    {"X-Forwarded-Uri": "/private/x", "X-Original-URL": "/public/x"},
    {"X-Forwarded-Uri": "/optional/x", "X-Original-Method": "POST"},
    {"X-Forwarded-Uri": "/oauth2/auth"},
    {"Forwarded": "for=127.0.0.1;host=127.0.0.1", "X-Forwarded-Uri": "/private/x"},
    *({"X-Forwarded-Uri": "/private/x", "X-Gateway-Check": guess} for guess in ("", "1", "true", "s" * 32, "S" * 40)),
    {"X-Forwarded-Uri": "/private/x", "X_Gateway_Check": "s" * 40},
    {"X-Forwarded-Uri": "/private/x", "X-Forwarded-For": "127.0.0.1, 127.0.0.1", "X-Real-IP": "127.0.0.1"},
    {"X-Forwarded-Uri": "/private/x", "Connection": "X-Forwarded-For, Host"},
]
"""Fields by which a page's script may pose as a front that asks."""
