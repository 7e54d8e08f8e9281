"""HAProxy asking the gateway, by the files that users copy."""

from __future__ import annotations

import dataclasses

from benchmarks.peers.gateway import GATEWAY_BESIDE
from benchmarks.peers.plain import HAPROXY
from benchmarks.peers.recipe import CONFIG, read_recipe
from benchmarks.peers.sign_in import sign_in_with_tiktok

RECIPE = CONFIG / "haproxy"
"""The files that users copy."""
_CHANGES = {
    "global\n": "global\n    nbthread 1\n",
    "/etc/haproxy/gateway.lua": str(RECIPE / "gateway.lua"),
    "    log /dev/log local0 notice": "",
    "    log /dev/log local0\n": "",
    "bind *:80 ": "bind 127.0.0.1:@{port} backlog 4096 ",
    "abns@gateway-checks": "abns@checks-@{checks}",
    "127.0.0.1:3000": "127.0.0.1:@{app}",
    "127.0.0.1:8080": "127.0.0.1:@{beside}",
    "gateway 127.0.0.1:8081": "gateway 127.0.0.1:@{checks}",
}

HAPROXY_GATEWAY = dataclasses.replace(
    HAPROXY,
    name="HAProxy + Lua, gateway",
    config=read_recipe(RECIPE / "haproxy.cfg", _CHANGES),
    sign_in=sign_in_with_tiktok,
    identity="X-TikTok-Open-Id",
    beside=GATEWAY_BESIDE,
)
