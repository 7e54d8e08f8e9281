"""What is allowed but unsafe, or probably not meant, of where the gateway listens."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from gateway.settings.model import Settings
from gateway.settings.scalars import is_loopback


def find_in_listeners(settings: Settings) -> Iterator[tuple[str, str]]:
    """Return what an operator should think about twice: key and words."""
    if any(each.unix_path for each in settings.listen) and "unix" not in settings.trusted_proxies:
        yield (
            "trusted_proxies",
            "lacks `unix`, so no visitor has an address, and no limit for an address holds: who listens on a socket is "
            "behind a proxy",
        )
    if settings.tls is None:
        return
    if not settings.secure:
        host = urlsplit(settings.public_url).netloc
        yield "public_url", f"is http, but the gateway has a certificate and speaks TLS: write https://{host}"
    for each in settings.listen:
        open_to_all = not each.unix_path and not is_loopback(each.host)
        if not each.speaks_tls and open_to_all and not settings.trusted_proxies:
            yield "listen", f"has {each} without TLS: whoever comes there is not asked over https"
