"""From the settings of an upstream to what connects to it."""

from __future__ import annotations

import ssl
from urllib.parse import urlsplit

from gateway.core.addresses import Translation, plain_host
from gateway.errors import SettingsError
from gateway.settings import UpstreamSettings
from gateway.upstream import Address, Upstream


def build_upstream(name: str, settings: UpstreamSettings, *, workers: int = 1) -> Upstream:
    """Return an upstream ready to be connected to, with one worker's share of its connections.

    Raises `SettingsError` when its certificates cannot be used.
    """
    timeouts = settings.timeouts
    return Upstream(
        name=name,
        addresses=tuple(_read_address(url) for url in settings.url),
        ssl_context=_build_ssl_context(name, settings) if settings.secure else None,
        server_name=settings.tls.server_name,
        connect_timeout=timeouts.connect.total_seconds(),
        first_byte_timeout=timeouts.first_byte.total_seconds(),
        idle_timeout=timeouts.idle.total_seconds(),
        max_connections=max(1, settings.max_connections // workers),
        title_case=settings.header_case == "title",
    )


def build_translation(settings: UpstreamSettings, *, pages: str) -> Translation | None:
    """Return what translates an app's addresses, if it is to be; `pages` is where the gateway's own are."""
    if not settings.rewrite_addresses:
        return None
    places = [urlsplit(url) for url in settings.url if not url.startswith("unix:")]
    scheme = "https" if settings.secure else "http"
    return Translation(
        prefix=settings.strip_prefix,
        own_hosts=frozenset(plain_host(place.netloc) for place in places) or frozenset({"localhost"}),
        own_origin="" if settings.pass_host else f"{scheme}://{find_own_host(settings).decode()}",
        pages=pages,
    )


def find_own_host(settings: UpstreamSettings) -> bytes:
    """Return the Host for an app that is not sent the browser's; a unix socket has none of its own."""
    return urlsplit(settings.url[0]).netloc.encode() or b"localhost"


def _read_address(url: str) -> Address:
    if url.startswith("unix:"):
        return Address(unix_path=url.removeprefix("unix:"))
    parts = urlsplit(url)
    return Address(host=parts.hostname or "", port=parts.port or {"http": 80, "https": 443}[parts.scheme])


def _build_ssl_context(name: str, settings: UpstreamSettings) -> ssl.SSLContext:
    tls = settings.tls
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        if not tls.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if tls.certificate is not None:
            context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"upstream {name}: its `tls` files cannot be used: {error}. They must be PEM; the key must be that of the "
            "certificate and have no passphrase."
        ) from None
    context.set_alpn_protocols(["http/1.1"])
    return context
