"""Settings that a program says itself, beside a file and the environment."""

from __future__ import annotations

import ast
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.asgi import protect
from gateway.core.keyring import new_secret_key
from gateway.errors import SettingsError
from gateway.settings import Settings, SettingsProblems, load
from tests.settings.write_keywords import KEYWORDS, write_keywords

KEY = new_secret_key()
WHOLE: dict[str, Any] = {
    "public_url": "https://app.example.com",
    "redis": "redis://127.0.0.1:6379/0",
    "secret_keys": [KEY],
    "tiktok": {"client_key": "key", "client_secret": "secret"},
}


def read(keywords: dict[str, Any], file: Path | None = None, **environ: str) -> Settings:
    return load(
        file, {f"GATEWAY__{name}": value for name, value in environ.items()}, keywords=keywords, needs_upstream=False
    )


def test_the_types_are_those_of_the_model() -> None:
    advice = "python -m tests.settings.write_keywords && ruff format gateway/settings/keywords.py"
    assert ast.dump(ast.parse(KEYWORDS.read_text())) == ast.dump(ast.parse(write_keywords())), advice


def test_keywords_alone_are_enough() -> None:
    settings = read({**WHOLE, "session": {"idle_timeout": timedelta(hours=1)}, "routes": ({"path": "/**"},)})
    assert (settings.tiktok.client_key, settings.session.idle_timeout) == ("key", timedelta(hours=1))
    assert [route.path for route in settings.routes] == ["/**"]


def test_they_win_over_file_and_environment_key_by_key(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(
        f"public_url: https://file.example\nredis: redis://file/0\nsecret_keys: [{KEY}]\nprefix: /file\n"
        "tiktok: {client_key: file, client_secret: file, scopes: [user.info.basic, video.list]}\n"
        "routes: [{path: /file/**}, {path: /**}]\n"
    )
    keywords = {
        "public_url": "https://app.example",
        "redis": {"key_prefix": "app:"},
        "tiktok": {"client_key": "app"},
        "routes": [{"path": "/app/**", "access": "public"}],
    }
    settings = read(keywords, file, PUBLIC_URL="https://environ.example", TIKTOK__CLIENT_SECRET="environ")
    assert settings.public_url == "https://app.example"
    assert (settings.redis.url, settings.redis.key_prefix) == (settings.redis.url, "app:")
    assert settings.redis.address == "redis://file/0"
    assert (settings.tiktok.client_key, settings.tiktok.client_secret.get_secret_value()) == ("app", "environ")
    assert settings.tiktok.scopes == ("user.info.basic", "video.list")
    assert [route.path for route in settings.routes] == ["/app/**"]
    assert settings.prefix == "/file"


def test_references_are_resolved_and_what_is_said_in_code_is_not_called_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    tiktok = {"client_key": "key", "client_secret": "${TIKTOK_SECRET}"}
    settings = load(None, {"TIKTOK_SECRET": "s"}, keywords={**WHOLE, "tiktok": tiktok}, needs_upstream=False)
    assert settings.tiktok.client_secret.get_secret_value() == "s"
    assert settings.plain_secrets == frozenset()


@pytest.mark.parametrize(
    ("keywords", "told"),
    [
        ({"public_url": "app"}, "protect(public_url=…): public_url: is no address"),
        ({"tiktok": {"client_key": "k"}}, "protect(…): tiktok.client_secret: is missing"),
        ({"tiktok": {"client_id": "k"}}, "protect(tiktok=…): tiktok.client_id: is not a key; did you mean"),
        ({"publik_url": "k"}, "protect(publik_url=…): publik_url: is not a key; did you mean `public_url`?"),
        ({"routes": [{"path": "/a", "acces": "public"}]}, "protect(routes=…): routes[0].acces: is not a key"),
        ({"public_url": None}, "protect(…): redis: is missing; add redis: "),
        ({"redis": None}, "protect(redis=…): redis: is None: is the variable set that it comes from?"),
        ({"tiktok": {"client_key": "k", "client_secret": None}}, "tiktok.client_secret: is None: is the variable set"),
    ],
)
def test_a_problem_names_the_argument(keywords: dict[str, Any], told: str) -> None:
    given = keywords if "redis: is missing" in told else {**WHOLE, **keywords}
    with pytest.raises(SettingsProblems, match=re.escape(told)) as raised:
        read(given)
    assert KEY not in str(raised.value)
    assert "no settings file" not in str(raised.value)


def test_none_is_what_it_is_in_a_file_where_it_may_stand() -> None:
    assert read({**WHOLE, "routes": [{"path": "/**", "host": None}]}).routes[0].host is None


def test_whole_settings_take_nothing_besides() -> None:
    with pytest.raises(SettingsError, match="take prefix into them"):
        protect(None, read(WHOLE), prefix="/auth")
