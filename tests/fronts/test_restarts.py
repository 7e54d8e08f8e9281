"""Gateways behind a load balancer with health checks that are restarted in turn, as in any upgrade: nobody notices."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from gateway.simulator import RunningSimulator
from tests.fronts.starting import CONFIG, replaced
from tests.fronts.test_several_gateways import Asking, bare, sign_in, wait_until
from tests.haproxy import run_haproxy
from tests.harness import Browser
from tests.ports import free_port
from tests.redis_server import RedisServer
from tests.runtime.reloading import Reloadable


@pytest.fixture
def gateways(tmp_path: Path, simulator: RunningSimulator, redis_server: RedisServer, upstream: str) -> list[Reloadable]:
    """Two with the same settings, for the address of the front."""
    found = []
    for name in "ab":
        (tmp_path / name).mkdir()
        found.append(Reloadable(tmp_path / name, simulator, upstream, redis_server.url))
    same = {
        "public_url": f"http://127.0.0.1:{free_port()}",
        "secret_keys": found[0].settings["secret_keys"],
        "trusted_proxies": ["127.0.0.1"],
        "drain": {"delay": "2s"},
    }
    for each in found:
        each.write(**same)
    return found


def test_two_that_are_restarted_in_turn_lose_no_request(gateways: list[Reloadable]) -> None:
    """POST, which HAProxy never asks twice, as well as GET."""
    front = gateways[0].settings["public_url"]
    text = (CONFIG / "haproxy" / "several-gateways.cfg").read_text()
    for old, gateway in zip(("192.0.2.11:8080", "192.0.2.12:8080"), gateways, strict=True):
        text = text.replace(old, bare(gateway.url))
    text = replaced(text, [("bind *:80 ", f"bind {bare(front)} "), ("inter 1s", "inter 200ms")])
    with contextlib.ExitStack() as stack:
        for gateway in gateways:
            stack.enter_context(gateway.run())
        log = stack.enter_context(run_haproxy(text, f"{front}/oauth2/livez"))
        with Browser(front) as browser:
            cookie = sign_in(browser)
        with Asking(front, cookie) as asking, Asking(front, cookie, "POST") as posting:
            for name, gateway in zip("ab", gateways, strict=True):
                asking.wait_for(10)
                posting.wait_for(10)
                restart(gateway, stack, name, log)
        assert asking.wrong == posting.wrong == []


def restart(gateway: Reloadable, stack: contextlib.ExitStack, name: str, log: Path) -> None:
    """Stop one, once HAProxy has noticed, and start it anew; returns when it is asked again."""

    def count(what: str) -> int:
        return log.read_text().count(what)

    downs, ups = count(f"/{name} is DOWN"), count(f"/{name} is UP")
    assert gateway.stop() == 0
    assert count(f"/{name} is DOWN") > downs  # while it served on
    served = count(f" gateways/{name}\n")
    stack.enter_context(gateway.run())
    wait_until(lambda: count(f"/{name} is UP") > ups)
    wait_until(lambda: count(f" gateways/{name}\n") > served + 20)
