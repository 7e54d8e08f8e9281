"""What an operator is told: where it stands, what is wrong and what would be right, in words that are ours."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gateway.runtime.routes import lint
from gateway.settings import SettingsProblems, load, warnings
from gateway.settings.keys import Pattern, every_key

BASE = """\
public_url: https://app.example.com
upstream: http://127.0.0.1:3000
redis: redis://127.0.0.1:6379/0
secret_keys: ["${KEY}"]
tiktok: {client_key: abc, client_secret: "${KEY}"}
"""
ENVIRON = {"KEY": "uD0PxGmHqVQ9l6m3wW7o5n0pTt3kq3w8l2m1xQyR4sE"}
RAW = re.compile(r"(?i)\b(input should|valid (integer|string|list|tuple|dictionary|boolean|number)|pydantic|none of)\b")
ODD: tuple[Any, ...] = (5, -1, 10**30, 1.5, True, None, "", "\u00e9 x", "9" * 600, [], [1], {"x": 1})


def told(tmp_path: Path, text: str, environ: dict[str, str] = ENVIRON) -> list[str]:
    path = tmp_path / "gateway.yaml"
    path.write_text(text)
    try:
        settings = load(path, environ)
    except SettingsProblems as error:
        found = error.problems
    else:
        found = (*warnings(settings), *lint(settings))
    return [str(each).removeprefix(f"{tmp_path}/") for each in found]


@pytest.mark.parametrize("pattern", sorted(every_key()), ids=".".join)
def test_no_key_answers_in_the_words_of_a_library(tmp_path: Path, pattern: Pattern) -> None:
    """Each key there is, with values that are none."""
    for value in ODD:
        for line in told(tmp_path, _plant(pattern, value)):
            assert not RAW.search(line), line


def _plant(pattern: Pattern, value: Any) -> str:
    """Return a file that has a value at a key, and nothing else in that section."""
    for index in reversed(range(1, len(pattern))):
        in_list = pattern[index] == "*" and pattern[index - 1] not in {"upstreams", "headers"}
        value = [value] if in_list else {pattern[index].replace("*", "x"): value}
    lines = [line for line in BASE.splitlines() if not line.startswith(f"{pattern[0]}:")]
    return "\n".join([*lines, f"{pattern[0]}: {json.dumps(value)}"]) + "\n"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("session: {idle_timeout: 30}", "6:11: session.idle_timeout: is a duration without a unit: write 30s, 30m"),
        ("session: {idle_timeout: 40d}", "6:11: session.idle_timeout: must not be longer than absolute_timeout, 30d"),
        ("session:\n  absolute_timeout: 1d", "7:3: session.absolute_timeout: must not be shorter than idle_timeout"),
        ("routes:\n  - {path: /a/***}", "7:6: routes[0].path: has more than two stars in a row"),
        ("routes:\n  - {path: /a, host: 'https://a.b'}", "7:16: routes[0].host: is no host: `https://a.b`"),
        ("routes:\n  - {path: /a, access: public, scopes: [video.list]}", "7:32: routes[0].scopes: needs somebody"),
        ("identity: {headers: {X-A: '{openid}'}}", "6:22: identity.headers.X-A: has a template with a field"),
        ("limits: {sign_in_attempts: -1}", "6:10: limits.sign_in_attempts: must be 0 or more"),
        ("limits: {sign_in_attempts: many}", "6:10: limits.sign_in_attempts: must be a whole number"),
        ("limits: {header_count: 5000}", "6:10: limits.header_count: must be 1000 or less"),
        ("log: debug", "6:1: log: must be a mapping; keys here are answer_request_id, format, level"),
        ("upstreams: {back: {}}", "6:13: upstreams.back.url: is missing; add url: http://127.0.0.1:3000"),
        ("upstreams: {back: {url: 'http://a', tls: {verify: false}}}", "6:37: upstreams.back.tls: is for https"),
        ("tokens: {clients: [{name: job}]}", "6:20: tokens.clients[0].key: is missing; add key:"),
        ("routes: {path: /x}", "6:1: routes: must be a list: items within [ ]"),
        ("routes: [{path: /a, allowed_origins: '*'}]", "6:21: routes[0].allowed_origins[0]: is no origin but all"),
        # and what is allowed, and probably not meant
        ("routes:\n  - {path: /a, allow: {open_ids: [a]}}\n  - {path: /**}", "7:6: routes[0].path: leaves what lies"),
        ("routes: []", "6:1: routes: is empty, so everything is denied"),
        ("routes:\n  - {path: /a, methods: [GETT]}", "7:16: routes[0].methods: has GETT, which is no method"),
        ("identity: {headers: {X-User: open_id}}", "6:22: identity.headers.X-User: is the same for everybody"),
        ("forward_auth: {listen: '127.0.0.1:8081'}", "1:1: trusted_proxies: is empty, with forward_auth on"),
        ("trusted_proxies: []\nforward_auth: {secret: \"${KEY}\"}", "6:1: trusted_proxies: is empty, with"),
        (
            "trusted_proxies: [10.0.0.1]\nforward_auth: {listen: 'unix:/run/c.sock'}",
            "6:1: trusted_proxies: lacks `unix`: who comes over the socket in forward_auth.listen",
        ),
        ("admin:\n  listen: 0.0.0.0:9090", "7:3: admin.listen: is 0.0.0.0: metrics are open"),
    ],
)  # fmt: skip
def test_each_is_told_with_the_place_of_the_very_key(tmp_path: Path, lines: str, said: str) -> None:
    found = told(tmp_path, BASE + lines + "\n")
    assert [each for each in found if each.startswith(f"gateway.yaml:{said}")], found


def test_who_trusts_the_front_is_not_warned(tmp_path: Path) -> None:
    lines = "trusted_proxies: [unix, 10.0.0.1]\nforward_auth: {listen: ['unix:/run/c.sock', '127.0.0.1:8081']}\n"
    assert not [each for each in told(tmp_path, BASE + lines) if "trusted_proxies" in each]


def test_a_variable_that_is_not_set_is_told_once(tmp_path: Path) -> None:
    assert told(tmp_path, BASE.replace('["${KEY}"]', '["${GATEWAY_SECRET_KEY}"]')) == [
        "gateway.yaml:4:15: secret_keys: needs the environment variable GATEWAY_SECRET_KEY, which is not set: set it, "
        "or write ${file:/path}"
    ]


@pytest.mark.parametrize(
    ("lines", "where"),
    [
        ("admin: {keys: [{name: ann, key: '${NONE}'}]}", "6:28: admin.keys"),
        ("admin: {keys: ['${NONE}']}", "6:16: admin.keys"),
        ("tokens: {clients: [{name: job, key: '${NONE}'}]}", "6:32: tokens.clients[0].key"),
    ],
)
def test_a_secret_that_is_not_set_is_told_once_and_has_no_default(tmp_path: Path, lines: str, where: str) -> None:
    assert told(tmp_path, BASE + lines + "\n") == [
        f"gateway.yaml:{where}: needs the environment variable NONE, which is not set: set it, or write ${{file:/path}}"
    ]


def test_what_is_no_secret_may_have_a_default(tmp_path: Path) -> None:
    found = told(tmp_path, BASE + "brand: {name: '${NONE}'}\n")
    assert [each.rpartition("set it, ")[2] for each in found] == ["or write ${NONE:-default}"]


def test_a_list_from_a_variable_is_not_told_at_the_place_of_the_one_that_it_replaces(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(BASE)
    with pytest.raises(SettingsProblems) as caught:
        load(path, ENVIRON | {"GATEWAY__SECRET_KEYS": '["${NONE}"]'})
    assert [problem.where for problem in caught.value.problems] == ["GATEWAY__SECRET_KEYS"]


def test_where_a_key_stands_makes_no_settings_differ(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(BASE)
    first = load(path, ENVIRON)
    path.write_text("# a comment\n" + BASE)
    assert load(path, ENVIRON) == first
