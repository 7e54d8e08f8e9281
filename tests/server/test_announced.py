"""A balancer says for whom it connects: what becomes of it, and of those who are no balancer."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import struct
from collections.abc import Generator
from pathlib import Path

import pytest

from gateway.core.proxy_protocol import SIGNATURE
from gateway.simulator import RunningSimulator
from tests.certificates import issue
from tests.haproxy import run_haproxy
from tests.harness import Running, echo, serve_app
from tests.listening import TlsTalk, serve_listening
from tests.nginx import run_nginx
from tests.ports import free_port
from tests.server.conftest import Dry
from tests.talk import Answer, Talk, ask, compose

ANNOUNCING = {"proxy_protocol": True}
LINE = b"PROXY TCP4 203.0.113.7 192.0.2.1 5000 443\r\n"
ADDRESSES = socket.inet_aton("203.0.113.7") + socket.inet_aton("192.0.2.1") + struct.pack("!HH", 5000, 443)
BLOCK = SIGNATURE + b"\x21\x11\x00\x0c" + ADDRESSES
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"
REQUEST = compose(fields=b"Host: app.example\r\nX-Forwarded-For: 198.51.100.9\r\n")


@pytest.fixture(scope="module")
def upstream() -> Generator[str]:
    with serve_app(echo) as url:
        yield url


@pytest.fixture(scope="module", params=["fast", "slow"])
def running(request: pytest.FixtureRequest, simulator: RunningSimulator, upstream: str) -> Generator[Running]:
    with serve_listening(
        simulator, upstream, ANNOUNCING, None, request.param, trusted_proxies='["127.0.0.1"]'
    ) as running:
        yield running


def forwarded(answer: Answer | None) -> str:
    """Return whom the app was told of."""
    assert answer is not None
    assert answer.status == 200
    told = dict(json.loads(answer.body)["headers"])
    return str(told["x-forwarded-for"])


@pytest.mark.parametrize(
    ("header", "client"),
    [
        (LINE, "203.0.113.7"),
        (BLOCK, "203.0.113.7"),
        (b"PROXY UNKNOWN\r\n", "unknown"),
        (SIGNATURE + b"\x21\x00\x00\x00", "unknown"),
        (LOCAL, "198.51.100.9"),  # the balancer's own, which is trusted
    ],
)
def test_who_it_is_for_is_the_client(running: Running, header: bytes, client: str) -> None:
    with Talk(running.address) as talk:
        talk.say(header + REQUEST)
        assert forwarded(talk.answer()) == client
        assert forwarded(talk.say(REQUEST).answer()) == client  # of every request, also by what was learned


@pytest.mark.parametrize("header", [LINE, BLOCK])
def test_it_may_come_in_any_pieces(running: Running, header: bytes) -> None:
    whole = header + REQUEST
    for cut in (1, 5, 13, 16, 20, len(header) - 1, len(header), len(header) + 3):
        with Talk(running.address) as talk:
            assert forwarded(talk.say(whole[:cut], whole[cut:], pause=0.02).answer()) == "203.0.113.7"
    with Talk(running.address) as talk:
        assert forwarded(talk.say(*(bytes([byte]) for byte in whole)).answer()) == "203.0.113.7"


@pytest.mark.parametrize("said", [REQUEST, b"PROXY TCP4 x\r\n" + REQUEST, SIGNATURE + b"\x31\x11\x00\x0c"])
def test_what_is_no_header_ends_the_connection(running: Running, said: bytes) -> None:
    with Talk(running.address) as talk:
        assert talk.say(said).ends()


def test_it_comes_once(running: Running) -> None:
    answer = ask(running.address, LINE + LINE + REQUEST)
    assert answer is not None
    assert answer.status == 400


def test_nobody_else_is_heard(simulator: RunningSimulator, upstream: str) -> None:
    with serve_listening(simulator, upstream, ANNOUNCING, trusted_proxies='["10.0.0.0/8"]') as running:
        assert ask(running.address, LINE + REQUEST) is None


def test_each_client_has_its_own_share(simulator: RunningSimulator, upstream: str) -> None:
    limits = {"limits__connections_per_address": "2", "trusted_proxies": '["127.0.0.1"]'}
    with serve_listening(simulator, upstream, ANNOUNCING, **limits) as running:
        talks = [Talk(running.address).say(LINE + REQUEST) for _ in range(2)]
        assert [forwarded(talk.answer()) for talk in talks] == ["203.0.113.7"] * 2
        assert ask(running.address, LINE + REQUEST) is None
        other = LINE.replace(b"203.0.113.7", b"203.0.113.8")
        assert forwarded(ask(running.address, other + REQUEST)) == "203.0.113.8"
        for talk in talks:
            talk.vanish()


def test_a_header_that_does_not_come_is_not_waited_for(simulator: RunningSimulator, upstream: str) -> None:
    limits = {"limits__head_timeout": "1s", "trusted_proxies": '["127.0.0.1"]'}
    with serve_listening(simulator, upstream, ANNOUNCING, **limits) as running, Talk(running.address) as talk:
        assert talk.say(LINE[:-1]).ends()


def test_it_comes_before_tls(simulator: RunningSimulator, upstream: str, tmp_path: Path) -> None:
    issued = issue("127.0.0.1")
    changes = {"trusted_proxies": '["127.0.0.1"]'}
    with serve_listening(simulator, upstream, ANNOUNCING, issued.write(tmp_path), **changes) as running:
        for header in (LINE, BLOCK):
            with TlsTalk(running.address, issued, before=header) as talk:
                assert forwarded(talk.say(REQUEST).answer()) == "203.0.113.7"


@pytest.mark.parametrize("word", ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl-cn"])
def test_haproxy_says_it(running: Running, word: str) -> None:
    port = free_port()
    configuration = f"""global
  log /dev/log local0
defaults
  mode tcp
  timeout connect 5s
  timeout client 10s
  timeout server 10s
listen gateway
  bind 127.0.0.1:{port}
  server gateway {running.address[0]}:{running.address[1]} {word} check
"""
    with run_haproxy(configuration, f"http://127.0.0.1:{port}/oauth2/livez"):
        assert told_through(port) == "127.0.0.2"


def test_nginx_says_it(running: Running) -> None:
    port, gateway = free_port(), f"{running.address[0]}:{running.address[1]}"
    stream = f"server {{ listen 127.0.0.1:{port}; proxy_pass {gateway}; proxy_protocol on; }}"
    url = f"http://127.0.0.1:{port}/oauth2/livez"
    with run_nginx("", url, modules=["ngx_stream_module"], stream=stream):
        assert told_through(port) == "127.0.0.2"


def told_through(port: int) -> str:
    """Return whom the app is told of, asked through a balancer from another address than the balancer's own.

    Who comes from there is not trusted, whatever they say of themselves.
    """
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=10, source_address=("127.0.0.2", 0))
    with contextlib.closing(client):
        client.request("GET", "/public/x", headers={"X-Forwarded-For": "198.51.100.9"})
        told = dict(json.loads(client.getresponse().read())["headers"])
    return str(told["x-forwarded-for"])


@pytest.mark.anyio
async def test_time_for_a_request_is_counted_from_when_it_was_accepted(dry: Dry) -> None:
    client, transport = dry.connect()
    now = asyncio.get_running_loop().time()
    client.arrived_at = now - client.timeouts.head - 1
    client.connection_made(transport)
    client.tick(now)
    assert transport.closing
