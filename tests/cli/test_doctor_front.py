"""`gateway doctor` asks the public address as the browser of a bound session would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.runtime.device_front import NAME, Said, judge
from gateway.simulator import RunningSimulator
from tests.certificates import Issued, issue
from tests.cli.test_doctor import doctor, problems
from tests.harness import echo, serve_app
from tests.listening import serve_listening
from tests.ports import free_port
from tests.redis_server import RedisServer

OURS = b'{"continue": false}'


@pytest.fixture(scope="module")
def issued() -> Issued:
    return issue("127.0.0.1")


@pytest.fixture
def files(issued: Issued, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A certificate that is trusted here, and its key."""
    written = issued.write(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(written[0]))
    return written


def ask(simulator: RunningSimulator, redis_server: RedisServer, app: str, url: str, **changes: str) -> Any:
    changes = {"session__device_binding": "on"} | changes
    _, told = doctor(
        simulator, redis_server, app, public_url=url, tiktok__authorize_url=simulator.authorize_url, **changes
    )
    return told


def found(told: Any) -> Any:
    (finding,) = [each for each in told["findings"] if each["name"] == NAME]
    return finding


@pytest.mark.parametrize("binding", ["on", "off"])
def test_the_gateway_itself_is_known_and_one_that_binds_nothing(
    simulator: RunningSimulator, redis_server: RedisServer, files: tuple[Path, Path], binding: str
) -> None:
    with (
        serve_app(echo) as upstream,
        serve_listening(simulator, upstream, None, files, session__device_binding=binding) as running,
    ):
        told = ask(simulator, redis_server, upstream, running.url)
    assert (NAME in problems(told)) == (binding == "off")
    assert found(told)["ok"] == (binding == "on")
    if binding == "off":
        assert "404" in found(told)["found"]
        assert "gateway reload" in found(told)["advice"]


def test_an_address_that_nobody_answers_at_is_a_warning(
    simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> None:
    told = ask(simulator, redis_server, upstream, f"https://127.0.0.1:{free_port()}")
    assert NAME not in problems(told)
    assert found(told)["warns"]
    assert "does not answer from here" in found(told)["found"]


def test_a_certificate_that_nobody_trusts_is_told(
    simulator: RunningSimulator, redis_server: RedisServer, tmp_path: Path, issued: Issued
) -> None:
    with (
        serve_app(echo) as upstream,
        serve_listening(simulator, upstream, None, issued.write(tmp_path), session__device_binding="on") as running,
    ):
        told = ask(simulator, redis_server, upstream, running.url)
    assert "certificate" in found(told)["found"]
    assert found(told)["warns"]


def test_nothing_is_asked_where_no_session_is_bound(
    simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> None:
    told = ask(simulator, redis_server, upstream, "https://app.example.com", session__cookie_domain="example.com")
    assert NAME not in {each["name"] for each in told["findings"]}
    said = {each["key"]: each["message"] for each in told["warnings"]}
    assert "session.cookie_domain shares the session" in said["session.device_binding"]


@pytest.mark.parametrize("status", [301, 302, 401, 403, 404, 405, 413, 429, 500, 502])
def test_what_ends_a_binding_by_mistake_is_a_problem(status: int) -> None:
    finding = judge(Said(status, "text/html", b"<html>"), "/oauth2")
    assert finding.must_be_mended
    assert str(status) in finding.found
    assert "/oauth2/device/" in finding.advice
    assert ("429" in finding.advice) == (status == 429)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"continue": true}', b'["continue"]', b"\xff"])
def test_a_page_of_somebody_elses_is_no_answer(body: bytes) -> None:
    assert judge(Said(200, "application/json", body), "/oauth2").must_be_mended


def test_who_is_away_for_now_is_a_warning() -> None:
    finding = judge(Said(503, "", OURS), "/oauth2")
    assert (finding.ok, finding.warns) == (False, True)
    assert judge(Said(200, "", OURS), "/oauth2").ok
