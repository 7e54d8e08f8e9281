"""The sections that need a line or two each: where to listen, whom to trust, sessions, identity, pages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from gateway.migrate.old import Old, read_seconds, split_address
from gateway.migrate.plan import TO_FILL_IN, Plan
from gateway.migrate.upstreams import write_seconds

_HOST: Final = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*(?::[0-9]+)?")
_CLAIMS: Final[Mapping[str, str]] = {
    "user": "{open_id}",
    "preferred_username": "{username}",
    "access_token": "{access_token}",
    "expires_on": "{token_expires_at}",
    "created_at": "{signed_in_at}",
}
_WEEK: Final = 7 * 86400.0


def add_public_url(plan: Plan, old: Old) -> str:
    """Add `public_url` and `prefix`; returns the host, "" where it is not known."""
    parts = split_address(old.text("redirect_url"))
    prefix = old.text("proxy_prefix", "/oauth2")
    host = parts.netloc.rpartition("@")[2]
    if parts.scheme in {"http", "https"} and host:
        plan.set("public_url", f"{parts.scheme}://{host}")
        if parts.path != f"{prefix}/callback":
            plan.note(
                "public_url", f"redirect_url had another path: at TikTok, register {{public_url}}{prefix}/callback"
            )
    else:
        note = f"{TO_FILL_IN}, as the variable GATEWAY_PUBLIC_URL: what browsers type, like https://app.example.com"
        plan.set("public_url", "${GATEWAY_PUBLIC_URL}", note)
        host = ""
    if prefix != "/oauth2":
        plan.set("prefix", prefix)
    return host.partition(":")[0].lower()


def add_tiktok(plan: Plan) -> None:
    """Add what only the operator knows: the app at TikTok, and a key of our own."""
    note = f"{TO_FILL_IN}, as variables: key and secret of your app at developers.tiktok.com"
    plan.set("tiktok.client_key", "${TIKTOK_CLIENT_KEY}", note)
    plan.set("tiktok.client_secret", "${TIKTOK_CLIENT_SECRET}")
    note = (
        f"{TO_FILL_IN}, as the variable GATEWAY_SECRET_KEY: a new key, from `gateway keys new`. cookie_secret is no use"
    )
    plan.set("secret_keys", ["${GATEWAY_SECRET_KEY}"], note)


def add_listening(plan: Plan, old: Old) -> None:
    """Add `listen`, whose proxies are trusted, and `admin.listen`."""
    plain = _read_listen(plan, "listen", old.text("http_address", "127.0.0.1:4180"), "127.0.0.1:4180")
    if old.has("tls_cert_file") and old.has("tls_key_file"):
        encrypted = _read_listen(plan, "listen", old.text("https_address", ":443"), ":443")
        plan.set("listen", [{"address": encrypted}, {"address": plain, "tls": False}])
        plan.set("tls.certificate", old.text("tls_cert_file"))
        plan.set("tls.key", old.text("tls_key_file"))
    else:
        plan.set("listen", plain)
        for key in ("https_address", "tls_cert_file", "tls_key_file"):
            if old.has(key):
                plan.leave(key, "there is no certificate and key in two files: see `tls` in docs/listening.md")
    if old.flag("reverse_proxy"):
        known = [each for each in old.items("trusted_proxy_ips") if not each.endswith("/0")]
        is_socket = "unix:" in old.text("http_address")
        plan.set("trusted_proxies", known + ["unix"] * is_socket or ["127.0.0.1"])
        if not known and not is_socket:
            note = "the address of the front. oauth2-proxy believes whoever asks, unless it is told"
            plan.note("trusted_proxies", f"{TO_FILL_IN}: {note}")
        if old.text("request_id_header").lower() == "x-request-id":
            plan.set("trusted_headers", ["X-Request-Id"])
    elif old.has("trusted_proxy_ips"):
        plan.leave("trusted_proxy_ips", "reverse_proxy was off, so nobody was believed")
    if old.has("request_id_header") and old.text("request_id_header").lower() != "x-request-id":
        plan.leave("request_id_header", "only X-Request-Id is read (`trusted_headers`)")
    if old.has("metrics_address"):
        listen = _read_listen(plan, "admin.listen", old.text("metrics_address"), "127.0.0.1:9090")
        told = "was metrics_address: /metrics is there, and so are /livez, /readyz, and with `admin.keys` an API that "
        plan.set("admin.listen", listen, told + "ends sessions. Let only your own programs reach it")


def _read_listen(plan: Plan, key: str, address: str, usual: str) -> str:
    bare = re.sub(r"(?i)^http:/*", "", address)
    if bare.startswith("unix:"):
        return "unix:/" + bare.removeprefix("unix:").partition(",")[0].lstrip("/")
    if re.fullmatch(r".*:[0-9]{1,5}", bare):
        return bare
    plan.note(key, f"{TO_FILL_IN}: oauth2-proxy had something that is no address to listen on here")
    return usual


def add_session(plan: Plan, old: Old, host: str) -> None:
    """Add `session`: the cookie, and how long one lasts."""
    if old.has("cookie_name"):
        plan.set("session.cookie_name", old.text("cookie_name"))
        if old.text("cookie_name").startswith("__Host-") and old.has("cookie_domains"):
            plan.set("session.cookie_name", "__Secure-" + old.text("cookie_name").removeprefix("__Host-"))
    domains = sorted((each.lstrip(".").lower() for each in old.items("cookie_domains")), key=len, reverse=True)
    fitting = [each for each in domains if not host or host == each or host.endswith("." + each)]
    if fitting:
        plan.set("session.cookie_domain", fitting[0])
    if len(domains) > len(fitting[:1]):
        plan.leave("cookie_domains", "there is one domain, that of `public_url`: a gateway each for the others")
    site = old.text("cookie_samesite").lower()
    if site == "none":
        plan.set("session.cookie_same_site", "none")
    elif site == "strict":
        plan.leave("cookie_samesite", "the cookie is Lax: a Strict one is not there when TikTok leads back")
    seconds = read_seconds(old.text("cookie_expire", "168h"))
    if seconds is None:
        plan.leave("cookie_expire", "a session ends after `session.idle_timeout`, not with the browser")
        return
    plan.set("session.idle_timeout", write_seconds(min(seconds, _WEEK)))
    plan.set("session.absolute_timeout", write_seconds(seconds))


def add_identity(plan: Plan, old: Old) -> None:
    """Add `identity`: what apps are told, and no more than they were; the access token only where they were."""
    if old.headers is not None:
        _add_headers(plan, old)
        return
    passes = old.flag("pass_basic_auth", default=True) or old.flag("pass_user_headers", default=True)
    answers, tokens = old.flag("set_xauthrequest"), old.flag("pass_access_token")
    if tokens and (passes or answers):
        plan.set("identity.presets", ["oauth2-proxy"])
    else:
        plan.set("identity.presets", [])
        beginnings = ["X-Forwarded-"] * passes + ["X-Auth-Request-"] * answers
        told = {"User": "{open_id}", "Preferred-Username": "{username}"}
        headers = {beginning + name: field for beginning in beginnings for name, field in told.items()}
        headers |= {"X-Forwarded-Access-Token": "{access_token}"} if tokens else {}
        if headers:
            plan.set("identity.headers", headers)
    if passes or answers:
        plan.note("identity.presets", "The user is the open_id now; nobody has an e-mail address, or groups")


def _add_headers(plan: Plan, old: Old) -> None:
    headers: dict[str, str] = {}
    for header in old.headers or ():
        field = _CLAIMS.get(header.claim)
        if field is None:
            plan.leave(f"the header {header.name}", "TikTok does not tell what was in it, or it is none of a person's")
        else:
            headers.setdefault(header.name, header.prefix + field)
    plan.set("identity.presets", [])
    if headers:
        plan.set("identity.headers", headers)


def add_pages(plan: Plan, old: Old) -> None:
    """Add `sign_in` and `return_to`."""
    plan.set("sign_in", "redirect" if old.flag("skip_provider_button") else "page")
    hosts = [each for each in old.items("whitelist_domains") if _HOST.fullmatch(each)]
    if hosts:
        plan.set("return_to.allowed_hosts", hosts)
    others = [each for each in old.items("whitelist_domains") if each not in hosts]
    if others:
        note = f"{TO_FILL_IN}: hosts stand here one by one, with their ports; {', '.join(others)} was more than one"
        plan.set("return_to.allowed_hosts", hosts, note)
