"""The audit trail of a gateway that runs: every event, by whom, and never more than may be told."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.core.audit import What, Who
from gateway.simulator import RunningSimulator
from gateway.simulator.webhook import send_webhook
from tests import commands
from tests.harness import Browser
from tests.qr import confirm, read_qr
from tests.redis_server import RedisServer
from tests.runtime.conftest import RunningProcess, run_gateway
from tests.waiting import wait_for

ALICE, NAMELESS, JOB = (f"{name}-key-of-at-least-32-characters" for name in ("alices", "nameless", "nightly"))
SECRET_KEY = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V"
SETTINGS = {
    "admin__keys": json.dumps([{"name": "alice", "key": ALICE}, NAMELESS]),
    "tokens__clients": json.dumps([{"name": "nightly", "key": JOB, "scopes": ["user.info.profile", "video.list"]}]),
    "secret_keys": json.dumps([SECRET_KEY]),
    "tiktok__webhook__enabled": "true",
    "routes": "[{path: /videos/**, scopes: [video.list]}, {path: /**}]",
    "qr_sign_in": "true",
    "log__level": "error",  # which is not about the trail
}
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
)


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> Generator[RunningProcess]:
    folder = tmp_path_factory.mktemp("gateway")
    with run_gateway(folder, simulator, redis_server, upstream, **SETTINGS) as running:
        yield running


@pytest.fixture(autouse=True)
def afresh(request: pytest.FixtureRequest) -> None:
    if "running" in request.fixturenames:
        running: RunningProcess = request.getfixturevalue("running")
        running.simulator.simulator.reset()
        running.redis.command("FLUSHALL")
        running.log.write_text("")


@pytest.fixture
def browser(running: RunningProcess) -> Generator[Browser]:
    with Browser(running.url) as browser:
        browser.client.headers["user-agent"] = CHROME
        yield browser


Line = dict[str, Any]


def read_trail(path: Path) -> list[Line]:
    """Return the events of a log or a file, in order."""
    text = path.read_text().replace("\0", "")  # a log that was emptied under its writer
    return [line for line in map(json.loads, text.splitlines()) if line["event"] == "audit"]


def trail(running: RunningProcess) -> list[Line]:
    return read_trail(running.log)


def call(running: RunningProcess, method: str, path: str, key: str, **options: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"}
    return httpx.request(method, running.admin + path, headers=headers, trust_env=False, timeout=20, **options)


def what(lines: list[Line]) -> list[tuple[str, str]]:
    return [(line["what"], line["who"]) for line in lines]


def test_a_sign_in_and_a_sign_out(running: RunningProcess, browser: Browser) -> None:
    browser.sign_in(person="plain")
    (signed_in,) = trail(running)
    assert signed_in["what"] == "sign_in_completed"
    assert (signed_in["outcome"], signed_in["who"], signed_in["client"]) == ("success", "person", "127.0.0.1")
    assert signed_in["agent"] == "Chrome on Windows"
    assert signed_in["scopes"] == "user.info.basic,user.info.profile"
    assert signed_in["timestamp"].endswith("Z")
    assert len(signed_in["request_id"]) == 24
    session = browser.fetch("/oauth2/userinfo").json()["session_id"]
    assert signed_in["session"] == session
    browser.fetch("/oauth2/sign_out", method="POST")
    out = trail(running)[-1]
    assert (out["what"], out["reach"], out["session"]) == ("signed_out", "this_device", session)
    assert out["subject"] == signed_in["subject"]
    assert out["request_id"] != signed_in["request_id"]


def test_everywhere_and_a_browser_that_signs_in_anew(running: RunningProcess, browser: Browser) -> None:
    browser.sign_in(person="plain")
    browser.navigate(browser.consent(browser.navigate("/oauth2/start?switch=1").headers["location"], person="dash"))
    assert [(line["what"], line.get("reach")) for line in trail(running)] == [
        ("sign_in_completed", None),
        ("sign_in_completed", None),
        ("signed_out", "replaced"),
    ]
    browser.fetch("/oauth2/sign_out", method="POST", data={"everywhere": "1"})
    last = trail(running)[-1]
    assert (last["what"], last["reach"], last["ended"]) == ("signed_out", "everywhere", 1)


def test_another_device_is_ended_from_this_one(running: RunningProcess, browser: Browser) -> None:
    browser.sign_in(person="dash")
    with Browser(running.url) as laptop:
        laptop.sign_in(person="dash")
        session = laptop.fetch("/oauth2/userinfo").json()["session_id"]
    browser.fetch("/oauth2/sign_out", method="POST", data={"session": session})
    last = trail(running)[-1]
    assert (last["what"], last["reach"], last["session"]) == ("signed_out", "other_device", session)


def test_a_person_is_called_by_a_hash_which_the_command_prints(running: RunningProcess, browser: Browser) -> None:
    browser.sign_in(person="dash")
    open_id = running.simulator.people["dash"].open_id
    subject = trail(running)[0]["subject"]
    assert open_id not in running.log.read_text()
    simulator = running.simulator.settings
    environ = {
        "GATEWAY__PUBLIC_URL": running.url,
        "GATEWAY__UPSTREAM": "none",
        "GATEWAY__REDIS": running.redis.url,
        "GATEWAY__TIKTOK__CLIENT_KEY": simulator.client_key,
        "GATEWAY__TIKTOK__CLIENT_SECRET": simulator.client_secret,
    }
    newer = json.dumps(["n" * 43, SECRET_KEY])
    told = commands.invoke("subject", f"--user={open_id}", environ=environ | {"GATEWAY__SECRET_KEYS": newer})
    assert told.returncode == 0
    assert told.stdout.split()[1] == subject  # after a rotation, the old lines are found by the old key
    assert len(set(told.stdout.split())) == 2
    assert len(subject) == 32


def test_refusals_say_why(running: RunningProcess, browser: Browser) -> None:
    begun = browser.navigate("/private/x")
    browser.navigate(browser.consent(begun.headers["location"], allow=False))
    begun = browser.navigate("/private/x")
    running.simulator.troubles.html = True
    browser.navigate(browser.consent(begun.headers["location"]))
    running.simulator.troubles.html = False
    browser.navigate("/oauth2/callback?code=c&state=" + "s" * 43)
    refused = trail(running)
    assert [(line["what"], line["outcome"], line["cause"]) for line in refused] == [
        ("sign_in_refused", "failure", "access_denied"),
        ("sign_in_refused", "failure", "provider_unavailable"),
        ("sign_in_refused", "failure", "sign_in_expired"),
    ]


def test_a_code_that_a_phone_scans_is_in_the_trail_as_well(running: RunningProcess, browser: Browser) -> None:
    running.simulator.troubles.qr_refusal = "access_denied"
    for allow, status in ((False, 403), (True, 302)):
        address = browser.navigate("/oauth2/qr?rd=/private/x").headers["location"]
        confirm(read_qr(browser.navigate(address).text), allow=allow)
        wait_for(partial(answers, browser, address, status), "it has ended")
    running.simulator.troubles.reset()
    refused, completed = trail(running)
    assert (refused["what"], refused["cause"], refused["who"]) == ("sign_in_refused", "access_denied", "person")
    assert (completed["what"], completed["agent"]) == ("sign_in_completed", "Chrome on Windows")
    assert completed["client"] == "127.0.0.1"
    assert completed["session"] == browser.fetch("/oauth2/userinfo").json()["session_id"]


def answers(browser: Browser, address: str, status: int) -> bool:
    return browser.navigate(address).status_code == status


def test_who_is_refused_by_tiktok_has_its_log_id(running: RunningProcess, browser: Browser) -> None:
    callback = browser.consent(browser.navigate("/private/x").headers["location"])
    running.simulator.simulator.codes.clear()
    browser.navigate(callback)
    (refused,) = trail(running)
    assert refused["cause"] == "code_refused"
    assert refused["log_id"].startswith("2026")


def test_a_grant_that_tiktok_will_not_renew(running: RunningProcess, browser: Browser) -> None:
    browser.sign_in(person="dash")
    running.simulator.simulator.refresh_tokens.clear()
    browser.fetch("/oauth2/refresh", method="POST")
    ended = trail(running)[-1]
    assert (ended["what"], ended["who"], ended["cause"], ended["ended"]) == ("grant_ended", "gateway", "grant_dead", 1)
    assert ended["subject"] == trail(running)[0]["subject"]
    assert ended["log_id"].startswith("2026")


def test_a_webhook_that_revokes_and_one_of_somebody_else(running: RunningProcess, browser: Browser) -> None:
    browser.sign_in(person="dash")
    settings = running.simulator.settings
    address, open_id = running.url + "/oauth2/webhook", running.simulator.people["dash"].open_id
    send = partial(send_webhook, address, client_key=settings.client_key)
    assert send("authorization.removed", open_id, secret=settings.client_secret).status_code == 200
    assert send("post.publish.complete", None, secret=settings.client_secret).status_code == 200
    assert send("x", None, secret="wrong").status_code == 403
    lines = trail(running)
    assert what(lines)[1:] == [
        ("grant_revoked", "tiktok"),
        ("webhook_taken", "tiktok"),
        ("webhook_taken", "tiktok"),
        ("webhook_refused", "unknown"),
    ]
    assert lines[1]["subject"] == lines[0]["subject"] == lines[2]["subject"]
    assert [line.get("kind") for line in lines[2:]] == ["authorization.removed", "post.publish.complete", None]


def test_a_person_disconnects(running: RunningProcess, browser: Browser) -> None:
    browser.sign_in(person="dash")
    browser.fetch("/oauth2/disconnect", method="POST")
    assert what(trail(running))[1:] == [("grant_revoked", "person")]


def test_an_operator_is_named_by_the_key(running: RunningProcess) -> None:
    open_id = running.simulator.people["dash"].open_id
    for method, path, key, expected in (
        ("DELETE", "/sessions/{session}", ALICE, [("signed_out", "alice")]),
        ("DELETE", f"/sessions?user={open_id}", NAMELESS, [("signed_out", "admin.keys[1]")]),
        ("DELETE", f"/grants/{open_id}", ALICE, [("grant_revoked", "alice")]),
        ("DELETE", f"/grants/{open_id}?erase=1", ALICE, [("grant_revoked", "alice"), ("person_erased", "alice")]),
    ):
        with Browser(running.url) as browser:
            browser.sign_in(person="dash")
            session = browser.fetch("/oauth2/userinfo").json()["session_id"]
        before = len(trail(running))
        assert call(running, method, path.format(session=session), key).status_code == 200
        acts = trail(running)[before:]
        assert [(line["what"], line["key"]) for line in acts] == expected
        assert {line["who"] for line in acts} == {"operator"}
        reach = {"signed_out": "everywhere" if "?user=" in path else "one_session"}
        assert [line.get("reach") for line in acts] == [reach.get(what) for what, _ in expected]
        assert {line["client"] for line in acts} == {"127.0.0.1"}
    before = len(trail(running))
    assert call(running, "GET", "/sessions", "wrong").status_code == 401
    assert what(trail(running)[before:]) == [("admin_refused", "unknown")]


def test_tokens_of_jobs(running: RunningProcess, browser: Browser) -> None:
    browser.sign_in(person="dash")
    body = {"open_id": running.simulator.people["dash"].open_id, "scopes": ["user.info.profile"]}
    assert call(running, "POST", "/tokens", JOB, json=body).status_code == 200
    assert call(running, "POST", "/tokens", JOB, json=body | {"scopes": ["video.list"]}).status_code == 403
    issued, refused = trail(running)[1:]
    assert (issued["what"], issued["who"], issued["key"]) == ("token_issued", "job", "nightly")
    assert (refused["what"], refused["cause"], refused["key"]) == ("token_refused", "insufficient_scope", "nightly")
    assert issued["subject"] == refused["subject"] == trail(running)[0]["subject"]


def test_a_scope_more_and_a_scope_fewer(running: RunningProcess, browser: Browser) -> None:
    browser.sign_in(person="dash")
    asked = browser.navigate("/oauth2/start?scopes=video.list")
    browser.navigate(browser.consent(asked.headers["location"], person="dash"))
    changed = [line for line in trail(running) if line["what"] == "scopes_changed"]
    assert [(line["scopes"], line.get("fewer_scopes")) for line in changed] == [("video.list", None)]
    with Browser(running.url) as laptop:
        laptop.sign_in(person="dash", untick=("user.info.profile",))
    changed = [line for line in trail(running) if line["what"] == "scopes_changed"]
    assert [(line.get("scopes"), line["fewer_scopes"]) for line in changed[1:]] == [(None, "user.info.profile")]


def test_the_log_names_the_request_of_an_event(
    tmp_path: Path, simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> None:
    with run_gateway(tmp_path, simulator, redis_server, upstream) as running, Browser(running.url) as browser:
        browser.sign_in(person="plain")
        (signed_in,) = trail(running)
        assert f'"request_id":"{signed_in["request_id"]}"' in running.log.read_text().replace(" ", "")


def test_a_file_of_its_own_is_for_its_owner_and_survives_rotation(
    tmp_path: Path, simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> None:
    path, settings = tmp_path / "audit.log", {"audit__to": str(tmp_path / "audit.log"), "audit__subject": "open_id"}
    with run_gateway(tmp_path, simulator, redis_server, upstream, **settings) as running, Browser(running.url) as one:
        one.sign_in(person="plain")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.rename(tmp_path / "audit.log.1")
        one.fetch("/oauth2/sign_out", method="POST")
        assert [line["what"] for line in read_trail(tmp_path / "audit.log.1")] == ["sign_in_completed"]
        assert [line["what"] for line in read_trail(path)] == ["signed_out"]
        assert read_trail(path)[0]["subject"] == simulator.people["plain"].open_id
        assert trail(running) == []


def test_what_the_file_does_not_take_is_in_the_log_and_nobody_is_refused(
    tmp_path: Path, simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> None:
    settings = {"audit__to": str(tmp_path / "nowhere" / "audit.log")}
    with run_gateway(tmp_path, simulator, redis_server, upstream, **settings) as running, Browser(running.url) as one:
        assert one.sign_in(person="plain").status_code == 200
        assert [line["what"] for line in trail(running)] == ["sign_in_completed"]
        assert "audit_not_written" in running.log.read_text()
        os.mkdir(tmp_path / "nowhere")
        one.fetch("/oauth2/sign_out", method="POST")
        assert [line["what"] for line in read_trail(tmp_path / "nowhere" / "audit.log")] == ["signed_out"]


def test_it_may_be_off(tmp_path: Path, simulator: RunningSimulator, redis_server: RedisServer, upstream: str) -> None:
    with (
        run_gateway(tmp_path, simulator, redis_server, upstream, audit__to="off") as running,
        Browser(running.url) as browser,
    ):
        browser.sign_in(person="plain")
        assert trail(running) == []


def test_every_event_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "observing.md").read_text()
    for name in (*What, *Who):
        assert f"`{name.value}`" in text, name
