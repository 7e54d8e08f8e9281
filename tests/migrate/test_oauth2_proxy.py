"""Settings made from oauth2-proxy's: they can be used but for their blanks, and nobody is let in who was not before."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.core.spelling import PathPattern
from gateway.errors import SettingsError
from gateway.migrate.conversion import convert
from gateway.migrate.keys import KEYS
from gateway.migrate.old import read_seconds
from gateway.migrate.patterns import Pattern
from gateway.migrate.routes import NOBODY
from gateway.settings import Settings, SettingsProblems, load
from gateway.settings.keys import every_key
from tests.commands import invoke

BLANKS = {
    "GATEWAY_SECRET_KEY": "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V",
    "TIKTOK_CLIENT_KEY": "k",
    "TIKTOK_CLIENT_SECRET": "s",
}
ALSO_BLANK = {
    "GATEWAY_PUBLIC_URL": "https://app.example.com",
    "GATEWAY_REDIS": "redis://127.0.0.1:6379/0",
    "REDIS_PASSWORD": "p",
    "REDIS_SENTINEL_PASSWORD": "p",
    "REDIS_SENTINEL_SERVICE": "main",
    "REDIS_NODE": "127.0.0.1:6379",
}
LEAST = """
redirect_url = "https://app.example.com/oauth2/callback"
redis_connection_url = "redis://127.0.0.1:6379/3"
email_domains = ["*"]
"""
WHOLE = """
http_address = "0.0.0.0:4180"
redirect_url = "https://app.example.com/auth/callback"
proxy_prefix = "/auth"
upstreams = ["http://127.0.0.1:3000/", "http://10.0.0.2:8000/api/"]
pass_host_header = false
proxy_websockets = false
upstream_timeout = "90s"
client_id = "123.apps"
client_secret = "HUSH-client"
cookie_secret = "HUSH-cookie"
cookie_name = "_sso"
cookie_domains = [".example.com", "other.test"]
cookie_expire = "336h0m0s"
cookie_refresh = "1h"
email_domains = ["example.com"]
reverse_proxy = true
trusted_proxy_ips = ["10.1.0.0/16"]
skip_auth_routes = ["GET=^/probe$", "^/static/", "^/api/public", "^/(ping|health)$"]
skip_auth_regex = ["^/old/.*$"]
api_routes = ["^/api"]
whitelist_domains = [".example.com", "docs.example.org:8443"]
redis_connection_url = "rediss://me:HUSH-url@redis.internal:6379/1"
redis_password = "HUSH-redis"
basic_auth_password = "HUSH-basic"
signature_key = "sha1:HUSH-signature"
set_xauthrequest = true
pass_access_token = true
skip_provider_button = true
metrics_address = ":9100"
tls_cert_file = "/etc/tls/cert.pem"
ping_path = "/ping"
htpasswd_file = "/etc/htpasswd"
"""


def made(text: str, tmp_path: Path, environ: Mapping[str, str] = BLANKS) -> Settings:
    """Return the settings that come of a config file."""
    path = tmp_path / "gateway.yaml"
    path.write_text(convert(config=text))
    return load(path, environ)


def test_all_of_it_becomes_settings(tmp_path: Path) -> None:
    told = made(WHOLE.replace("http://127.0.0.1:3000/", "unix:///run/app.sock"), tmp_path, BLANKS | ALSO_BLANK)
    assert told.public_url == "https://app.example.com"
    assert (told.prefix, ", ".join(map(str, told.listen)), str(told.admin.listen)) == (
        "/auth",
        "0.0.0.0:4180",
        "0.0.0.0:9100",
    )
    assert told.upstream is not None
    assert told.upstream.url == ("unix:/run/app.sock",)
    assert (told.upstream.pass_host, told.upstream.websockets) == (False, False)
    assert told.upstream.timeouts.first_byte.total_seconds() == 90
    assert told.upstreams["api"].url == ("http://10.0.0.2:8000",)
    assert told.redis.address == "rediss://redis.internal:6379/1"
    assert told.redis.username == "me"
    assert told.trusted_proxies == ("10.1.0.0/16",)
    assert (told.session.cookie_name, told.session.cookie_domain) == ("_sso", "example.com")
    assert (told.session.idle_timeout.days, told.session.absolute_timeout.days) == (7, 14)
    assert told.identity.presets == ("oauth2-proxy",)
    assert told.sign_in == "redirect"
    assert told.return_to.allowed_hosts == ("docs.example.org:8443",)


def test_a_certificate_comes_along_with_both_addresses(tmp_path: Path) -> None:
    files = 'tls_cert_file = "/etc/tls/cert.pem"\ntls_key_file = "/etc/tls/key.pem"\n'
    told = made(f'{LEAST}{files}http_address = ":80"\nhttps_address = "10.0.0.1:443"\n', tmp_path)
    assert told.tls is not None
    assert (told.tls.certificate, told.tls.key) == ("/etc/tls/cert.pem", "/etc/tls/key.pem")
    assert [(str(each), each.speaks_tls) for each in told.listen] == [("10.0.0.1:443", True), ("0.0.0.0:80", False)]
    assert "tls_cert_file: there is no certificate and key" in convert(config=WHOLE)


def test_routes_are_one_list_with_the_upstreams(tmp_path: Path) -> None:
    told = made(WHOLE, tmp_path, BLANKS | ALSO_BLANK)
    assert [(each.path, each.access, each.upstream, each.on_unauthenticated) for each in told.routes] == [
        ("/old/**", "public", "default", "auto"),
        ("/probe", "public", "default", "auto"),
        ("/static/**", "public", "default", "auto"),
        ("regex:/api/public.*", "public", "api", "auto"),
        ("regex:(?=/api/)/(ping|health)", "public", "api", "auto"),
        ("regex:/(ping|health)", "public", "default", "auto"),
        ("regex:(?=/api/)/api.*", "signed_in", "api", "unauthorized"),
        ("regex:/api.*", "signed_in", "default", "unauthorized"),
        ("/api/**", "signed_in", "api", "auto"),
        ("/**", "signed_in", "default", "auto"),
    ]
    assert told.routes[1].methods == ("GET",)


@pytest.mark.parametrize("upstreams", ['["static://202"]', "[]", '["file:///srv/www/#/"]'])
def test_without_an_app_a_front_asks(tmp_path: Path, upstreams: str) -> None:
    told = made(f"{LEAST}upstreams = {upstreams}\n", tmp_path)
    assert (told.upstream, told.upstreams) == (None, {})
    assert [str(each) for each in told.forward_auth.listen] == ["127.0.0.1:8081"]
    assert [route.path for route in told.routes] == ["/**"]


def test_what_no_upstream_had_nobody_gets(tmp_path: Path) -> None:
    listed = '["http://127.0.0.1:1/a/", "http://127.0.0.1:2/a/b/", "http://127.0.0.1:3/c", "http://127.0.0.1:4/a/"]'
    told = made(f"{LEAST}upstreams = {listed}\nskip_auth_routes = ['^/open', '!=^/a/b']\n", tmp_path)
    assert told.upstream is None
    assert {name: each.url for name, each in told.upstreams.items()} == {
        "a-b": ("http://127.0.0.1:2",),
        "a": ("http://127.0.0.1:1",),
        "c": ("http://127.0.0.1:3",),
    }
    assert not told.forward_auth.listen
    assert [(route.path, route.upstream) for route in told.routes] == [
        ("regex:(?=/a/b/)(?!/a/b.*$).*", "a-b"),
        ("regex:(?=/a/)(?!/a/b.*$).*", "a"),
        ("regex:(?=/c$)(?!/a/b.*$).*", "c"),
        ("/a/b/**", "a-b"),
        ("/a/**", "a"),
        ("/c", "c"),
    ]
    assert "another upstream for /a/" in (tmp_path / "gateway.yaml").read_text()


def test_no_secret_is_repeated() -> None:
    written = convert(
        config=WHOLE,
        environ={"OAUTH2_PROXY_JWT_KEY": "HUSH-jwt", "OAUTH2_PROXY_NEW_KEY": "HUSH-new"},
        flags=["--github-token=HUSH-github", "--upstream=http://me:HUSH-upstream@127.0.0.1:1/x/"],
    )
    assert "HUSH" not in written
    assert "jwt_key" in written


def test_blanks_are_what_is_not_set(tmp_path: Path) -> None:
    with pytest.raises(SettingsProblems) as refused:
        made(WHOLE, tmp_path, {})
    named = {found for each in refused.value.problems for found in re.findall(r"variable (\w+)", each.message)}
    assert named == {*BLANKS, "REDIS_PASSWORD"}
    keys = {"secret_keys", "redis.password", "tiktok.client_key", "tiktok.client_secret"}
    assert {each.key for each in refused.value.problems} == keys
    text = (tmp_path / "gateway.yaml").read_text()
    for name in named:
        assert re.search(rf"# FILL IN.*\n.*{name}|{name}: a new key", text) or "as variables" in text


def test_without_anything_all_that_is_needed_is_a_blank(tmp_path: Path) -> None:
    told = made("", tmp_path, BLANKS | ALSO_BLANK)
    assert ", ".join(map(str, told.listen)) == "127.0.0.1:4180"
    assert told.upstream is None
    assert [str(each) for each in told.forward_auth.listen] == ["127.0.0.1:8081"]
    assert told.sign_in == "page"
    assert not told.trusted_proxies


def test_a_front_may_come_by_a_socket(tmp_path: Path) -> None:
    told = made(LEAST + 'http_address = "unix:///run/o.sock"\nreverse_proxy = true\n', tmp_path)
    assert (", ".join(map(str, told.listen)), told.trusted_proxies) == ("unix:/run/o.sock", ("unix",))


@pytest.mark.parametrize(
    ("text", "lets_in"),
    [
        ("", False),  # it may be said elsewhere
        ('email_domains = ["*"]', True),
        ('email_domains = "*"', True),
        ('email_domains = ["example.com"]', False),
        ('email_domains = ["*"]\nauthenticated_emails_file = "/etc/emails"', False),
        ('email_domains = ["*"]\nallowed_groups = ["staff"]', False),
        ('email_domains = ["*"]\ngithub_org = "us"', False),
        ('email_domains = ["*"]\nkeycloak_groups = ["a"]', False),
        ('email_domains = ["*"]\ntrusted_ips = ["10.0.0.0/8"]', True),
    ],
)
def test_whom_tiktok_cannot_name_stays_out(tmp_path: Path, text: str, lets_in: bool) -> None:
    told = made(text, tmp_path, BLANKS | ALSO_BLANK)
    for route in told.routes:
        assert (route.allow is None) == lets_in
        assert route.access == "signed_in"
        if route.allow is not None:
            assert route.allow.open_ids == (NOBODY,)


@pytest.mark.parametrize(
    ("text", "presets", "names"),
    [
        ("", [], ["X-Forwarded-User", "X-Forwarded-Preferred-Username"]),
        ("pass_user_headers = false\npass_basic_auth = false", [], []),
        ("pass_access_token = true", ["oauth2-proxy"], []),
        (
            "pass_user_headers = false\npass_basic_auth = false\nset_xauthrequest = true",
            [],
            ["X-Auth-Request-User", "X-Auth-Request-Preferred-Username"],
        ),
        (
            "pass_user_headers = false\npass_basic_auth = false\npass_access_token = true",
            [],
            ["X-Forwarded-Access-Token"],
        ),
    ],
)
def test_apps_are_told_what_they_were_and_no_more(
    tmp_path: Path, text: str, presets: list[str], names: list[str]
) -> None:
    told = made(LEAST + text, tmp_path)
    assert (list(told.identity.presets), list(told.identity.headers)) == (presets, names)


@pytest.mark.parametrize(
    "text",
    [
        'redis_use_sentinel = true\nredis_sentinel_master_name = "main"\nredis_password = "p"\n'
        'redis_sentinel_password = "q"\nredis_sentinel_connection_urls = ["redis://a:26379", "redis://b"]',
        'redis_use_cluster = true\nredis_cluster_connection_urls = "rediss://u:p@a:7000,rediss://u:p@b:7001"',
    ],
)
def test_redis_of_several_servers(tmp_path: Path, text: str) -> None:
    redis = made(LEAST + text, tmp_path, BLANKS | ALSO_BLANK).redis
    if redis.sentinel is not None:
        assert (redis.sentinel.nodes, redis.sentinel.service) == (("a:26379", "b:6379"), "main")
        assert redis.sentinel.password is not None
        assert redis.sentinel.sentinel_password is not None
    else:
        assert redis.cluster is not None
        assert redis.cluster.nodes == ("a:7000", "b:7001")
        assert redis.cluster.username == "u"
        assert redis.tls is not None


ALPHA = """
server: {BindAddress: "0.0.0.0:4180"}
metricsServer: {bindAddress: ":44180"}
upstreamConfig:
  upstreams:
    - {id: app, path: /, uri: "http://$APP_HOST:3000", timeout: 10s}
    - {id: cut, path: "^/cut/(.*)$", rewriteTarget: /$1, uri: "http://127.0.0.1:4000", passHostHeader: false}
    - {id: odd, path: "^/odd/([0-9]+)$", rewriteTarget: "/x/$1", uri: "http://127.0.0.1:5000"}
    - {id: files, path: /files/, uri: "file:///srv"}
