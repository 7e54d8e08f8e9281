"""No text has a secret in it: every key of the schema is given a canary, rightly and wrongly; all output is looked at.

The keys come from the schema, so that a new one is looked at by itself; which of them are secrets, from their types.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.asgi import protect
from gateway.cli.check import check
from gateway.cli.explain import explain
from gateway.errors import SettingsError
from gateway.settings import json_schema, load, warnings
from gateway.settings.keys import Pattern, every_key
from tests.ports import free_port

CANARY = "Qx7Zk2Vw9Jt4Rb6Ny8Mc3Lp5Hd1Gf0SaEuToIiWqXzA"  # can be a secret key too
WINDOW = 6
SCHEMA = json_schema()
BASE: dict[str, Any] = {
    "public_url": "https://app.example.com",
    "upstream": {"url": "https://127.0.0.1:1"},
    "upstreams": {"x": {"url": "https://127.0.0.1:1"}},
    "redis": {"url": "redis://127.0.0.1:1/0"},
    "secret_keys": ["a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V"],
    "tiktok": {"client_key": "k", "client_secret": "s"},
    "routes": [{"path": "/**", "allow": {"open_ids": ["-000abc"]}}],
    "tokens": {"clients": [{"name": "x", "key": "k" * 32}]},
}


def keys_of(schema: dict[str, Any], path: Pattern = ()) -> Iterator[Pattern]:
    """Yield the path of every key that a schema has, whatever stands under it."""
    if "$ref" in schema:
        yield from keys_of(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], path)
    for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from keys_of(part, path)
    for name, below in schema.get("properties", {}).items():
        yield (*path, name)
        yield from keys_of(below, (*path, name))
    if isinstance(schema.get("additionalProperties"), dict):
        yield from keys_of(schema["additionalProperties"], (*path, "*"))
    if "items" in schema:
        yield from keys_of(schema["items"], (*path, "*"))


KEYS = sorted(set(keys_of(SCHEMA)))
SECRETS = [path for path in KEYS if every_key()[path]]


def test_the_schema_and_the_types_have_the_same_keys() -> None:
    assert set(KEYS) == {path for path in every_key() if path[-1] != "*"}
    assert {("secret_keys",), ("redis", "url"), ("redis", "password"), ("tokens", "clients", "*", "key")} <= set(
        SECRETS
    )


def put(tree: dict[str, Any], path: Pattern, value: object) -> dict[str, Any]:
    """Return the settings with a value at a path; what is missing on the way is made."""
    made = copy.deepcopy(tree)
    node: Any = made
    for part, following in zip(path, (*path[1:], None), strict=True):
        last = following is None
        if part == "*":
            key: Any = 0 if isinstance(node, list) else "x"
        else:
            key = part
        if last:
            node[key] = value
        elif isinstance(node, dict):
            fresh: Any = [{}] if following == "*" and path[: path.index(part) + 1] in LISTS else {}
            node = node.setdefault(key, fresh)
        else:
            node = node[key]
    return made


LISTS = {("routes",), ("tokens", "clients")}


def shapes(value: str) -> Iterator[object]:
    """Yield a value as what it should be, and as other things."""
    yield from (value, [value], [[value]], {value: 1}, {"x": value}, [{value: value}], {"url": {value: value}})
    yield from (
        f"{value}:{value}",
        f"{value} {value}",
        f"\t{value}",
        f"{value}\x07",
        f"${{{value}",
        f"${{x {value}}}",
        f"a@{value}@b",
    )


def said(tree: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Return all that is said of some settings: by check, by errors and their tracebacks, by reprs, by explain."""
    path = tmp_path / "gateway.yaml"
    path.write_text(json.dumps(tree))
    told: list[str] = []
    code = check(path, {}, as_json=False)
    try:
        settings = load(path, {})
        told += [repr(settings), str(settings), settings.model_dump_json(), *map(str, warnings(settings))]
    except SettingsError as error:
        told += [repr(error), "".join(traceback.format_exception(error))]
    if code == 0:
        words: Any = {"scopes": "", "signed_out": False, "user": "", "union_id": "", "username": "", "facts": ()}
        explain("GET", "/x", path, {}, as_json=False, **words)
    captured = capsys.readouterr()
    return "\n".join([captured.out, captured.err, *told])


