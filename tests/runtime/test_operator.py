"""What operators and an app's own jobs can do: the admin listener's API and the commands, on a real gateway."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.simulator import RunningSimulator
from tests import commands
from tests.commands import Told
from tests.harness import Browser
from tests.redis_server import RedisServer
from tests.runtime.conftest import RunningProcess, gateway_environ, run_gateway

ADMIN_KEY = "admin-key-of-at-least-32-characters"
JOB_KEY = "nightly-key-of-at-least-32-characters"
SETTINGS = {
    "admin__keys": json.dumps([ADMIN_KEY]),
    "admin__hosts": '["admin.internal"]',
    "tokens__clients": json.dumps(
        [{"name": "nightly", "key": JOB_KEY, "scopes": ["user.info.profile", "video.list"], "per_minute": 20}]
    ),
    "secret_keys": '["a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V"]',
}


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> Generator[RunningProcess]:
    folder = tmp_path_factory.mktemp("gateway")
    with run_gateway(folder, simulator, redis_server, upstream, **SETTINGS) as running:
        yield running


@pytest.fixture(autouse=True)
def afresh(running: RunningProcess) -> None:
    running.simulator.simulator.reset()
    running.redis.command("FLUSHALL")


@pytest.fixture
def browser(running: RunningProcess) -> Generator[Browser]:
    with Browser(running.url) as browser:
        yield browser


def call(
    running: RunningProcess, method: str, path: str, key: str | None = ADMIN_KEY, **options: Any
) -> httpx.Response:
    headers = options.pop("headers", {}) | ({"authorization": f"Bearer {key}"} if key is not None else {})
    return httpx.request(method, running.admin + path, headers=headers, trust_env=False, timeout=20, **options)


def settings_of(running: RunningProcess) -> dict[str, str]:
    """Return the settings for a command on the same Redis."""
    simulator = running.simulator
    return SETTINGS | {
        "public_url": running.url,
        "upstream": "none",
        "redis": running.redis.url,
        "tiktok__client_key": simulator.settings.client_key,
        "tiktok__client_secret": simulator.settings.client_secret,
        "tiktok__token_url": simulator.token_url,
        "tiktok__revoke_url": simulator.revoke_url,
    }


def command(running: RunningProcess, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `gateway` as its own process."""
    return subprocess.run(
        [sys.executable, "-m", "gateway", *words],
        env=gateway_environ(**settings_of(running)),
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )


Invoke = Callable[..., Told]


@pytest.fixture
def invoke(running: RunningProcess) -> Invoke:
    """Run `gateway` within this process, which is much quicker; `changes` are settings of its own."""

    def run(*words: str, **changes: str) -> Told:
        settings = settings_of(running) | changes
        return commands.invoke(*words, environ={f"GATEWAY__{name.upper()}": settings[name] for name in settings})

    return run


def open_id(running: RunningProcess, person: str = "plain") -> str:
    return running.simulator.people[person].open_id


def is_signed_in(browser: Browser) -> bool:
    return browser.fetch("/private/x").status_code == 200


def test_sessions_are_listed_without_anything_that_opens_them(running: RunningProcess, browser: Browser) -> None:
    browser.sign_in(person="plain")
    answer = call(running, "GET", "/sessions")
    (session,) = answer.json()["sessions"]
    assert session["open_id"] == open_id(running)
    assert session["session_id"] not in browser.client.cookies["gateway"]
    assert browser.client.cookies["gateway"] not in answer.text
    assert call(running, "GET", f"/sessions/{session['session_id']}").json() == session
    assert call(running, "GET", "/sessions", params={"user": open_id(running)}).json()["sessions"] == [session]
    assert call(running, "GET", "/sessions", params={"user": "-nobody"}).json()["sessions"] == []
    with Browser(running.url) as other:
        other.sign_in(person="dash")
        assert len(call(running, "GET", "/sessions").json()["sessions"]) == 2
        assert len(call(running, "GET", "/sessions", params={"limit": 1}).json()["sessions"]) == 1