injectRequestHeaders:
  - {name: X-User, values: [{claimSource: {claim: user}}]}
  - {name: X-Token, values: [{claim: access_token, prefix: "Bearer "}]}
  - {name: X-Email, values: [{claim: email}]}
  - {name: X-Fixed, values: [{secretSource: {value: U0VDUkVU}}]}
injectResponseHeaders:
  - {name: X-Auth-Request-User, values: [{claim: user}]}
providers:
  - {id: one, provider: github, clientID: x, clientSecret: HUSH, githubConfig: {org: us}}
"""


def test_the_structured_configuration_is_read_too(tmp_path: Path) -> None:
    written = convert(config=LEAST, alpha=ALPHA)
    path = tmp_path / "gateway.yaml"
    path.write_text(written)
    told = load(path, BLANKS | {"APP_HOST": "app.internal"})
    assert told.upstream is not None
    assert told.upstream.url == ("http://app.internal:3000",)
    assert told.upstreams["cut"].strip_prefix == "/cut"
    assert not told.upstreams["cut"].pass_host
    assert list(told.upstreams) == ["cut"]
    assert told.identity.headers == {"X-User": "{open_id}", "X-Token": "Bearer {access_token}"}
    assert str(told.admin.listen) == "0.0.0.0:44180"
    assert all(route.allow is not None for route in told.routes)  # of a provider's organisation
    assert "HUSH" not in written
    assert "U0VDUkVU" not in written
    for missing in ("X-Email", "X-Fixed", "/files/", "/odd/"):
        assert missing in written.partition("has no counterpart")[2]


def test_flags_go_before_variables_and_those_before_the_file(tmp_path: Path) -> None:
    file = 'http_address = "127.0.0.1:1"\nproxy_prefix = "/file"\nmetrics_address = "127.0.0.1:11"\n'
    environ = {"OAUTH2_PROXY_PROXY_PREFIX": "/variable", "OAUTH2_PROXY_METRICS_ADDRESS": "127.0.0.1:12"}
    environ |= {"OAUTH2_PROXY_SKIP_AUTH_ROUTES": "GET=^/a/,^/b/"}
    flags = [
        "--metrics-address",
        "127.0.0.1:13",
        "--reverse-proxy",
        "--upstream=http://127.0.0.1:3",
        "--api-route=^/c/",
    ]
    path = tmp_path / "gateway.yaml"
    path.write_text(convert(config=LEAST + file, environ=environ, flags=[*flags, "--api-route=^/d/,^/e/"]))
    told = load(path, BLANKS)
    assert (", ".join(map(str, told.listen)), told.prefix, str(told.admin.listen)) == (
        "127.0.0.1:1",
        "/variable",
        "127.0.0.1:13",
    )
    assert told.trusted_proxies == ("127.0.0.1/32",)
    assert [route.path for route in told.routes] == ["/a/**", "/b/**", "/c/**", "/d/**", "/e/**", "/**"]


@pytest.mark.parametrize("key", sorted(KEYS))
def test_each_key_becomes_something_or_is_told(key: str) -> None:
    known = KEYS[key]
    assert bool(known.to) != bool(known.why)
    if known.why:
        value = {"flag": "true", "list": '["x"]', "duration": '"1h"', "text": '"x"'}[known.kind]
        before, _, after = convert(config=LEAST + f"{key} = {value}\n").partition("has no counterpart:")
        assert re.search(rf"\b{key}\b", after if not known.narrows else before + after)
    else:
        assert tuple(known.to.split(".")) in every_key()


CHANGES = {
    "upstreams": '["http://127.0.0.1:3"]',
    "upstream_timeout": '"3s"',
    "pass_host_header": "false",
    "proxy_websockets": "false",
    "ssl_upstream_insecure_skip_verify": "true",
    "http_address": '"0.0.0.0:5"',
    "https_address": '"0.0.0.0:6"',
    "tls_cert_file": '"/etc/tls/cert.pem"',
    "tls_key_file": '"/etc/tls/key.pem"',
    "proxy_prefix": '"/sso"',
    "redirect_url": '"https://other.example.com/oauth2/callback"',
    "reverse_proxy": "true",
    "trusted_proxy_ips": '["10.0.0.1"]',
    "request_id_header": '"X-Request-Id"',
    "metrics_address": '"127.0.0.1:7"',
    "whitelist_domains": '["a.example.com"]',
    "skip_provider_button": "true",
    "skip_auth_routes": '["^/x$"]',
    "skip_auth_regex": '["^/x$"]',
    "skip_auth_preflight": "true",
    "api_routes": '["^/x$"]',
    "force_json_errors": "true",
    "email_domains": '["example.com"]',
    "pass_basic_auth": "false",
    "pass_user_headers": "false",
    "pass_access_token": "true",
    "set_xauthrequest": "true",
    "cookie_name": '"_sso"',
    "cookie_domains": '["example.com"]',
    "cookie_samesite": '"none"',
    "cookie_expire": '"1h"',
    "redis_connection_url": '"redis://10.0.0.1:6379"',
    "redis_username": '"me"',
    "redis_password": '"p"',
    "redis_use_sentinel": "true",
    "redis_sentinel_password": '"p"',
    "redis_sentinel_master_name": '"first"',
    "redis_sentinel_connection_urls": '["redis://a:1"]',
    "redis_use_cluster": "true",
    "redis_cluster_connection_urls": '["redis://a:1"]',
    "redis_ca_path": f'"{__file__}"',
    "redis_insecure_skip_tls_verify": "true",
}
BESIDE = {
    "upstream_timeout": 'upstreams = ["https://127.0.0.1:3"]',
    "pass_host_header": 'upstreams = ["https://127.0.0.1:3"]',
    "proxy_websockets": 'upstreams = ["https://127.0.0.1:3"]',
    "ssl_upstream_insecure_skip_verify": 'upstreams = ["https://127.0.0.1:3"]',
    "https_address": 'tls_cert_file = "/c"\ntls_key_file = "/k"',
    "tls_cert_file": 'tls_key_file = "/k"',
    "tls_key_file": 'tls_cert_file = "/c"',
    "trusted_proxy_ips": "reverse_proxy = true",
    "request_id_header": "reverse_proxy = true",
    "redis_username": 'redis_password = "p"',
    "redis_sentinel_password": "redis_use_sentinel = true",
    "redis_sentinel_master_name": "redis_use_sentinel = true",
    "redis_sentinel_connection_urls": "redis_use_sentinel = true",
    "redis_cluster_connection_urls": "redis_use_cluster = true",
    "redis_ca_path": 'redis_connection_url = "rediss://127.0.0.1:1"',
    "redis_insecure_skip_tls_verify": 'redis_connection_url = "rediss://127.0.0.1:1"',
    "pass_basic_auth": "pass_user_headers = false",
    "pass_user_headers": "pass_basic_auth = false",
}
"""What a key needs beside it, to make a difference."""
SAME = {"cookie_secret", "cookie_secret_file", "client_id", "client_secret", "client_secret_file", "session_store_type"}
"""For each of these there is a blank."""


def test_there_is_a_change_for_each_key_that_is_carried() -> None:
    assert {*CHANGES} | SAME == {key for key in KEYS if KEYS[key].to}


@pytest.mark.parametrize("key", sorted(CHANGES))
def test_each_key_that_is_carried_makes_a_difference(tmp_path: Path, key: str) -> None:
    values = dict(line.split(" = ", 1) for line in LEAST.split("\n") if line)
    values |= dict([BESIDE[key].split(" = ", 1)] if key in BESIDE else [])

    def write() -> str:
        return "".join(f"{name} = {value}\n" for name, value in values.items())

    without = made(write(), tmp_path, BLANKS | ALSO_BLANK)
    values[key] = CHANGES[key]
    assert made(write(), tmp_path, BLANKS | ALSO_BLANK) != without


PATTERNS = [
    *(
        "^/probe$",
        "^/static/",
        "^/api/public",
        "/x",
        "^/(ping|health)$",
        "^/a$|^/b/",
        "^/a|b$",
        r"^/f\.txt$",
        "^/a/.*$",
    ),
    *(r"^/v\d+/", r"\.css$", "(?i)^/Up$", "^/ab?$", "^/ab*", "^/[a-c]+$", r"^/x\$", "", "^", "$", "^/$", ".*", "^/.*"),
    *("^/(a|b)/(c|d)$", "^/[|]$", r"^/a\|b", "/a$|/b$", "^/a{2}$", "(^/x|^/y)z"),
]
PATHS = [
    *(
        "/",
        "/probe",
        "/probe/",
        "/xprobe",
        "/static/a",
        "/api/public",
        "/api/publicity",
        "/x",
        "/a/x",
        "/ping",
        "/health",
    ),
    *(
        "/pinged",
        "/a",
        "/b",
        "/b/c",
        "/ab",
        "/abb",
        "/f.txt",
        "/fatxt",
        "/v1/x",
        "/v\u0661/x",
        "/style.css",
        "/up",
        "/UP",
        "/x$",
    ),
    *("/a/c", "/b/d", "/|", "/a|b", "/aa", "/xz", "/yz", "/api/x", "/api/ping", "/API/x", "/abc", "/cab"),
]


@pytest.mark.parametrize("text", PATTERNS)
def test_a_pattern_opens_what_it_did(text: str) -> None:
    """Go searches; so does Python, by ASCII alone."""
    pattern = Pattern(text)
    written = pattern.for_whole_path()
    whole, others = PathPattern(written), PathPattern(pattern.for_other_paths())
    within = PathPattern(pattern.ahead("/api/"))
    for path in PATHS:
        found = re.search(text, path, re.ASCII) is not None
        if not (written.endswith("/**") and f"{path}/**" == written):  # a folder's own name
            assert whole.matches(path) == found, path
        assert others.matches(path) == (not found), path
        assert within.matches(path) == (found and path.startswith("/api/")), path
        assert not found or path.startswith(pattern.beginning), path


@pytest.mark.parametrize(
    "text",
    [r"^/\pL+$", "^/[[:alpha:]]+$", r"^/\Qa.b\E$", r"^/a\z", "(?U)^/a+", "(?s)^/a", "^/(?<name>a)", "^/a{,3}", "("],
)
def test_what_python_takes_for_something_else_opens_nothing(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="something else"):
        Pattern(text)
    told = made(LEAST + f"skip_auth_routes = ['{text}', '!={text}']", tmp_path)
    assert all(route.access == "signed_in" for route in told.routes)
    assert "FILL IN: skip_auth_routes has" in (tmp_path / "gateway.yaml").read_text()


@pytest.mark.parametrize(
    ("text", "seconds"), [("168h", 604800), ("1h30m0s", 5400), ("500ms", 0.5), ("0", None), ("7d", None), ("", None)]
)
def test_durations_are_gos(text: str, seconds: float | None) -> None:
    assert read_seconds(text) == seconds


def test_whatever_an_old_file_says_stays_within_its_line(tmp_path: Path) -> None:
    text = LEAST + 'skip_auth_regex = ["^/a\\nupstream: evil\\u0085x: y $", "^/${HOME}$", "#"]\ncookie_name = "a: b"\n'
    written = convert(config=text + '"odd\\nlisten: evil" = 1\n')
    assert not re.search(r"^(upstream: evil|listen: evil|x:)", written, re.MULTILINE)
    assert "${HOME}" not in written.replace("$${HOME}", "")


@pytest.mark.parametrize("text", ["a = ", "HUSH", 'a = "HUSH', "a = 1\nb = HUSH"])
def test_what_is_no_toml_is_told_without_its_words(text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        convert(config=text)
    assert re.search(r"TOML \(at (line \d, column \d|end of document)\)$", str(refused.value))
    assert "HUSH" not in str(refused.value)


@pytest.mark.parametrize("flags", [["upstream=x"], ["--upstream"], ["--reverse-proxy=HUSH"], ["-"]])
def test_flags_that_are_none_are_told(flags: list[str]) -> None:
    with pytest.raises(SettingsError) as refused:
        convert(flags=flags)
    assert "HUSH" not in str(refused.value)


class TestCommand:
    def test_it_prints(self, tmp_path: Path) -> None:
        (tmp_path / "o.cfg").write_text(LEAST)
        done = invoke(
            "migrate", "o.cfg", "--", "--upstream=http://127.0.0.1:3", "--reverse-proxy", environ={}, cwd=tmp_path
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == convert(config=LEAST, flags=["--upstream=http://127.0.0.1:3", "--reverse-proxy"])

    def test_it_writes_what_check_takes_and_overwrites_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "o.cfg").write_text(LEAST)
        for expected in (0, 1):
            done = invoke(
                "migrate", "o.cfg", "-o", "new.yaml", environ={"OAUTH2_PROXY_API_ROUTES": "^/a"}, cwd=tmp_path
            )
            assert (done.returncode, done.stdout) == (expected, ""), done.stderr
        assert "^/a" not in (tmp_path / "new.yaml").read_text()
        assert "regex:/a.*" in (tmp_path / "new.yaml").read_text()
        assert invoke("check", "-c", "new.yaml", environ=BLANKS, cwd=tmp_path).returncode == 0

    def test_flags_alone_may_name_the_files(self, tmp_path: Path) -> None:
        (tmp_path / "o.cfg").write_text(LEAST)
        (tmp_path / "alpha.yaml").write_text(
            "upstreamConfig: {upstreams: [{id: a, path: /, uri: 'http://127.0.0.1:9'}]}"
        )
        done = invoke("migrate", "--", "--config=o.cfg", "--alpha-config", "alpha.yaml", environ={}, cwd=tmp_path)
        assert 'upstream: "http://127.0.0.1:9"' in done.stdout or "upstream: http://127.0.0.1:9" in done.stdout
        assert "public_url: https://app.example.com" in done.stdout

    def test_a_structured_configuration_alone(self, tmp_path: Path) -> None:
        (tmp_path / "alpha.yaml").write_text(ALPHA)
        done = invoke("migrate", "alpha.yaml", environ={}, cwd=tmp_path)
        assert done.stdout == convert(alpha=ALPHA)

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        done = invoke("migrate", "o.cfg", environ={}, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (1, "gateway: o.cfg cannot be read: No such file or directory\n")


def test_no_route_is_written_that_is_never_reached() -> None:
    written = convert(
        config="""\
upstreams = ["http://127.0.0.1:3000/", "http://127.0.0.1:4000/api/"]
api_routes = ["^/api/"]
skip_auth_routes = ["^/static/", "GET=^/static/", "GET=^/news/", "POST=^/news/"]
email_domains = ["*"]
"""
    )
    lines = [line for line in written.splitlines() if line.startswith("  - {path")]
    assert sum('"/api/**"' in line for line in lines) == 1
    assert "on_unauthenticated: unauthorized" in next(line for line in lines if '"/api/**"' in line)
    assert sum('"/static/**"' in line for line in lines) == 1
    assert sum('"/news/**"' in line for line in lines) == 2  # each has another method


def test_a_static_answer_and_the_metrics_address_are_not_moved_in_silence() -> None:
    written = convert(config='upstreams = ["http://a:1/", "static://204#/ping"]\nmetrics_address = "0.0.0.0:9100"\n')
    assert "the static upstream for /ping" in written
    comment = written[: written.index('listen: "0.0.0.0:9100"')].rpartition("admin:")[2]
    assert "was metrics_address" in comment
    assert "Let only your own programs reach it" in comment