def find_canary(text: str, canary: str = CANARY) -> str:
    """Return the first piece of the canary that a text has, in any case, "" for none."""
    text, canary = text.lower(), canary.lower()
    pieces = (canary[start : start + WINDOW] for start in range(len(canary) - WINDOW + 1))
    return next((piece for piece in pieces if piece in text), "")


@pytest.mark.parametrize("path", SECRETS, ids=".".join)
def test_a_secret_is_never_said(path: Pattern, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = list(shapes(CANARY))
    if path[-1] == "url":
        forms = [
            "redis://:{}@h/0",
            "redis://:x{}/y{}@h:1/0",
            "redis://:{}#{}@h:1",
            "redis://:{}@h:{}",
            "redis://{}",
            "unix://{}",
        ]
        values += [shape for form in forms for shape in shapes(form.format(CANARY, CANARY))]
        values += [
            f"http://u:{CANARY}@h",
            f"redis://u:{CANARY}@h/0?password={CANARY}",
            f"redis://u:{CANARY}\u2100@h",
        ]
    where = [path, path[:-1]] if path[-1] == "url" else [path]  # the short form
    for place in where:
        for value in values:
            found = said(put(BASE, place, value), tmp_path, capsys)
            assert found
            assert not find_canary(found), (value, found)


def test_nor_by_middleware_that_cannot_start(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(json.dumps(BASE | {"secret_keys": [CANARY, CANARY[1:]], "redis": f"redis://:{CANARY}/@h"}))
    with pytest.raises(SettingsError) as caught:
        protect(None, path)
    assert not find_canary(str(caught.getrepr(style="long", chain=True)))


@pytest.mark.parametrize("path", SECRETS, ids=".".join)
def test_nor_when_it_comes_from_the_environment(path: Pattern, capsys: pytest.CaptureFixture[str]) -> None:
    usual = {f"GATEWAY__{key.upper()}": json.dumps(value) for key, value in BASE.items()}
    usual["GATEWAY__PUBLIC_URL"] = BASE["public_url"]
    name = "GATEWAY__" + "__".join(path).upper().replace("*", "0")
    for value in (
        CANARY,
        f"[{CANARY}",
        f"{{{CANARY}}}",
        f"[[{CANARY}]]",
        f"{{x: '{CANARY}'",
        f"[*{CANARY}]",
        f" {CANARY}\n",
    ):
        check(None, usual | {name: value}, as_json=True)
        assert not find_canary("".join(capsys.readouterr())), value


@pytest.mark.parametrize("path", [path for path in KEYS if path not in SECRETS], ids=".".join)
def test_a_urls_user_info_is_never_said(path: Pattern, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for form in (
        "https://u:{}@h.example/",
        "redis://:{}@h:6379",
        "{}@h:1",
        "https://u:{}@[::1",
        "https://u:{}\u2100@h",
    ):
        for value in (form.format(CANARY), [form.format(CANARY)], {"x": form.format(CANARY)}):
            found = said(put(BASE, path, value), tmp_path, capsys)
            # what has no user info of its own, such as a header's template or an audience, is the operator's own word
            if "cannot be used" in found:
                assert not find_canary(found), (value, found)


def test_a_value_whose_space_was_forgotten_is_no_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "gateway.yaml"
    for text in (
        f"tiktok: {{client_secret:{CANARY}}}",
        f"tiktok: {{client_secret:{CANARY}, client_secret:{CANARY}}}",
        f"redis: {{redis://:{CANARY}@h/0}}",
        f"secret_keys: {{{CANARY}}}",
        f"client_secret:{CANARY}",
        f"tiktok:\n  client_secret: *{CANARY}",
        f"tiktok:\n  client_secret: !{CANARY}",
        f"tiktok:\n  client_secret: %{CANARY}",
        f"tiktok:\n  client_secret: {CANARY}\n  client_secret: {CANARY}",
        f'tiktok:\n  client_secret: "{CANARY}\\q"',
        f"tiktok:\n  client_secret: {CANARY}: {CANARY}",
    ):
        path.write_text(text)
        assert check(path, {}, as_json=False) == 1
        captured = capsys.readouterr()
        assert "gateway.yaml:" in captured.err
        assert not find_canary(captured.out + captured.err), (text, captured.err)


WHOLE = BASE | {
    "upstream": "http://127.0.0.1:1",
    "upstreams": {},
    "secret_keys": [CANARY],
    "tiktok": {"client_key": "k", "client_secret": CANARY, "token_url": "http://127.0.0.1:1/t/", "user_info_url": "http://127.0.0.1:1/u/"},
    "admin": {"keys": [CANARY + "1"]},
    "tokens": {"clients": [{"name": "x", "key": CANARY + "2"}]},
    "log": {"level": "debug"},
}  # fmt: skip
PLACES_OF_REDIS: dict[str, Any] = {
    "url": f"redis://u:{CANARY}@127.0.0.1:1/0",
    "beside": {"url": "redis://127.0.0.1:1/0", "username": "u", "password": CANARY},
    "sentinel": {
        "sentinel": {"nodes": ["127.0.0.1:1"], "service": "x", "password": CANARY, "sentinel_password": CANARY}
    },
    "cluster": {"cluster": {"nodes": ["127.0.0.1:1"], "username": "u", "password": CANARY}},
}
COMMANDS = [
    ["check"],
    ["doctor"],
    ["doctor", "--json"],
    ["run"],
    ["run", "--workers", "2"],
    ["explain", "GET", "/x"],
    ["sessions", "list"],
    ["sessions", "revoke", "x"],
    ["grants", "list"],
    ["grants", "erase", "--user", "x"],
    ["health"],
]


def hear_out(process: subprocess.Popen[str], *, serves: bool) -> str:
    """Return all that a command says; one that serves is ended once it has said that it waits for Redis."""
    assert process.stdout is not None
    told = ""
    with process:
        for line in process.stdout:
            told += line
            if serves and "waiting_for_redis" in line:
                process.terminate()
    return told


@pytest.mark.timeout(240)
@pytest.mark.parametrize("place", PLACES_OF_REDIS)
def test_no_command_says_a_secret_that_it_uses(place: str, tmp_path: Path) -> None:
    """Redis, TikTok and the app are all away: what is said of that has addresses in it, and nothing else."""
    tree = WHOLE | {"redis": PLACES_OF_REDIS[place], "listen": f"127.0.0.1:{free_port()}"}
    tree["admin"] = WHOLE["admin"] | {"listen": f"127.0.0.1:{free_port()}"}
    (tmp_path / "gateway.yaml").write_text(json.dumps(tree))
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    own_port = {"GATEWAY__LISTEN": f"127.0.0.1:{free_port()}", "GATEWAY__ADMIN__LISTEN": f"127.0.0.1:{free_port()}"}
    commands = [words for words in COMMANDS if place == "url" or words[0] in {"doctor", "sessions"}]
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "gateway", *words],
            cwd=tmp_path,
            env=inherited | (own_port if "--workers" in words else {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for words in commands
    ]
    for words, process in zip(commands, running, strict=True):
        told = hear_out(process, serves=words[0] == "run")
        assert "Traceback" not in told, (process.args, told)
        assert not find_canary(told), (process.args, told)
        assert ("waiting_for_redis" in told) == (words[0] == "run")
        assert told or process.returncode == 0