def test_one_session_is_ended_and_the_other_goes_on(running: RunningProcess, browser: Browser) -> None:
    with Browser(running.url) as laptop:
        browser.sign_in(person="dash")
        first = call(running, "GET", "/sessions").json()["sessions"][0]["session_id"]
        laptop.sign_in(person="dash")
        assert call(running, "DELETE", f"/sessions/{first}").json() == {"ended": 1}
        assert (is_signed_in(browser), is_signed_in(laptop)) == (False, True)
        answer = call(running, "DELETE", f"/sessions/{first}")
        assert (answer.status_code, answer.json()["code"]) == (404, "no_such_session")


def test_all_sessions_of_a_person_are_ended(running: RunningProcess, browser: Browser) -> None:
    with Browser(running.url) as laptop, Browser(running.url) as other:
        for each, person in ((browser, "dash"), (laptop, "dash"), (other, "plain")):
            each.sign_in(person=person)
        answer = call(running, "DELETE", "/sessions", params={"user": open_id(running, "dash")})
        assert answer.json() == {"ended": 2}
        assert [is_signed_in(each) for each in (browser, laptop, other)] == [False, False, True]
    assert call(running, "DELETE", "/sessions").status_code == 400


def test_a_grant_is_shown_and_ended_at_tiktok_too(running: RunningProcess, browser: Browser) -> None:
    browser.sign_in(person="dash")
    person = open_id(running, "dash")
    grant = call(running, "GET", f"/grants/{person}").json()
    assert grant["open_id"] == person
    assert not {"access_token", "refresh_token", "tokens"} & set(grant)
    assert call(running, "GET", "/grants").json() == {"grants": [grant]}
    assert call(running, "DELETE", f"/grants/{person}").status_code == 200
    assert not is_signed_in(browser)
    assert running.simulator.simulator.calls["revoke"] == 1
    assert call(running, "GET", f"/grants/{person}").status_code == 404


def test_nothing_of_a_person_is_left_after_erasing(running: RunningProcess, browser: Browser) -> None:
    empty = running.redis.command("KEYS", "*")
    browser.sign_in(person="dash")
    browser.fetch("/oauth2/refresh", method="POST")
    person = open_id(running, "dash")
    answer = call(running, "DELETE", f"/grants/{person}", params={"erase": "1"})
    assert answer.json() == {"sessions": 1, "grant": True, "revoked": True, "pending": False}
    left = running.redis.command("KEYS", "*")
    # what counts sign-ins by address, and where a reloaded callback leads, is about a browser, for minutes
    names = [line for line in left.splitlines() if line.startswith("gateway:")]
    assert all(name.startswith(("gateway:finished:", "gateway:attempts")) for name in names), (empty, left)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/sessions"),
        ("DELETE", "/sessions?user=x"),
        ("GET", "/sessions/x"),
        ("DELETE", "/sessions/x"),
        ("GET", "/grants"),
        ("GET", "/grants/x"),
        ("DELETE", "/grants/x"),
    ],
)
def test_the_api_wants_a_key_and_no_browser(running: RunningProcess, method: str, path: str) -> None:
    for key in (None, "x", ADMIN_KEY + "x", ADMIN_KEY[:-1], JOB_KEY):
        answer = call(running, method, path, key)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"] == 'Bearer realm="admin"'
    for header in ({"origin": "http://evil.example"}, {"sec-fetch-site": "same-origin"}):
        assert call(running, method, path, headers=header).status_code == 403


