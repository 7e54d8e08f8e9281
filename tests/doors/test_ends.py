"""What is under way for a person ends when the session does, in every form; of others, nothing does."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from flask import Flask, Response

from gateway.asgi import protect
from gateway.simulator import RunningSimulator
from tests.doors.conftest import wsgi as wsgi_form
from tests.harness import (
    Browser,
    Running,
    listener,
    read_settings,
    serve_app,
    serve_gateway,
    serve_gateway_slowly,
    url_of,
)

TICKS = 100
PACE = 0.1  # seconds


async def events(scope: Any, receive: Any, send: Any) -> None:
    """Send events for ten seconds, also as a download, or wait as long without an answer."""
    if scope["type"] != "http":
        return
    kind = b"application/octet-stream" if scope["path"].endswith("/download") else b"text/event-stream"
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]}
    if scope["path"].endswith("/silent"):
        await asyncio.sleep(TICKS * PACE)
    await send(start)
    for number in range(TICKS):
        await send({"type": "http.response.body", "body": b"data: %d\n\n" % number, "more_body": True})
        await asyncio.sleep(PACE)
    await send({"type": "http.response.body"})


def flask_events() -> Flask:
    app = Flask(__name__)

    @app.route("/<path:path>")
    def answer(path: str) -> Any:
        def body() -> Iterator[bytes]:
            for number in range(TICKS):
                yield b"data: %d\n\n" % number
                time.sleep(PACE)

        return Response(body(), mimetype="text/event-stream")

    return app


@contextlib.contextmanager
def fast(simulator: RunningSimulator) -> Generator[Running]:
    with serve_app(events) as upstream, serve_gateway(simulator, upstream) as running:
        yield running


@contextlib.contextmanager
def slow(simulator: RunningSimulator) -> Generator[Running]:
    with serve_app(events) as upstream, serve_gateway_slowly(simulator, upstream) as running:
        yield running


@contextlib.contextmanager
def asgi(simulator: RunningSimulator) -> Generator[Running]:
    bound = listener()
    settings = read_settings(simulator, url_of(bound))
    with serve_app(protect(events, settings), bound) as url:
        yield Running(url, settings, simulator)


@contextlib.contextmanager
def wsgi(simulator: RunningSimulator) -> Generator[Running]:
    with wsgi_form(simulator, flask_events()) as running:
        yield running


@pytest.fixture(params=[fast, slow, asgi, wsgi], ids=lambda form: form.__name__)
def running(request: pytest.FixtureRequest, simulator: RunningSimulator) -> Generator[Running]:
    with request.param(simulator) as running:
        yield running


@pytest.fixture
def ends(running: Running, request: pytest.FixtureRequest) -> bool:
    """Whether an event stream ends in order: inside an app, whose server may have no other end that a client sees."""
    return "[asgi]" in request.node.name


def enter(browser: Browser) -> None:
    browser.sign_in("/oauth2/start?rd=/oauth2/account")


def leave(browser: Browser, *, everywhere: bool = False) -> None:
    browser.fetch("/oauth2/sign_out", method="POST", data={"everywhere": "1"} if everywhere else {})


def read_until_cut(stream: httpx.Response, act: Callable[[], None], *, ends: bool = False) -> float:
    """Act at the first event; returns the seconds from then to the end, which must not look like one but where it is.

    Where HTTP/1.0 is served, as by wsgiref, every end of a connection does.
    """
    acted_at, number = 0.0, 0
    looks_whole = ends or stream.http_version == "HTTP/1.0"
    with contextlib.nullcontext() if looks_whole else pytest.raises(httpx.TransportError):
        for _ in stream.iter_raw():
            number += 1
            if not acted_at:
                acted_at = time.monotonic()
                act()
    assert 0 < number < TICKS
    return time.monotonic() - acted_at


def test_a_stream_ends_within_two_seconds_of_a_sign_out(running: Running, ends: bool) -> None:
    with Browser(running.url) as browser, Browser(running.url) as watcher:
        enter(browser)
        watcher.client.cookies.update(browser.client.cookies)
        with watcher.client.stream("GET", running.url + "/private/events") as stream:
            assert stream.status_code == 200
            seconds = read_until_cut(stream, lambda: leave(browser), ends=ends)
        assert seconds < 2.5  # a chunk is on its way, and the reader on a busy machine


def test_a_download_that_is_cut_never_looks_whole(simulator: RunningSimulator) -> None:
    with asgi(simulator) as running, Browser(running.url) as browser, Browser(running.url) as watcher:
        enter(browser)
        watcher.client.cookies.update(browser.client.cookies)
        with watcher.client.stream("GET", running.url + "/private/download") as stream:
            read_until_cut(stream, lambda: leave(browser))


def test_a_stream_of_another_device_goes_on(running: Running) -> None:
    with Browser(running.url) as phone, Browser(running.url) as laptop:
        enter(phone)
        enter(laptop)
        with laptop.client.stream("GET", running.url + "/private/events") as stream:
            chunks = stream.iter_raw()
            next(chunks)
            leave(phone)
            began_at = time.monotonic()
            while time.monotonic() < began_at + 2.5:
                assert next(chunks)


def test_a_sign_out_everywhere_ends_the_streams_of_all_devices(running: Running, ends: bool) -> None:
    with Browser(running.url) as phone, Browser(running.url) as laptop:
        enter(phone)
        enter(laptop)
        with laptop.client.stream("GET", running.url + "/private/events") as stream:
            assert read_until_cut(stream, lambda: leave(phone, everywhere=True), ends=ends) < 2.5


@pytest.mark.parametrize("form", [fast, slow, asgi], ids=lambda form: form.__name__)
def test_who_waits_for_an_answer_is_told_that_the_session_has_ended(
    simulator: RunningSimulator, form: Callable[[RunningSimulator], contextlib.AbstractContextManager[Running]]
) -> None:
    with form(simulator) as running, Browser(running.url) as browser, Browser(running.url) as other:
        enter(browser)
        other.client.cookies.update(browser.client.cookies)
        with ThreadPoolExecutor() as threads:
            waiting = threads.submit(browser.fetch, "/private/silent")
            time.sleep(0.3)
            leave(other)
            answer = waiting.result(timeout=10)
        assert (answer.status_code, answer.json()["code"]) == (401, "session_ended")


@pytest.mark.parametrize("form", [fast, slow], ids=lambda form: form.__name__)
def test_a_refresh_of_the_token_ends_nothing(
    simulator: RunningSimulator, form: Callable[[RunningSimulator], contextlib.AbstractContextManager[Running]]
) -> None:
    with form(simulator) as running, Browser(running.url) as browser, Browser(running.url) as other:
        enter(browser)
        other.client.cookies.update(browser.client.cookies)
        with browser.client.stream("GET", running.url + "/private/events") as stream:
            chunks = stream.iter_raw()
            next(chunks)
            assert other.fetch("/oauth2/refresh", method="POST").status_code == 200
            began_at = time.monotonic()
            while time.monotonic() < began_at + 2.0:
                assert next(chunks)


def test_a_stream_ends_when_its_session_expires(simulator: RunningSimulator) -> None:
    """Nobody tells that: it is noticed by the clock."""
    with (
        serve_app(events) as upstream,
        serve_gateway(simulator, upstream, session__absolute_timeout="3s", session__idle_timeout="3s") as running,
        Browser(running.url) as browser,
    ):
        enter(browser)
        with browser.client.stream("GET", running.url + "/private/events") as stream:
            assert read_until_cut(stream, lambda: None) < 6
