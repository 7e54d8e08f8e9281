"""A body that is under way when a proof ends comes through whole, either way."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Callable, Generator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.flows.live import Watch
from gateway.simulator import RunningSimulator
from tests.certificates import Issued
from tests.device_binding.browser import DeviceBrowser
from tests.harness import WAYS, Running, echo, serve_app
from tests.listening import serve_listening
from tests.waiting import PATIENCE, wait_for

LASTS = timedelta(seconds=3)
MAY_END = threading.Event()


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Echo, and tell something whose end comes when it may."""
    if not scope.get("path", "").endswith("/stream"):
        await echo(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    await send({"type": "http.response.body", "body": b"first", "more_body": True})
    await asyncio.to_thread(MAY_END.wait, PATIENCE)
    await send({"type": "http.response.body", "body": b"last"})


@pytest.fixture(params=WAYS)
def running(
    request: pytest.FixtureRequest, simulator: RunningSimulator, issued: Issued, tmp_path: Path
) -> Generator[Running]:
    files = issued.write(tmp_path)
    with (
        serve_app(app) as upstream,
        serve_listening(simulator, upstream, None, files, request.param, session__device_binding="on") as serving,
    ):
        yield serving


Outlive = Callable[[], None]


@pytest.fixture
def outlive(
    running: Running, browser: DeviceBrowser, context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> Generator[Outlive]:
    """Renews the proof; returns what waits for its end, and until what is under way was looked at after it."""
    looks: list[Watch] = []
    look = Watch.look

    async def count(watch: Watch) -> None:
        await look(watch)
        looks.append(watch)

    monkeypatch.setattr(Watch, "look", count)
    monkeypatch.setattr("gateway.core.device_binding.SKEW", timedelta())
    assert running.generation is not None
    monkeypatch.setattr(running.generation.records.device_binding, "_lasts", LASTS)
    browser.refresh()
    cookies = dict(browser.client.cookies)
    with httpx.Client(base_url=running.url, verify=context, trust_env=False, cookies=cookies) as client:

        def wait() -> None:
            wait_for(lambda: client.get("/private/x").status_code == 401, "the end of the proof")
            seen = len(looks)
            wait_for(lambda: len(looks) >= seen + 2, "two looks at what is under way")

        yield wait


def test_an_upload_goes_on(browser: DeviceBrowser, outlive: Outlive) -> None:
    def halves() -> Iterator[bytes]:
        yield b"a" * 1000
        outlive()
        yield b"b" * 1000

    answer = browser.client.post(browser.url + "/private/x", content=halves())
    assert answer.status_code == 200
    assert json.loads(answer.content)["body"] == "a" * 1000 + "b" * 1000


def test_a_stream_goes_on(browser: DeviceBrowser, outlive: Outlive) -> None:
    MAY_END.clear()
    try:
        with browser.client.stream("GET", browser.url + "/private/stream") as answer:
            pieces = answer.iter_bytes()
            seen = next(pieces)
            outlive()
            MAY_END.set()
            assert seen + b"".join(pieces) == b"firstlast"
    finally:
        MAY_END.set()