@pytest.mark.parametrize(
    ("method", "path", "key", "body", "told"),
    [
        ("DELETE", "/sessions", ADMIN_KEY, None, "DELETE /sessions?user=OPEN_ID"),
        ("GET", "/sessions?limit=0", ADMIN_KEY, None, "a number from 1 to 1000"),
        ("GET", "/sessions?limit=" + "9" * 5000, ADMIN_KEY, None, "a number from 1 to 1000"),
        ("POST", "/tokens", JOB_KEY, b"[]", '"open_id"'),
    ],
)
def test_who_has_a_key_is_told_what_is_wrong(
    running: RunningProcess, method: str, path: str, key: str, body: bytes | None, told: str
) -> None:
    answer = call(running, method, path, key, content=body)
    assert answer.status_code == 400
    assert told in answer.json()["detail"]
    assert call(running, method, path, "x", content=body).status_code == 401


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/sessions", "/nowhere"])
def test_no_page_can_have_a_name_of_its_own_lead_here(running: RunningProcess, path: str) -> None:
    port = running.admin.rpartition(":")[2]
    for name in ("evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10", "xlocalhost", "a@b", ""):
        for host in (name, f"{name}:{port}"):
            assert call(running, "GET", path, headers={"host": host}).status_code in {400, 421}, host
    for host in (
        "localhost",
        f"LOCALHOST:{port}",
        "a.localhost",
        "192.0.2.1",
        f"[::1]:{port}",
        f"Admin.Internal.:{port}",
    ):
        assert call(running, "GET", path, headers={"host": host}).status_code in {200, 404}, host


def test_probes_of_old_name_no_host(running: RunningProcess) -> None:
    address = running.admin.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1])), timeout=20) as probe:
        probe.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
        assert probe.makefile("rb").readline().split()[1] == b"200"


def test_the_api_is_not_on_the_public_listener(running: RunningProcess) -> None:
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    assert httpx.get(running.url + "/sessions", headers=headers, trust_env=False).status_code == 401
    assert httpx.get(running.url + "/oauth2/sessions", headers=headers, trust_env=False).status_code == 404


def ask_token(running: RunningProcess, key: str | None = JOB_KEY, **body: Any) -> httpx.Response:
    return call(running, "POST", "/tokens", key, json={"open_id": open_id(running, "dash")} | body)


def test_a_job_gets_a_fresh_access_token_and_nothing_more(running: RunningProcess, browser: Browser) -> None:
    running.simulator.troubles.access_lifetime = 3
    browser.sign_in(person="dash")
    running.simulator.troubles.access_lifetime = 7200
    time.sleep(3)
    answer = ask_token(running, scopes=["user.info.profile"])
    assert answer.status_code == 200
    assert set(answer.json()) == {"access_token", "expires_at", "scopes"}
    simulator = running.simulator.simulator
    assert simulator.live(simulator.access_tokens, answer.json()["access_token"]) is not None
    assert running.simulator.refreshes == 1
    assert answer.headers["cache-control"] == "no-store"
    log = running.log.read_text()
    assert '"what":"token_issued"' in log.replace(" ", "")
    assert answer.json()["access_token"] not in log
    assert JOB_KEY not in log


def test_a_job_gets_no_more_than_it_may_and_was_granted(running: RunningProcess, browser: Browser) -> None:
    browser.sign_in(person="dash")
    for scopes in (["video.upload"], ["video.list"], []):
        answer = ask_token(running, scopes=scopes)
        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
        assert answer.json()["missing_scopes"]
    answer = ask_token(running, open_id="-nobody", scopes=["user.info.profile"])
    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_grant")
    assert ask_token(running, ADMIN_KEY, scopes=["user.info.profile"]).status_code == 401
    assert ask_token(running, None).status_code == 401
    assert ask_token(running, scopes=["user.info.profile"], more=1).status_code == 400
    assert call(running, "POST", "/tokens", JOB_KEY, content=b"x" * 10_000).status_code == 400
    assert call(running, "GET", "/tokens", JOB_KEY).status_code == 405


def test_a_job_may_not_ask_without_end(running: RunningProcess, browser: Browser) -> None:
    browser.sign_in(person="dash")
    statuses = [ask_token(running, scopes=["user.info.profile"]).status_code for _ in range(45)]
    assert statuses[0] == 200
    assert statuses[-1] == 429
    assert ask_token(running).headers["retry-after"] == "60"


def test_a_grant_goes_with_the_last_session(running: RunningProcess, browser: Browser) -> None:
    browser.sign_in(person="dash")
    with Browser(running.url) as laptop:
        laptop.sign_in(person="dash")
        laptop.fetch("/oauth2/sign_out", method="POST")
    assert ask_token(running, scopes=["user.info.profile"]).status_code == 200
    browser.fetch("/oauth2/sign_out", method="POST")
    assert ask_token(running, scopes=["user.info.profile"]).status_code == 404


