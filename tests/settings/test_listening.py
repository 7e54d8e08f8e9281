"""Where to listen: one address or several, as words or as mappings; and what is said of what is probably not meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.core.keyring import new_secret_key
from gateway.settings import Listen, Settings, SettingsProblems, load, warnings

BASE = f"""\
public_url: https://app.example.com
upstream: http://127.0.0.1:3000
redis: redis://127.0.0.1:6379/0
secret_keys: ["{new_secret_key()}"]
tiktok: {{client_key: k, client_secret: s}}
"""


def read(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> Settings:
    path = tmp_path / "gateway.yaml"
    path.write_text(BASE + text)
    return load(path, environ or {})


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("", [Listen(host="0.0.0.0", port=8080)]),
        ("listen: ':1'", [Listen(host="0.0.0.0", port=1)]),
        ("listen: '[::]:1'", [Listen(host="::", port=1)]),
        ("listen: systemd", [Listen(systemd="")]),
        ("listen: systemd:web.http", [Listen(systemd="web.http")]),
        ("listen: [':1', 'unix:/run/s']", [Listen(host="0.0.0.0", port=1), Listen(unix_path="/run/s")]),
        ("listen: {address: ':1'}", [Listen(host="0.0.0.0", port=1)]),
        ("listen: [{address: ':1'}, ':2']", [Listen(host="0.0.0.0", port=1), Listen(host="0.0.0.0", port=2)]),
        ("listen: ['127.0.0.1:0', '127.0.0.1:0']", [Listen(host="127.0.0.1"), Listen(host="127.0.0.1")]),
    ],
)
def test_addresses(tmp_path: Path, text: str, places: list[Listen]) -> None:
    settings = read(tmp_path, text)
    assert [each.address for each in settings.listen] == places
    again = read(tmp_path, "listen: [" + ", ".join(f"'{each}'" for each in settings.listen) + "]")
    assert [each.address for each in again.listen] == places


def test_how(tmp_path: Path) -> None:
    text = "trusted_proxies: [unix]\nlisten: {address: unix:/run/s, mode: '0660', group: 33, proxy_protocol: true}"
    (each,) = read(tmp_path, text).listen
    assert (each.mode, each.group, each.proxy_protocol, each.tls) == (0o660, "33", True, None)
    environ = {"GATEWAY__LISTEN": "{address: 'unix:/run/s', group: www-data}", "GATEWAY__ADMIN__LISTEN__MODE": "600"}
    environ["GATEWAY__ADMIN__LISTEN__ADDRESS"] = "unix:/run/admin"
    settings = read(tmp_path, "", environ)
    assert [(str(each), each.mode, each.group) for each in settings.listen] == [("unix:/run/s", None, "www-data")]
    assert settings.admin.listen is not None
    assert (str(settings.admin.listen), settings.admin.listen.mode) == ("unix:/run/admin", 0o600)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("listen: []", "listen: is empty"),
        ("listen: 8080", "listen: is no address"),
        ("listen: 'systemd:'", "listen: is no address"),
        ("listen: 'systemd:a:b'", "listen: is no address"),
        ("listen: [':1', '0.0.0.0:1']", "listen: has 0.0.0.0:1 twice"),
        ("listen: [systemd, systemd]", "listen: has systemd twice"),
        ("listen: {mode: '0660'}", "listen[0].address: is missing"),
        ("listen: {address: 'unix:/s', mod: '0660'}", "listen[0].mod: is not a key; did you mean `mode`?"),
        ("listen: [{address: 'unix:/s', mod: '0660'}]", "listen[0].mod: is not a key; did you mean `mode`?"),
        ("listen: [{address: 'unix:/s', mode: 0660}]", 'listen[0].mode: is no mode: write it in quotes, like "0660"'),
        ("listen: [{address: 'unix:/s', mode: rw}]", "listen[0].mode: is no mode"),
        ("listen: [{address: ':1', mode: '0660'}]", "listen[0]: has a mode or a group, which only the file of a unix"),
        ("listen: {address: ':1', tls: true}", "listen: 0.0.0.0:1 has `tls: true`, but there is no certificate"),
        ("listen: {address: ':1', proxy_protocol: true}", "list the balancer in trusted_proxies"),
        ("admin: {listen: {address: ':1', tls: false}}", "admin.listen: has `tls`, which only `listen` can have"),
        ("forward_auth: {listen: {address: ':1', proxy_protocol: true}}", "forward_auth.listen: has `proxy_protocol`"),
        ("forward_auth: {listen: '0.0.0.0:8080'}", "forward_auth.listen: 0.0.0.0:8080 is `listen`"),
        ("forward_auth: {grpc: systemd}", "forward_auth.grpc: cannot be systemd's"),
        ("listen: ':1'\nadmin: {listen: ':1'}", "admin.listen: 0.0.0.0:1 is `listen`"),
        ("tls: {certificate: a.pem}", "tls.key: is missing"),
        ("tls: {certificate: 1, key: a.pem}", "tls.certificate: is no file"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(SettingsProblems) as refused:
        read(tmp_path, text)
    assert told in str(refused.value)


def test_files_are_meant_from_where_the_settings_are(tmp_path: Path) -> None:
    tls = read(tmp_path, "tls: {certificate: a.pem, key: /b.pem}").tls
    assert tls is not None
    assert (tls.certificate, tls.key) == (str(tmp_path / "a.pem"), "/b.pem")


TLS = "tls: {certificate: a.pem, key: b.pem}\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("listen: unix:/s", "trusted_proxies: lacks `unix`, so no visitor has an address, and no limit"),
        ("listen: [':1', 'unix:/s']", "trusted_proxies: lacks `unix`"),
        ("trusted_proxies: [127.0.0.1]", "listen: is 0.0.0.0:8080, open to everybody in plain http, though the front"),
        ("trusted_proxies: [unix]\nlisten: ['[::]:1', 'unix:/s']", "listen: is [::]:1, open to everybody"),
        (TLS + "listen: {address: ':1', tls: false}", "tls: is used by nobody"),
        (TLS + "listen: [':1', {address: ':2', tls: false}]", "listen: has 0.0.0.0:2 in plain http, and no front"),
        (TLS + "public_url: http://app.example.com", "public_url: is http, but the gateway has a certificate"),
    ],
)
def test_what_is_probably_not_meant(tmp_path: Path, text: str, told: str) -> None:
    url = {"GATEWAY__PUBLIC_URL": "http://app.example.com"} if "public_url: http:" in text else {}
    found = [f"{each.key}: {each.message}" for each in warnings(read(tmp_path, text.partition("public_url")[0], url))]
    assert any(each.startswith(told) for each in found), found


@pytest.mark.parametrize(
    "text",
    [
        TLS,
        TLS + "listen: ['[::]:443', 'unix:/s']\ntrusted_proxies: [unix]",
        "listen: 127.0.0.1:8080\ntrusted_proxies: [127.0.0.1]",
        "trusted_proxies: [10.0.0.0/8]",
    ],
)
def test_what_is_fine(tmp_path: Path, text: str) -> None:
    found = [str(each) for each in warnings(read(tmp_path, text))]
    assert [each for each in found if each.startswith(("listen", "tls", "public_url", "trusted"))] == []
