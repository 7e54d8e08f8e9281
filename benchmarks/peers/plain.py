"""Proxies that ask nobody who he is."""

from __future__ import annotations

from benchmarks.peers.peer import Peer
from benchmarks.stage import PYTHON

HAPROXY = Peer(
    name="HAProxy",
    program="haproxy",
    how_to_get="apt-get install haproxy",
    command=("-db", "-f", "@{config}"),
    config="""
global
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
frontend visitors
    bind 127.0.0.1:@{port} backlog 4096
    default_backend app
backend app
    server app 127.0.0.1:@{app}
""",
    version=("-v",),
)
CADDY = Peer(
    name="Caddy",
    program="caddy",
    how_to_get="apt-get install caddy",
    command=("run", "--adapter", "caddyfile", "--config", "@{config}"),
    config="""
{
    admin off
    auto_https off
}
http://:@{port} {
    bind 127.0.0.1
    reverse_proxy 127.0.0.1:@{app} {
        transport http {
            keepalive_idle_conns_per_host 600
        }
    }
}
""",
    environ={"GOMAXPROCS": "1", "XDG_DATA_HOME": "@{folder}", "XDG_CONFIG_HOME": "@{folder}"},
    version=("version",),
)
TEXTBOOK = Peer(
    name="textbook Starlette + httpx",
    program=PYTHON,
    how_to_get="pip install .",
    command=(
        *("-m", "uvicorn", "--loop", "uvloop", "--http", "httptools", "--lifespan", "off"),
        *("--no-access-log", "--log-level", "warning", "--port", "@{port}", "benchmarks.servers.textbook:app"),
    ),
    environ={"UPSTREAM_PORT": "@{app}"},
    version=("-c", "import starlette, httpx; print(starlette.__version__, '+', httpx.__version__)"),
)
