"""An app in this process is told of each sign-in, and a sign-in stands whatever the app makes of it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import pytest

from gateway.asgi import NewSignIn, protect
from gateway.flows import sign_in_hook
from gateway.simulator import RunningSimulator
from tests.doors.conftest import flask_echo
from tests.doors.conftest import wsgi as serve_wsgi
from tests.harness import Browser, Running, echo, listener, read_settings, serve_app, url_of

ADA, BOTH = "_000plain0Pq0Pq0Pq0Pq0Pq0Pq0Pq0Pq0Pq", ("user.info.basic", "user.info.profile")


class Told:
    """The app's function: takes down what it is told, and where it is called."""

    def __init__(self) -> None:
        self.all: list[NewSignIn] = []
        self.threads: list[bool] = []
        self.trouble: Exception | None = None

    async def later(self, sign_in: NewSignIn) -> None:
        self(sign_in)

    def __call__(self, sign_in: NewSignIn) -> None:
        self.all.append(sign_in)
        self.threads.append(_is_on_a_loop())
        if self.trouble is not None:
            raise self.trouble


def _is_on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture(params=["async", "plain", "wsgi"])
def site(request: pytest.FixtureRequest, simulator: RunningSimulator, told: Told) -> Generator[Running]:
    if request.param == "wsgi":
        with serve_wsgi(simulator, flask_echo(), on_sign_in=told) as running:
            yield running
        return
    bound = listener()
    settings = read_settings(simulator, url_of(bound))
    hook: Any = told.later if request.param == "async" else told
    with serve_app(protect(echo, settings, on_sign_in=hook), bound) as url:
        yield Running(url, settings, simulator)


def test_each_sign_in_is_told_and_whether_it_is_the_first(site: Running, told: Told) -> None:
    with Browser(site.url) as laptop, Browser(site.url) as phone:
        session = laptop.sign_in("/private/x", person="plain").json()
        phone.sign_in("/private/x", person="plain")
        assert [(each.open_id, each.first, each.scopes) for each in told.all] == [(ADA, True, BOTH), (ADA, False, BOTH)]
        assert told.all[0].person.access_token in str(session)
        assert told.all[0].person.access_token not in repr(told.all)
        for browser in (laptop, phone):
            browser.fetch("/oauth2/sign_out", method="POST")
        laptop.sign_in("/private/x", person="plain")
    assert told.all[-1].first
    assert told.all[-1].person.session_id != told.all[0].person.session_id


def test_what_may_block_is_called_where_it_blocks_nobody(site: Running, told: Told, request: Any) -> None:
    with Browser(site.url) as browser:
        browser.sign_in("/private/x")
    assert told.threads == ["async" in request.node.name]


def test_a_sign_in_stands_though_the_app_fails(site: Running, told: Told, caplog: pytest.LogCaptureFixture) -> None:
    told.trouble = LookupError("the app's database is away")
    with caplog.at_level(logging.ERROR), Browser(site.url) as browser:
        assert browser.sign_in("/private/x").status_code == 200
    assert "event=on_sign_in_failed" in caplog.text
    assert "the app's database is away" in caplog.text
    assert told.all[0].person.access_token not in caplog.text


def test_nobody_waits_for_an_app_that_hangs(
    simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sign_in_hook, "LONGEST", timedelta(milliseconds=50))
    given_up = threading.Event()

    async def hang(_: NewSignIn) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            given_up.set()

    bound = listener()
    app = protect(echo, read_settings(simulator, url_of(bound)), on_sign_in=hang)
    with serve_app(app, bound) as url, Browser(url) as browser:
        assert browser.sign_in("/private/x").status_code == 200
    assert given_up.is_set()
    assert "event=on_sign_in_failed" in caplog.text
