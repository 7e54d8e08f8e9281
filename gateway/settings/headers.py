"""Rules of the headers by which an app is told of a person."""

from __future__ import annotations

import re
from typing import Final

from gateway.settings.problem import KeyFault, quote

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
TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNTOUCHABLE: Final = re.compile(
    r"(?i)host|cookie|set-cookie|content-.*|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect|"
    r"proxy-.*|sec-.*|forwarded|x-forwarded-(for|host|proto|port)|x-real-ip|x-request-id|x-gateway-check"
)

METHOD_OVERRIDES: Final = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")
"""By which some apps take a request for one of another method."""
DROPPED: Final = (
    "Proxy",  # CGI makes it HTTP_PROXY, by which programs find their way out (CVE-2016-5385)
    *METHOD_OVERRIDES,
    "X-Middleware-Subrequest",  # Next.js takes it for a call of its own, which needs no permission (CVE-2025-29927)
    *("X-Sendfile-Type", "X-Accel-Mapping"),  # Rack answers by them where a file is (CVE-2025-61780)
    *("True-Client-IP", "CF-Connecting-*", "Fastly-Client-IP", "Fly-Client-IP", "X-Client-IP", "X-Cluster-Client-IP"),
    *("Client-IP", "Proxy-Client-IP", "WL-Proxy-*", "X-Originating-IP", "CloudFront-Viewer-Address"),
    *("X-Original-Forwarded-For", "X-ProxyUser-IP", "X-Forwarded", "X-Azure-ClientIP", "X-Azure-SocketIP"),
    *("X-Host", "X-HTTP-Host-Override", "Front-End-Https", "X-Envoy-*", "X-Scheme", "X-Script-Name"),
    *("X-Remote-*", "X-Authenticated-*", "X-SSL-*", "SSL-Client-*", "X-Client-Cert*", "X-ARR-ClientCert"),
    *("Client-Cert*", "X-Amzn-Mtls-*"),  # RFC 9440 §4: whoever is in front takes a client's own off
    *("X-Goog-Authenticated-User-*", "X-Goog-IAP-*", "X-MS-Client-Principal*", "X-Amzn-OIDC-*", "CF-Access-*"),
    *("OIDC-*", "X-MS-Token-*", "X-Authentik-*", "X-Pomerium-*", "X-Vouch-*", "Tailscale-User-*"),
)
"""What apps believe because some front sets it, and what nobody has set who comes past that front."""
_READ_BY_US: Final = (
    *("host", "cookie", "authorization", "connection", "upgrade", "expect", "te", "trailer", "transfer-encoding"),
    *("content-length", "content-type", "content-encoding", "origin", "accept", "accept-language", "user-agent"),
    *("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-uri", "x-forwarded-method"),
    *("x-original-url", "x-original-uri", "x-original-method", "x-requested-with", "purpose", "sec-purpose", "x-moz"),
    *("sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest", "sec-websocket-key", "sec-websocket-version"),
    *("access-control-request-method", "access-control-request-headers", "x-gateway-check"),
)


def check_dropped(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names of fields that no client may send. Raises `ValueError` that says what to write instead."""
    for name in names:
        beginning = name.removesuffix("*")
        if not TOKEN.fullmatch(beginning) or "*" in beginning:
            raise ValueError(f"has {quote(name)}, which is no header name; a * may stand at its end, as in X-Remote-*")
        needed = [
            each
            for each in _READ_BY_US
            if each == name.lower() or (name != beginning and each.startswith(beginning.lower()))
        ]
        if needed:
            raise ValueError(f"has `{name}`, but the gateway itself reads {needed[0]}: leave it out")
    return names


def check_headers(headers: dict[str, str]) -> dict[str, str]:
    """Return header templates by name. Raises `ValueError` that says what to write instead."""
    for name, template in headers.items():
        if not TOKEN.fullmatch(name) or _UNTOUCHABLE.fullmatch(name):
            raise KeyFault((name,), f"{quote(name)} cannot carry identity; choose a name of your own")
        _check_template(name, template)
    return headers


def _check_template(name: str, template: str) -> None:
    if not re.fullmatch(r"[\x20-\x7e]+", template) or template != template.strip():
        raise KeyFault((name,), "has a template that is empty, padded with spaces, or not plain ASCII")
    rest = re.sub(r"\{([a-z_]+)\}", "", template)
    unknown = [field for field in re.findall(r"\{([a-z_]+)\}", template) if field not in TEMPLATE_FIELDS]
    if unknown or "{" in rest or "}" in rest:
        fields = ", ".join(TEMPLATE_FIELDS)
        raise KeyFault((name,), f"has a template with a field that is none; fields are {fields}, in braces")
