"""Without `session.device_binding` there is nothing of it; with it, browsers that do not know it get one field more."""

from __future__ import annotations

import json
import ssl
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from gateway.simulator import RunningSimulator
from tests.certificates import Issued
from tests.device_binding.browser import DeviceBrowser
from tests.harness import Running, echo, serve_app
from tests.listening import serve_listening


class Plain(DeviceBrowser):
    """A browser that knows nothing of bound sessions."""

    def register(self, offered: str) -> httpx.Response:
        """Pass it over."""
        return httpx.Response(204)


@pytest.fixture(scope="module")
def off(simulator: RunningSimulator, issued: Issued, tmp_path_factory: pytest.TempPathFactory) -> Generator[Running]:
    files = issued.write(Path(tmp_path_factory.mktemp("tls")))
    with serve_app(echo) as upstream, serve_listening(simulator, upstream, None, files) as serving:
        yield serving


def complete(browser: DeviceBrowser) -> httpx.Response:
    """Sign in; returns the answer that completes it."""
    begun = browser.navigate("/oauth2/start")
    return browser.navigate(browser.consent(begun.headers["location"]))


def test_nothing_is_offered_and_there_are_no_pages(off: Running, context: ssl.SSLContext) -> None:
    with Plain(off.url, context) as browser:
        assert "secure-session-registration" not in complete(browser).headers
        for page in ("register", "refresh"):
            for method in ("GET", "POST"):
                answer = browser.fetch(f"/oauth2/device/{page}", method=method)
                assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_browser_that_does_not_know_it_is_told_one_field_more(
    off: Running, running: Running, context: ssl.SSLContext
) -> None:
    with Plain(off.url, context) as without, Plain(running.url, context) as offered:
        before, after = complete(without), complete(offered)
        assert before.status_code == after.status_code
        names = [name for name, _ in after.headers.multi_items()]
        assert names.count("secure-session-registration") == 1
        names.remove("secure-session-registration")
        assert names == [name for name, _ in before.headers.multi_items()]
        told = [answer.fetch("/private/x", headers={"x-request-id": "x"}) for answer in (without, offered)]
        lines = [[name for name, _ in each.headers.multi_items()] for each in told]
        assert lines[0] == lines[1]
        seen = [sorted(name for name, _ in json.loads(each.content)["headers"]) for each in told]
        assert seen[0] == seen[1]
