"""`gateway doctor`: what is well, what is not, and what to register."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.cli.doctor import doctor as examine
from gateway.core.redirect_uri import find_faults
from gateway.simulator import RunningSimulator, SimulatorSettings
from gateway.simulator import run_in_thread as run_simulator
from tests.commands import invoke
from tests.harness import settings_environ
from tests.ports import free_port
from tests.redis_server import RedisServer


@pytest.fixture(scope="module")
def simulator() -> Any:
    with run_simulator(SimulatorSettings()) as running:
        yield running


def doctor(simulator: RunningSimulator, redis_server: RedisServer, app: str, **changes: str) -> tuple[int, Any]:
    settings = {
        "public_url": "https://app.example.com",
        "upstream": app,
        "redis": redis_server.url,
        "secret_keys": '["a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V"]',
        "tiktok__client_key": simulator.settings.client_key,
        "tiktok__client_secret": simulator.settings.client_secret,
        "tiktok__token_url": simulator.token_url,
        "tiktok__user_info_url": simulator.user_info_url,
        "tiktok__webhook__enabled": "true",
    } | changes
    done = invoke("doctor", "--json", environ={f"GATEWAY__{name.upper()}": value for name, value in settings.items()})
    assert done.stdout, done.stderr
    assert simulator.settings.client_secret not in done.stdout
    return done.returncode, json.loads(done.stdout)


def problems(told: Any) -> set[str]:
    return {finding["name"] for finding in told["findings"] if not finding["ok"] and not finding["warns"]}


def test_scopes_that_only_routes_ask_for_are_to_be_registered_too(
    simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> None:
    routes = json.dumps([{"path": "/videos/**", "scopes": ["video.list"]}, {"path": "/**"}])
    _, told = doctor(simulator, redis_server, upstream, routes=routes)
    assert told["registration"]["scopes"].split(",")[-1] == "video.list"
    assert "video.list" in told["registration"]["authorization_url"]


def test_what_to_register_is_told(simulator: RunningSimulator, redis_server: RedisServer, upstream: str) -> None:
    redis_server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    _, told = doctor(simulator, redis_server, upstream)
    assert told["registration"]["redirect_uri"] == "https://app.example.com/oauth2/callback"
    assert told["registration"]["webhook_url"] == "https://app.example.com/oauth2/webhook"
    assert "client_key=simulated-client-key" in told["registration"]["authorization_url"]
    assert "secret" not in told["registration"]["authorization_url"]
    assert not problems(told) & {"upstream", "client key and secret", "user info endpoint", "clock", "redirect URI"}
    refreshes = simulator.refreshes
    doctor(simulator, redis_server, upstream)
    assert simulator.refreshes == refreshes + 1  # it was asked, and nothing was there to change


def test_a_warning_is_no_problem_and_loopback_needs_no_encryption(
    simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> None:
    redis_server.command("CONFIG", "SET", "appendonly", "yes")
    try:
        code, told = doctor(simulator, redis_server, upstream, admin__listen="0.0.0.0:9090")
    finally:
        redis_server.command("CONFIG", "SET", "appendonly", "no")
    assert problems(told) == set()
    message = "is 0.0.0.0: metrics are open to whoever reaches it"
    assert told["warnings"] == [{"where": "GATEWAY__ADMIN__LISTEN", "key": "admin.listen", "message": message}]
    assert code == 0


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"tiktok__client_secret": "wrong"}, "client key and secret"),
        ({"tiktok__client_key": "wrong"}, "client key and secret"),
        ({"tiktok__token_url": "http://127.0.0.1:1/v2/oauth/token/"}, "client key and secret"),
        ({"tiktok__user_info_url": "http://127.0.0.1:1/v2/user/info/"}, "user info endpoint"),
        ({"upstream": "http://127.0.0.1:1"}, "upstream"),
        ({"public_url": "http://127.0.0.1:8080"}, "redirect URI"),
        ({"public_url": "http://app.example.com"}, "redirect URI"),
    ],
)
def test_what_is_wrong_is_found(
    simulator: RunningSimulator, redis_server: RedisServer, upstream: str, changes: dict[str, str], name: str
) -> None:
    code, told = doctor(simulator, redis_server, upstream, **changes)
    assert code == 1
    assert name in problems(told)
    assert all(finding["advice"] for finding in told["findings"] if not finding["ok"])


def test_a_redis_that_would_evict_sessions_is_found(
    simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> None:
    redis_server.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    code, told = doctor(simulator, redis_server, upstream)
    redis_server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert code == 1
    assert "noeviction" in json.dumps(told)


def test_a_redis_that_is_away_is_found(simulator: RunningSimulator, redis_server: RedisServer, upstream: str) -> None:
    code, told = doctor(simulator, redis_server, upstream, redis=f"redis://127.0.0.1:{free_port()}/0")
    assert (code, "Redis" in problems(told)) == (1, True)


def test_a_redis_that_refuses_the_password_is_not_to_be_started(
    simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> None:
    wrong = redis_server.url.replace("redis://", "redis://nobody:a-wrong-password@")
    code, told = doctor(simulator, redis_server, upstream, redis=wrong)
    found = next(finding for finding in told["findings"] if finding["name"] == "Redis")
    assert (code, found["ok"]) == (1, False)
    assert "mend the user or the password" in found["advice"]
    assert "start it" not in json.dumps(found)


def test_what_only_tiktok_would_refuse_is_no_problem_of_the_simulator(
    simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> None:
    here = {"public_url": "http://127.0.0.1:8080"}
    code, told = doctor(simulator, redis_server, upstream, tiktok__authorize_url=simulator.authorize_url, **here)
    (found,) = (each for each in told["findings"] if each["name"] == "redirect URI")
    assert (code, found["ok"], found["warns"]) == (0, False, True)
    assert "no matter for the simulator" in found["advice"]
    code, told = doctor(simulator, redis_server, upstream, **here)
    assert (code, [each["key"] for each in told["problems"]]) == (1, ["redirect URI"])


def test_a_redis_that_forgets_when_it_crashes_is_a_warning(
    simulator: RunningSimulator, redis_server: RedisServer, upstream: str
) -> None:
    redis_server.command("CONFIG", "SET", "appendonly", "no")
    code, told = doctor(simulator, redis_server, upstream)
    (found,) = (each for each in told["findings"] if each["name"].endswith("persistence"))
    assert (code, found["ok"], found["warns"]) == (0, False, True)


@pytest.mark.parametrize(
    ("uri", "faults"),
    [
        ("https://app.example.com/oauth2/callback", 0),
        ("http://app.example.com/oauth2/callback", 1),
        ("http://127.0.0.1:8080/oauth2/callback", 1),
        ("https://localhost/oauth2/callback", 1),
        ("https://app.example.com/callback?x=1", 1),
        ("https://app.example.com/callback#x", 1),
        ("https://app.example.com/" + "x" * 500, 1),
        ("https://exämple.com/callback", 1),
    ],
)
def test_redirect_uris(uri: str, faults: int) -> None:
    assert len(list(find_faults(uri))) == faults


def test_what_others_say_does_not_act_on_a_terminal(
    simulator: RunningSimulator, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = settings_environ(simulator, "https://app.example.com", tiktok__webhook__enabled="true")
    simulator.troubles.token_error = "\x1b[2J"
    try:
        assert examine(None, environ, as_json=False) == 1
    finally:
        simulator.troubles.reset()
    told = capsys.readouterr().out
    assert "TikTok says \\x1b[2J" in told
    assert "\x1b" not in told
