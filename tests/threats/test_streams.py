"""Streams through the whole gateway: each event at once, whole bodies both ways, and an end that is an end."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Generator
from typing import Any

import httpx
import pytest

from gateway.simulator import RunningSimulator
from tests.harness import Browser, Running, serve_app, serve_gateway

SIZE = 30_000_000


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Events that wait for each other, a large body down, the hash of a body up, an answer that breaks off."""
    if scope["type"] != "http":
        return
    start = {"type": "http.response.start", "status": 200}
    match scope["path"]:
        case "/public/events":
            await send(start | {"headers": [(b"content-type", b"text/event-stream")]})
            for number in range(3):
                await send({"type": "http.response.body", "body": b"data: %d\n\n" % number, "more_body": True})
                await asyncio.sleep(0.3)
            await send({"type": "http.response.body"})
        case "/private/down":
            await send(start | {"headers": [(b"content-length", b"%d" % SIZE)]})
            for _ in range(SIZE // 100_000):
                await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
            await send({"type": "http.response.body"})
        case "/private/up":
            digest, more = hashlib.sha256(), True
            while more:
                message = await receive()
                digest.update(message.get("body", b""))
                more = message.get("more_body", False)
            await send(start | {"headers": []})
            await send({"type": "http.response.body", "body": digest.hexdigest().encode()})
        case "/public/broken":
            await send(start | {"headers": [(b"content-length", b"1000")]})
            await send({"type": "http.response.body", "body": b"only this", "more_body": True})
            raise ConnectionError("the app breaks off")


@pytest.fixture(scope="module")
def gateway(simulator: RunningSimulator) -> Generator[Running]:
    with serve_app(app) as upstream, serve_gateway(simulator, upstream) as running:
        yield running


def test_each_event_arrives_before_the_next_is_made(gateway: Running) -> None:
    with httpx.stream("GET", gateway.url + "/public/events", trust_env=False, timeout=10) as answer:
        chunks = [chunk for chunk in answer.iter_raw() if chunk]
    assert chunks == [b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n"]


def test_large_bodies_pass_whole_both_ways(gateway: Running) -> None:
    with Browser(gateway.url) as browser:
        browser.sign_in("/private/up")
        down = browser.fetch("/private/down")
        assert (len(down.content), down.headers["content-length"]) == (SIZE, str(SIZE))
        assert down.content.count(b"x") == SIZE

        def chunks() -> Generator[bytes]:
            for number in range(100):
                yield bytes([number]) * 100_000

        expected = hashlib.sha256(b"".join(chunks())).hexdigest()
        assert browser.fetch("/private/up", method="POST", content=b"".join(chunks())).text == expected
        assert browser.fetch("/private/up", method="POST", content=chunks()).text == expected


def test_an_answer_that_breaks_off_does_not_end_as_complete(gateway: Running) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(gateway.url + "/public/broken", trust_env=False)