def test_a_grant_outlives_the_last_session_if_asked(
    tmp_path: Path, simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> None:
    settings = SETTINGS | {"tokens__keep_grants": "true"}
    with (
        run_gateway(tmp_path, simulator, redis_server, upstream, **settings) as running,
        Browser(running.url) as browser,
    ):
        browser.sign_in(person="dash")
        browser.fetch("/oauth2/sign_out", method="POST")
        assert not is_signed_in(browser)
        assert ask_token(running, scopes=["user.info.profile"]).status_code == 200
        ends: tuple[Callable[[], object], ...] = (
            lambda: browser.fetch("/oauth2/sign_out", method="POST", data={"everywhere": "1"}),
            lambda: call(running, "DELETE", "/sessions", params={"user": open_id(running, "dash")}),
        )
        for end_all in ends:
            browser.sign_in(person="dash")
            end_all()
            assert not is_signed_in(browser)
            assert ask_token(running, scopes=["user.info.profile"]).status_code == 200
        assert call(running, "DELETE", f"/grants/{open_id(running, 'dash')}").status_code == 200
        assert ask_token(running, scopes=["user.info.profile"]).status_code == 404


def test_a_sign_in_that_granted_less_is_the_truth_from_then_on(running: RunningProcess, browser: Browser) -> None:
    browser.sign_in(person="dash")
    assert ask_token(running, scopes=["user.info.profile"]).status_code == 200
    with Browser(running.url) as laptop:
        laptop.sign_in(person="dash", untick=("user.info.profile",))
    assert ask_token(running, scopes=["user.info.profile"]).status_code == 403
    assert browser.fetch("/oauth2/userinfo").json()["scopes"] == ["user.info.basic"]
    assert len(call(running, "GET", "/grants").json()["grants"]) == 1


def test_the_commands_work_on_redis_itself(running: RunningProcess, browser: Browser, invoke: Invoke) -> None:
    browser.sign_in(person="dash")
    person = open_id(running, "dash")
    assert person.startswith("-")
    listed = command(running, "sessions", "list", "--user", person, "--json")
    assert listed.returncode == 0, listed.stderr
    (session,) = json.loads(listed.stdout)["sessions"]
    shown = invoke("sessions", "show", session["session_id"])
    assert f"open_id: {person}" in shown.stdout
    grants = invoke("grants", "list").stdout
    assert person in grants
    assert "user.info.basic,user.info.profile" in grants
    ended = command(running, "sessions", "revoke", f"--user={person}")
    assert (ended.returncode, ended.stdout) == (0, "ended 1 session\n")
    assert not is_signed_in(browser)  # the gateway that runs heard of it
    missing = invoke("sessions", "revoke", session["session_id"])
    assert (missing.returncode, missing.stdout) == (1, "")
    assert invoke("sessions", "revoke").returncode == 2
    browser.sign_in(person="dash")
    erased = command(running, "grants", "erase", "--user", person, "--json")
    assert json.loads(erased.stdout)["erased"] == {"sessions": 1, "grant": True, "revoked": True, "pending": False}
    assert running.simulator.simulator.calls["revoke"] == 1
    nobody = invoke("grants", "erase", "--user", person, "--json")
    assert json.loads(nobody.stdout)["erased"] == {"sessions": 0, "grant": False, "revoked": False, "pending": False}
    assert nobody.returncode == 1
    assert f"nothing was kept of {person}: is that the open_id?" in json.loads(nobody.stdout)["problems"][0]["message"]
    assert invoke("grants", "revoke", "--user", person).returncode == 1


def test_sessions_are_found_by_username(running: RunningProcess, browser: Browser, invoke: Invoke) -> None:
    browser.sign_in(person="plain")
    with Browser(running.url) as other:
        other.sign_in(person="dash")
        username = running.simulator.people["plain"].username
        listed = invoke("sessions", "list", "--username", f"@{username.upper()}", "--json")
        (session,) = json.loads(listed.stdout)["sessions"]
        for kind in ("sessions", "grants"):
            named = invoke(kind, "list", "--name", username[:-2].upper(), "--json")
            assert [each["username"] for each in json.loads(named.stdout)[kind]] == [username]
        assert (session["open_id"], session["username"]) == (open_id(running), username)
        assert json.loads(invoke("sessions", "list", "--username", "nobody", "--json").stdout)["sessions"] == []
        assert "--name looks for display names" in invoke("sessions", "list", "--username", "nobody").stderr
        both = json.loads(invoke("sessions", "list", "--json").stdout)["sessions"]
        assert len(both) == 2
        assert username in invoke("sessions", "list").stdout
        shown = invoke("sessions", "show", session["session_id"]).stdout
        assert "scopes: user.info.basic,user.info.profile" in shown
        assert "device: Unknown device" in shown
        browser.client.headers["user-agent"] = "Mozilla/5.0 (iPhone) Version/18.0 Safari/604.1"
        browser.client.cookies.clear()
        browser.sign_in(person="emoji")
        assert "Safari on iPhone" in invoke("sessions", "list").stdout


def test_records_that_cannot_be_opened_are_told_and_left_alone(
    running: RunningProcess, browser: Browser, invoke: Invoke
) -> None:
    """A shell with old settings, after the keys were changed."""
    browser.sign_in(person="dash")
    person = open_id(running, "dash")
    old = {"secret_keys": '["b1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V"]'}
    session_id = call(running, "GET", "/sessions").json()["sessions"][0]["session_id"]
    for words in (
        ("sessions", "list"),
        ("sessions", "list", "--user", person),
        ("sessions", "list", "--username", "x"),
        ("sessions", "show", session_id),
        ("sessions", "revoke", session_id),
        ("sessions", "revoke", f"--user={person}"),
        ("grants", "list"),
        ("grants", "revoke", "--user", person),
        ("grants", "erase", "--user", person),
    ):
        told = invoke(*words, **old)
        assert told.returncode == 1, words
        assert "cannot be opened with these secret_keys" in told.stderr, words
        assert "ended" not in told.stdout
        assert "revoked" not in told.stdout
    assert is_signed_in(browser)
    assert running.simulator.simulator.calls["revoke"] == 0
    erased = invoke("grants", "erase", "--user", person, "--even-unreadable", "--json", **old)
    assert json.loads(erased.stdout)["erased"] == {"sessions": 1, "grant": False, "revoked": False, "pending": False}
    assert running.simulator.simulator.calls["revoke"] == 0
    assert not is_signed_in(browser)


def test_names_that_are_not_ours_end_no_list(running: RunningProcess, browser: Browser, invoke: Invoke) -> None:
    browser.sign_in(person="dash")
    for kind in ("session", "grant"):
        script = f"return redis.call('SET', 'gateway:{kind}:' .. string.char(255), '1')"
        assert running.redis.command("EVAL", script, "0").startswith("+OK")
    assert len(json.loads(invoke("sessions", "list", "--json").stdout)["sessions"]) == 1
    assert len(json.loads(invoke("grants", "list", "--json").stdout)["grants"]) == 1
    assert len(call(running, "GET", "/sessions").json()["sessions"]) == 1


def test_without_keys_there_is_no_api(
    tmp_path: Path, simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> None:
    with run_gateway(tmp_path, simulator, redis_server, upstream) as running:
        answer = call(running, "GET", "/sessions")
        assert answer.status_code == 404
        assert "admin.keys" in answer.text
        assert httpx.get(running.admin + "/livez", trust_env=False).status_code == 200


def test_an_allow_list_that_changed_before_anybody_came_is_read(
    tmp_path: Path, simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> None:
    file = tmp_path / "staff.yaml"
    file.write_text("usernames: [nobody]\n")
    routes = "[{path: /**, allow: {file: staff.yaml}}]"
    with run_gateway(tmp_path, simulator, redis_server, upstream, routes=routes) as running:
        file.write_text("usernames: [somebody]\n")
        for _ in range(200):
            if "allow_file_read" in running.log.read_text():
                return
            time.sleep(0.05)
        raise AssertionError(running.log.read_text())
