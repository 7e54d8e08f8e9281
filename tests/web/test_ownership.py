"""TikTok's ownership files: there for everybody, at their exact paths and nowhere else, in every form."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import pytest

from gateway.settings import SettingsProblems, load
from gateway.simulator import RunningSimulator
from tests.commands import invoke
from tests.harness import PROGRAMS, Browser, Running, serve_gateway, serve_in, settings_environ

LINE = "tiktok-developers-site-verification=AbC123"
FILES = json.dumps({"tiktokAbC123.txt": LINE, "/shop/tiktokXyZ.txt": LINE + "xyz"})
ON = {"tiktok__ownership_files": FILES, "routes": "[{path: /**}]"}


@pytest.fixture(scope="module", params=PROGRAMS)
def gateway(request: pytest.FixtureRequest, simulator: RunningSimulator, upstream: str) -> Generator[Running]:
    with serve_in(request.param, simulator, upstream, **ON) as running:
        yield running


@pytest.fixture
def stranger(gateway: Running) -> Generator[Browser]:
    with Browser(gateway.url) as browser:
        yield browser


def test_tiktok_reads_its_file(stranger: Browser) -> None:
    for path, content in (("/tiktokAbC123.txt", LINE), ("/shop/tiktokXyZ.txt", LINE + "xyz")):
        for answer in (stranger.client.get(stranger.url + path), stranger.navigate(path + "?x=1")):
            assert (answer.status_code, answer.text) == (200, content)
            assert answer.headers["content-type"].startswith("text/plain")
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "set-cookie" not in answer.headers
        head = stranger.client.head(stranger.url + path)
        assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(content)))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_it_is_read_and_nothing_else(stranger: Browser, method: str) -> None:
    answer = stranger.client.request(method, stranger.url + "/tiktokAbC123.txt")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize(
    "path",
    [
        *("/tiktokAbC123.txt/", "/tiktokAbC123.txt/x", "/tiktokabc123.txt", "/x/tiktokAbC123.txt", "/tiktokAbC123"),
        *("/tiktokAbC123.txt;x", "/tiktokAbC123.txt%00", "/tiktokXyZ.txt", "/shop", "/oauth2/tiktokAbC123.txt"),
        *("/tiktokAbC123.txt%2fx", "/tiktokAbC123.txt%3Fx", "/tiktokAbC123.txt."),
    ],
)
def test_nothing_near_it_is_open(stranger: Browser, path: str) -> None:
    answer = stranger.fetch(path)
    # it is left to the routes, or refused as any such path is
    assert answer.status_code in ({404} if path.startswith("/oauth2/") else {400, 401})
    assert LINE not in answer.text


def test_without_the_setting_such_a_path_is_like_any_other(simulator: RunningSimulator, upstream: str) -> None:
    with serve_gateway(simulator, upstream, routes="[{path: /**}]") as running, Browser(running.url) as browser:
        assert browser.fetch("/tiktokAbC123.txt").status_code == 401


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ("{a.html: x}", "tiktok.ownership_files.a.html: must be a name or a path that ends with .txt"),
        ("{../a.txt: x}", "must be a name or a path"),
        ("{'/a/../b.txt': x}", "must be a name or a path"),
        ("{'/.well-known/a.txt': x}", "must be a name or a path"),
        ("{'https://x/a.txt': x}", "must be a name or a path"),
        ("{a.txt: ''}", "has a content that is none"),
        ("{a.txt: \u00e9}", "has a content that is none"),
        ("{a.txt: x, /a.txt: y}", "has the same file twice"),
        ("{/oauth2/a.txt: x}", "lies under `prefix`"),
        ("[a.txt]", "must be a mapping of names to values"),
    ],
)
def test_what_cannot_be_is_told(simulator: RunningSimulator, tmp_path: Path, files: str, said: str) -> None:
    environ = settings_environ(simulator, "https://app.example.com")
    path = tmp_path / "gateway.yaml"
    path.write_text(f"tiktok:\n  ownership_files: {files}\n")
    with pytest.raises(SettingsProblems) as refused:
        load(path, environ)
    assert said in str(refused.value)
    assert "gateway.yaml:2:" in str(refused.value)


def test_a_file_may_be_named_and_explain_knows_it(simulator: RunningSimulator, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text(LINE + "\n")
    files = json.dumps({"tiktokT.txt": f"${{file:{tmp_path / 't.txt'}}}"})
    environ = settings_environ(simulator, "https://app.example.com", tiktok__ownership_files=files)
    assert load(None, environ).tiktok.ownership_paths == {"/tiktokT.txt": LINE}
    told = invoke("explain", "GET", "/tiktokT.txt", "--signed-out", "--json", environ=environ)
    assert json.loads(told.stdout)["decision"] == "own"
