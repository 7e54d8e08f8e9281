"""What is allowed but unsafe, or probably not meant, of where the gateway listens."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from gateway.settings.listening import ListenerSettings
from gateway.settings.model import Settings
from gateway.settings.scalars import is_loopback

_EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 -- to warn of it


def find_in_listeners(settings: Settings) -> Iterator[tuple[str, str]]:
    """Return what an operator should think about twice: key and words."""
    if any(each.unix_path for each in settings.listen) and "unix" not in settings.trusted_proxies:
        yield (
            "trusted_proxies",
            "lacks `unix`, so no visitor has an address, and no limit for an address holds: who listens on a socket is "
            "behind a proxy",
        )
    plain = [each for each in settings.listen if not (settings.tls is not None and each.speaks_tls)]
    if settings.tls is not None:
        yield from _find_beside_tls(settings, plain)
    if _has_its_front_here(settings):
        for each in plain:
            if each.host in _EVERYWHERE and not each.proxy_protocol:
                yield (
                    "listen",
                    f"is {each}, open to everybody in plain http, though the front is on this machine: "
                    f"write 127.0.0.1:{each.address.port}",
                )


def _has_its_front_here(settings: Settings) -> bool:
    """Whether whoever is in front is on this machine; with an app in its own process, a gateway does not listen."""
    listens = "upstream" in settings.model_fields_set or bool(settings.upstreams)
    networks = [ipaddress.ip_network(each) for each in settings.trusted_proxies if each != "unix"]
    return listens and bool(settings.trusted_proxies) and all(each.network_address.is_loopback for each in networks)


def _find_beside_tls(settings: Settings, plain: list[ListenerSettings]) -> Iterator[tuple[str, str]]:
    if not settings.secure:
        host = urlsplit(settings.public_url).netloc
        yield "public_url", f"is http, but the gateway has a certificate and speaks TLS: write https://{host}"
    if len(plain) == len(settings.listen):
        yield "tls", "is used by nobody: no address in `listen` speaks TLS; a unix socket does only with `tls: true`"
    for each in plain:
        if each.host and not is_loopback(each.host) and not settings.trusted_proxies:
            yield "listen", f"has {each} in plain http, and no front that is trusted: what comes there is not encrypted"
