"""The proxies that are measured, each an entry: what it is called, how to get it, its configuration, how to sign in.

Each is set up to do its best on one core: connections to the app are kept, nothing goes to disk but logs. Those that
sign people in keep the session in Redis and write their access log, as they do by default and as the gateway does;
the others write none.
"""

from __future__ import annotations

from benchmarks.peers.gateway import GATEWAY, GATEWAY_ASSERTING, GATEWAY_FOR_MANY, GATEWAY_WITHOUT_MEMORY
from benchmarks.peers.haproxy import HAPROXY_GATEWAY
from benchmarks.peers.nginx import NGINX, NGINX_ALWAYS_YES, NGINX_GATEWAY, NGINX_UNBUFFERED
from benchmarks.peers.openid import APACHE, OAUTH2_PROXY
from benchmarks.peers.peer import Peer
from benchmarks.peers.plain import CADDY, HAPROXY, TEXTBOOK
from benchmarks.peers.start import Proxy, start

PEERS = (
    NGINX,
    HAPROXY,
    CADDY,
    GATEWAY,
    NGINX_ALWAYS_YES,
    NGINX_GATEWAY,
    HAPROXY_GATEWAY,
    OAUTH2_PROXY,
    APACHE,
    TEXTBOOK,
)
"""All of them, the reference first."""
FOR_BODIES = (NGINX, NGINX_UNBUFFERED, *(peer for peer in PEERS[1:] if peer is not NGINX_ALWAYS_YES))
"""Those that treat bodies differently; to whom a service says yes makes no difference."""

__all__ = [
    "APACHE",
    "CADDY",
    "FOR_BODIES",
    "GATEWAY",
    "GATEWAY_ASSERTING",
    "GATEWAY_FOR_MANY",
    "GATEWAY_WITHOUT_MEMORY",
    "HAPROXY",
    "NGINX",
    "NGINX_UNBUFFERED",
    "OAUTH2_PROXY",
    "PEERS",
    "Peer",
    "Proxy",
    "start",
]
