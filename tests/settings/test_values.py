"""Values as people and environments have them: one for a list, secrets with stray bytes, levels in any case."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.settings import SettingsProblems, load, warnings
from tests.settings.test_load import ENVIRON, KEY, MINIMAL, problems, read


def test_a_form_that_cannot_be_kept_is_said(tmp_path: Path) -> None:
    routes = "routes: [{path: /a, keep_post: true}, {path: /**}]\n"
    key = "routes[0].keep_post"
    assert key not in [caution.key for caution in warnings(read(tmp_path, MINIMAL + routes))]
    alone = read(tmp_path, MINIMAL.replace("http://127.0.0.1:3000", "none") + routes)
    assert key in [caution.key for caution in warnings(alone)]


def test_a_password_beside_the_url_is_one(tmp_path: Path) -> None:
    text = MINIMAL.replace("redis: redis://127.0.0.1:6379/0", 'redis: {url: redis://h, password: "${SECRET}"}')
    assert not any("no password" in str(caution) for caution in warnings(read(tmp_path, text)))
    assert read(tmp_path, text.replace("${SECRET}", "plain")).plain_secrets == {
        "secret_keys",
        "redis.password",
        "tiktok.client_secret",
    }
    settings = load(None, {**usual(), "GATEWAY__REDIS": "redis://h", "GATEWAY__REDIS__PASSWORD": "a/b#c@d"})
    assert settings.redis.password is not None
    assert settings.redis.password.get_secret_value() == "a/b#c@d"


def test_events_are_passed_on_to_an_app_that_there_is(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    text = MINIMAL + "  webhook: {forward_to: /events}\n"
    assert read(tmp_path, text).tiktok.webhook.forward_to == "/events"
    (told,) = problems(tmp_path, text.replace("http://127.0.0.1:3000", "none"))
    assert told.startswith("gateway.yaml:8:13: tiktok.webhook.forward_to: there is no app to pass events on to")
    # with middleware, the app is in the process
    assert load(path, ENVIRON, needs_upstream=False).tiktok.webhook.forward_to == "/events"


def usual() -> dict[str, str]:
    return {
        "GATEWAY__PUBLIC_URL": "https://app.example.com",
        "GATEWAY__UPSTREAM": "none",
        "GATEWAY__REDIS": "memory://",
        "GATEWAY__SECRET_KEYS": KEY,
        "GATEWAY__TIKTOK__CLIENT_KEY": "k",
        "GATEWAY__TIKTOK__CLIENT_SECRET": "s",
    }


def test_one_value_is_a_list_of_one() -> None:
    """As variables of the environment have it."""
    settings = load(
        None,
        {
            **usual(),
            "GATEWAY__ADMIN__KEYS": "k" * 32,
            "GATEWAY__TRUSTED_PROXIES": "10.0.0.0/8",
            "GATEWAY__TIKTOK__SCOPES": "user.info.basic",
            "GATEWAY__IDENTITY__PRESETS": "grafana",
            "GATEWAY__RETURN_TO__ALLOWED_HOSTS": "www.example.com",
            "GATEWAY__CORS__ALLOWED_ORIGINS": "https://www.example.com",
            "GATEWAY__ROUTES": "[{path: /**, methods: GET, scopes: video.list, allow: {open_ids: -ada}}]",
        },
    )
    assert [key.get_secret_value() for key in settings.secret_keys] == [KEY]
    assert [key.get_secret_value() for key in settings.admin.keys] == ["k" * 32]
    assert settings.trusted_proxies == ("10.0.0.0/8",)
    assert settings.tiktok.scopes == ("user.info.basic",)
    assert settings.identity.presets == ("grafana",)
    assert settings.return_to.allowed_hosts == ("www.example.com",)
    assert settings.cors.allowed_origins == ("https://www.example.com",)
    route = settings.routes[0]
    assert (route.methods, route.scopes) == (("GET",), ("video.list",))
    assert route.allow is not None
    assert route.allow.open_ids == ("-ada",)
    assert load(None, {**usual(), "GATEWAY__TRUSTED_PROXIES": ""}).trusted_proxies == ()


@pytest.mark.parametrize("key", ["tiktok.client_key", "tiktok.client_secret", "admin.keys", "secret_keys"])
@pytest.mark.parametrize(
    ("stray", "told"),
    [
        ("{} ", "begins or ends with white space"),
        ("\n{}", "begins or ends with white space"),
        ("{}\r\n", "begins or ends with white space"),
        ("\ufeff{}", "a control or an invisible character"),
        ("{}\x07", "a control or an invisible character"),
        ("{}\u200b{}", "a control or an invisible character"),
        ("{}\u202e{}", "a control or an invisible character"),
        ("{} {}", "white space within it"),
        ("{}é", "a character beyond ASCII"),
        ("…{}", "a character beyond ASCII"),
        ("{}\0", "has a NUL character"),
        ("{}\udcff", "is not UTF-8"),
    ],
)
def test_stray_bytes_in_a_secret_are_told_by_their_kind(key: str, stray: str, told: str) -> None:
    with pytest.raises(SettingsProblems) as caught:
        load(None, {**usual(), f"GATEWAY__{key.upper().replace('.', '__')}": stray.format(KEY, KEY)})
    (problem,) = caught.value.problems
    assert problem.key.startswith(key)
    assert told in problem.message
    assert KEY[:8] not in str(problem)


@pytest.mark.parametrize(
    ("text", "level"), [("INFO", "info"), ("Warning", "warning"), ("warn", "warning"), ("ERROR", "error")]
)
def test_a_level_is_one_in_any_case(text: str, level: str) -> None:
    assert load(None, {**usual(), "GATEWAY__LOG__LEVEL": text}).log.level == level


def test_a_duration_without_a_unit_is_told(tmp_path: Path) -> None:
    found = problems(tmp_path, MINIMAL + "session: {idle_timeout: 30, cache_for: 0}\n")
    assert found == [
        "gateway.yaml:8:11: session.idle_timeout: is a duration without a unit: write 30s, 30m, 30h or 30d"
    ]
