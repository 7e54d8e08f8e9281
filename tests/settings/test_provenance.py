"""What is in force, and where each value comes from; and nothing that is secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.settings import Settings, describe, load, show_path
from gateway.settings.keys import every_key
from gateway.settings.provenance import Line
from tests import commands

SECRET, OLDER = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V", "b1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V"
KEY = "operator-key-of-at-least-32-characters"
FILE = """\
public_url: https://app.example.com
upstream: http://127.0.0.1:3000
upstreams:
  office: {url: "http://${OFFICE:-127.0.0.1}:4000"}
redis: redis://gateway:pass${REDIS_PART:-word}@127.0.0.1:6379/2
secret_keys:
  - ${file:key}
  - SECRET_KEY
tiktok:
  client_key: the-client-key
  client_secret: ${TIKTOK_SECRET}
session: {idle_timeout: 5m}
routes:
  - {path: /admin/**, allow: {open_ids: [-ada]}}
  - path: /**
limits: {sign_in_attempts: 30}
listen: 0.0.0.0:8080
""".replace("SECRET_KEY", OLDER)
ENVIRON = {"TIKTOK_SECRET": "client-secret-value", "GATEWAY__ADMIN__KEYS": KEY, "GATEWAY__DRAIN__DELAY": "10s"}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "key").write_text(SECRET + "\n")
    (tmp_path / "gateway.yaml").write_text(FILE)
    return Path("gateway.yaml")


def lines(settings: Settings) -> dict[str, Line]:
    found = {line.key: line for line in describe(settings)}
    assert len(found) == len(describe(settings))  # each key is told once
    return found


@pytest.mark.parametrize(
    ("key", "value", "source", "written"),
    [
        ("public_url", "https://app.example.com", "gateway.yaml:1:1", ""),
        ("upstream.url", "http://127.0.0.1:3000", "gateway.yaml:2:1", ""),
        ("upstream.timeouts.connect", "5s", "default", ""),
        ("upstreams.office.url", "http://127.0.0.1:4000", "gateway.yaml:4:12", "http://${OFFICE:-127.0.0.1}:4000"),
        ("redis.url", "redis://•••@127.0.0.1:6379/2", "gateway.yaml:5:1", "${REDIS_PART}"),
        ("redis.timeout", "2s", "default", ""),
        ("secret_keys[0]", "•••", "gateway.yaml:7:5", "${file:key}"),
        ("secret_keys[1]", "•••", "gateway.yaml:8:5", ""),
        ("tiktok.client_key", "the-client-key", "gateway.yaml:10:3", ""),
        ("tiktok.client_secret", "•••", "gateway.yaml:11:3", "${TIKTOK_SECRET}"),
        ("session.idle_timeout", "5m", "gateway.yaml:12:11", ""),
        ("session.absolute_timeout", "30d", "default", ""),
        ("routes[0].allow.open_ids", "-ada", "gateway.yaml:14:42", ""),
        ("routes[1].path", "/**", "gateway.yaml:15:5", ""),
        ("routes[1].access", "signed_in", "default", ""),
        # what is written as it is by default is written all the same
        ("limits.sign_in_attempts", "30", "gateway.yaml:16:10", ""),
        ("listen[0].address", "0.0.0.0:8080", "gateway.yaml:17:1", ""),
        ("listen[0].proxy_protocol", "false", "default", ""),
        ("admin.keys[0]", "•••", "GATEWAY__ADMIN__KEYS", ""),
        ("drain.delay", "10s", "GATEWAY__DRAIN__DELAY", ""),
        ("drain.timeout", "20s", "default", ""),
        ("log.format", "json", "default", ""),
    ],
)
def test_where_a_value_comes_from(path: Path, key: str, value: str, source: str, written: str) -> None:
    assert lines(load(path, ENVIRON))[key] == Line(key, value, source, written)


def test_a_key_that_has_a_name_stays_a_secret(path: Path) -> None:
    keys = json.dumps([{"name": "ada", "key": KEY}, KEY + "2"])
    told = describe(load(path, ENVIRON | {"GATEWAY__ADMIN__KEYS": keys}))
    assert KEY not in json.dumps([line._asdict() for line in told])
    assert [(line.key, line.value) for line in told if line.key.startswith("admin.keys")] == [
        ("admin.keys[0].name", "ada"),
        ("admin.keys[0].key", "•••"),
        ("admin.keys[1]", "•••"),
    ]


def test_every_key_is_told(path: Path) -> None:
    told = {line.key for line in describe(load(path, ENVIRON))}
    top = {key[0] for key in every_key()}
    assert {key.partition(".")[0].partition("[")[0] for key in told} >= top - {"upstreams"}


def test_settings_that_no_file_has_are_the_programs() -> None:
    settings = Settings.model_validate(
        {
            "public_url": "http://127.0.0.1:1",
            "redis": "memory://",
            "secret_keys": [SECRET],
            "tiktok": {"client_key": "k", "client_secret": "client-secret-value"},
        }
    )
    found = lines(settings)
    assert found["public_url"].source == "the program"
    assert found["listen[0].address"].source == "default"
    assert found["admin.keys"].value == "none"
    assert (found["tiktok.client_secret"].value, found["tiktok.client_secret"].source) == ("•••", "the program")


SECRETS = (SECRET, OLDER, KEY, "client-secret-value", "password", "word")


def every_secret(model: Any) -> list[str]:
    """Return the value of every secret in the settings, wherever it is."""
    if hasattr(model, "get_secret_value"):
        return [model.get_secret_value()]
    if isinstance(model, tuple):
        return [each for item in model for each in every_secret(item)]
    if isinstance(model, dict):
        return every_secret(tuple(model.values()))
    if hasattr(type(model), "model_fields"):
        return every_secret(tuple(getattr(model, name) for name in type(model).model_fields))
    return []


def test_no_secret_is_told(path: Path) -> None:
    settings = load(path, ENVIRON)
    secrets = every_secret(settings)
    assert len(secrets) == 5
    text = json.dumps([line._asdict() for line in describe(settings)], ensure_ascii=False)
    for secret in (*secrets, *SECRETS):
        assert secret not in text.replace("redis.password", "")


def test_the_command_prints_them(path: Path) -> None:
    told = commands.invoke("settings", "--set", "-c", str(path.absolute()), environ=ENVIRON)
    assert told.returncode == 0, told.stderr
    rows = [line.split() for line in told.stdout.splitlines()]
    assert [str(path.absolute()) + ":12:11", "session.idle_timeout"] in [[row[-1], row[0]] for row in rows]
    assert ["admin.keys[0]", "•••", "GATEWAY__ADMIN__KEYS"] in rows
    assert "default" not in told.stdout
    whole = commands.invoke("settings", "--json", "-c", str(path.absolute()), environ=ENVIRON)
    parsed = json.loads(whole.stdout)["settings"]
    assert {"key": "log.format", "value": "json", "source": "default", "written": ""} in parsed
    for secret in SECRETS:
        assert secret not in told.stdout.replace("redis.password", "")
        assert secret not in whole.stdout.replace("redis.password", "")


def test_names_in_a_file_do_not_act_on_a_terminal(path: Path) -> None:
    path.write_text(FILE.replace("[-ada]", r'["\e[31mred"]'))
    told = commands.invoke("settings", "-c", str(path.absolute()), environ=ENVIRON)
    assert (told.returncode, told.stderr) == (0, "")
    assert "\x1b" not in told.stdout
    assert "[31mred" in told.stdout


def test_what_comes_from_variables_is_known(tmp_path: Path) -> None:
    path, secret = tmp_path / "gateway.yaml", tmp_path / "secret"
    secret.write_text("s")
    path.write_text(
        "public_url: https://${HOST}\nupstream: http://127.0.0.1:3000\nredis: redis://127.0.0.1:6379/0\n"
        'secret_keys: ["${KEY}"]\ntiktok: {client_key: abc, client_secret: "${file:secret}"}\n'.replace(
            "file:secret", f"file:{secret}"
        )
    )
    environ = {"HOST": "app.example.com", "KEY": "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V"}
    settings = load(path, environ | {"GATEWAY__BRAND": "{name: Ada}", "GATEWAY__DROP_HEADERS": "[x-a, x-b]"})
    found = sorted(map(show_path, settings.origin.from_environment))
    assert found == ["brand", "drop_headers", "public_url", "secret_keys"]
