"""Settings: what is read, and what is said of what cannot be."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.errors import SettingsError
from gateway.settings import Settings, SettingsProblems, find, load, warnings

KEY = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V"
MINIMAL = f"""\
public_url: https://app.example.com
upstream: http://127.0.0.1:3000
redis: redis://127.0.0.1:6379/0
secret_keys: ["{KEY}"]
tiktok:
  client_key: key
  client_secret: "${{SECRET}}"
"""
ENVIRON = {"SECRET": "hunter2$x"}


def read(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> Settings:
    path = tmp_path / "gateway.yaml"
    path.write_text(text)
    return load(path, ENVIRON if environ is None else environ)


def problems(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(SettingsProblems) as caught:
        read(tmp_path, text, environ)
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.value.problems]


def test_the_smallest_file(tmp_path: Path) -> None:
    settings = read(tmp_path, MINIMAL)
    assert settings.redirect_uri == "https://app.example.com/oauth2/callback"
    assert settings.cookie_name == "__Host-gateway"
    assert settings.tiktok.client_secret.get_secret_value() == "hunter2$x"
    assert settings.session.idle_timeout == timedelta(days=7)
    assert settings.upstream is not None
    assert settings.upstream.url == ("http://127.0.0.1:3000",)
    assert [route.path for route in settings.routes] == ["/**"]
    assert warnings(settings)[0].key == "secret_keys"


def test_the_environment_alone_is_enough_and_wins(tmp_path: Path) -> None:
    environ = {
        "GATEWAY__PUBLIC_URL": "HTTP://LocalHost:80/",
        "GATEWAY__UPSTREAM": "none",
        "GATEWAY__REDIS": "memory://",
        "GATEWAY__SECRET_KEYS": json.dumps([KEY]),
        "GATEWAY__TIKTOK__CLIENT_KEY": "k",
        "gateway__tiktok__client_secret": "s",
        "GATEWAY__SESSION__IDLE_TIMEOUT": "1h30m",
        "GATEWAY__TIKTOK__ALWAYS_ASK": "true",
        "GATEWAY__ROUTES": "[{path: /x, methods: [GET]}]",
    }
    settings = load(None, environ)
    assert settings.public_url == "http://localhost"
    assert settings.cookie_name == "gateway"
    assert settings.upstream is None
    assert settings.session.idle_timeout == timedelta(minutes=90)
    assert settings.tiktok.always_ask
    assert read(tmp_path, MINIMAL, {**ENVIRON, "GATEWAY__REDIS__TIMEOUT": "5s"}).redis.timeout == timedelta(seconds=5)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("https://app.example.com", "app.example.com"), "gateway.yaml:1:1: public_url: is no address: write what"),
        (("https://app.example.com", "https://app.example.com/x"), "gateway.yaml:1:1: public_url: must end after the"),
        (("https://app.example.com", "https://u:p@app.example.com"), "gateway.yaml:1:1: public_url: must have no user"),
        (("upstream:", "upstrem:"), "gateway.yaml:2:1: upstrem: is not a key; did you mean `upstream`?"),
        (("http://127.0.0.1:3000", "127.0.0.1:3000"), "gateway.yaml:2:1: upstream: is no address of an app"),
        (("redis://127", "http://127"), "gateway.yaml:3:1: redis: is no Redis URL"),
        ((f'["{KEY}"]', "[]"), "gateway.yaml:4:1: secret_keys: is empty"),
        (
            (f'["{KEY}"]', "[short]"),
            "gateway.yaml:4:1: secret_keys: has an entry that is no secret key (number 1)",
        ),
        ((f'["{KEY}"]', "{a: 1}"), "gateway.yaml:4:1: secret_keys: must be a list"),
        (
            ("client_key: key", "client_id: key"),
            "gateway.yaml:6:3: tiktok.client_id: is not a key; did you mean",
        ),
        (("client_key: key", "client_key: 5"), "gateway.yaml:6:3: tiktok.client_key: must be text; put it in quotes"),
        (("${SECRET}", "${NOTHERE}"), "gateway.yaml:7:3: tiktok.client_secret: needs the environment variable NOTHERE"),
        (("${SECRET}", "${file:/not/here}"), "gateway.yaml:7:3: tiktok.client_secret: cannot read the file /not/here"),
    ],
)
def test_a_problem_names_its_place_and_its_remedy(tmp_path: Path, change: tuple[str, str], told: str) -> None:
    assert change[0] in MINIMAL
    found = problems(tmp_path, MINIMAL.replace(*change))
    assert any(problem.startswith(told) for problem in found), found


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("prefix: oauth2", "prefix: must be a path like /oauth2"),
        ("prefix: /", "prefix: must be a path like /oauth2"),
        ("listen: 8080", "listen: is no address to listen on"),
        ("listen: 127.0.0.1:99999", "listen: is no address to listen on"),
        ("listen: a..b:1", "listen: has a host that is none"),
        (f"listen: {'a' * 64}.b:1", "listen: has a host that is none"),
        (f"upstreams: {{x: 'http://{'a' * 64}.b'}}", "upstreams.x: is no address of an app"),
        ("trusted_proxies: [nonsense]", "trusted_proxies[0]: is neither a CIDR"),
        ("drop_headers: ['X Bad']", "drop_headers: has `X Bad`, which is no header name"),
        ("drop_headers: ['*']", "drop_headers: has `*`, which is no header name"),
        ("drop_headers: ['X-*-Y']", "drop_headers: has `X-*-Y`, which is no header name"),
        ("drop_headers: [cookie]", "drop_headers: has `cookie`, but the gateway itself reads cookie"),
        ("drop_headers: [X-F*]", "drop_headers: has `X-F*`, but the gateway itself reads x-forwarded-for"),
        ("admin: {hosts: ['a.example:9090']}", "admin.hosts: has `a.example:9090`, which is no name"),
        ("session: {idle_timeout: soon}", "session.idle_timeout: is no duration"),
        ("session: {idle_timeout: 40d}", "session.idle_timeout: must not be longer"),
        ("session: {cookie_domain: other.example}", "session.cookie_domain: `other.example` is not the domain"),
        ("session: {cookie_domain: example.com, cookie_name: __Host-x}", "session.cookie_name: __Host- cookies"),
        ("session: {cookie_name: 'a b'}", "session.cookie_name: is no cookie name"),
        ("identity: {presets: [tictoc]}", "identity.presets[0]: must be one of"),
        ("identity: {headers: {X-A: '{openid}'}}", "identity.headers.X-A: has a template with a field"),
        ("identity: {headers: {X-A: ''}}", "identity.headers.X-A: has a template that is empty"),
        ("identity: {headers: {Cookie: '{open_id}'}}", "identity.headers.Cookie: `Cookie` cannot"),
        ("routes: [{path: admin}]", "routes[0].path: must begin with /"),
        ("routes: [{path: 'regex:('}]", "routes[0].path: is no regular expression"),
        ("routes: [{path: /x, acess: deny}]", "routes[0].acess: is not a key; did you mean `access`?"),
        ("routes: [{path: /x, methods: [get]}]", "routes[0].methods: has `get`"),
        ("limits: {header_bytes: lots}", "limits.header_bytes: is no size"),
        ("log: {level: loud}", "log.level: must be one of"),
        (
            "return_to: {allowed_hosts: ['https://x.example']}",
            "return_to.allowed_hosts: has `https:",
        ),
        ("cache_for: 5s", "cache_for: is not a key"),
        ("upstreams: {a b: 'http://x'}", "upstreams: has an upstream called `a b`"),
        ("upstreams: {default: 'http://x'}", "upstreams.default: is `upstream` by another name"),
        ("upstreams: {x: 'http://x/path'}", "upstreams.x: is no address of an app"),
        ("upstreams: {x: ['http://x', 'https://y']}", "upstreams.x: mixes schemes"),
        ("upstreams: {x: []}", "upstreams.x: is empty"),
        ("upstreams: {x: 'unix:'}", "upstreams.x: has no path"),
        ("upstreams: {x: {url: 'http://x', strip_prefix: x}}", "upstreams.x.strip_prefix: must be a path"),
        ("upstreams: {x: {url: 'http://x', tls: {verify: false}}}", "upstreams.x.tls: is for https"),
        ("upstreams: {x: {url: 'https://x', tls: {ca: /not/here}}}", "upstreams.x.tls.ca: is no file"),
        ("upstreams: {x: {url: 'https://x', tls: {verify: false, server_name: y}}}", "mean nothing"),
        ("upstreams: {x: {url: 'http://x', timeouts: {conect: 1s}}}", "did you mean `connect`?"),
        ("routes: [{path: /x, upstream: nowhere}]", "routes[0].upstream: there is no upstream `nowhere`"),
        ("routes: [{path: /x, limits: {body: lots}}]", "routes[0].limits.body: is no size"),
        ("routes: [{path: /x, encoded_slashes: true}]", "routes[0].encoded_slashes: must be one of"),
        ("routes: [{path: /x, allowed_origins: [www.example.com]}]", "routes[0].allowed_origins[0]: is no origin"),
        ("routes: [{path: /x, allowed_origins: ['*']}]", "routes[0].allowed_origins[0]: is no origin"),
        (
            "routes: [{path: /x, allowed_origins: ['https://a.example/x']}]",
            "allowed_origins[0]: must end after the host",
        ),
        ("routes: [{path: /x, allowed_origins: ['capacitor://localhost/x']}]", "allowed_origins[0]: is no origin"),
        ("trusted_headers: [X-Request-Id]", "trusted_headers: are taken from nobody"),
        ("trusted_headers: [X-Real-IP]", "trusted_headers[0]: must be one of"),
        ("session: {cookie_same_site: strict}", "session.cookie_same_site: must be one of"),
        ("session: {cookie_partitioned: true}", "session.cookie_partitioned: means nothing without"),
        ("upstreams: {x: {url: 'http://x', header_case: upper}}", "upstreams.x.header_case: must be one of"),
    ],
)
def test_every_key_has_rules(tmp_path: Path, line: str, told: str) -> None:
    found = problems(tmp_path, MINIMAL + line + "\n")
    assert len(found) == 1, found
    assert told in found[0]
    assert found[0].startswith("gateway.yaml:8:") or found[0].startswith("gateway.yaml:1:1: session"), found


@pytest.mark.parametrize("scopes", ["user.info.basic,video.list", "[user.info.basic video.list]", "[video.list]"])
def test_scopes_are_a_list_with_the_basic_one(tmp_path: Path, scopes: str) -> None:
    assert "scopes" in problems(tmp_path, MINIMAL + f"  scopes: {scopes}\n")[0]


@pytest.mark.parametrize("off", ["off", '"off"', "false"])
def test_pkce_can_be_off_in_any_yaml(tmp_path: Path, off: str) -> None:
    assert read(tmp_path, MINIMAL + f"  pkce: {off}\n").tiktok.pkce == "off"


def test_upstreams_have_a_short_form_and_a_default(tmp_path: Path) -> None:
    named = MINIMAL.replace(
        "upstream: http://127.0.0.1:3000", "upstreams: {default: ['http://a', 'http://b:81'], x: 'unix:///x'}"
    )
    assert named != MINIMAL
    settings = read(tmp_path, named)
    assert {name: app.url for name, app in settings.apps.items()} == {
        "default": ("http://a", "http://b:81"),
        "x": ("unix:/x",),
    }
    assert settings.upstream is None
    environ = {"GATEWAY__UPSTREAMS__X__STRIP_PREFIX": "/x", "SECRET": "s"}
    assert read(tmp_path, named, environ).apps["x"].strip_prefix == "/x"


def test_all_problems_come_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = problems(tmp_path, "redis: x\npublic_url: y\nupstream: z\nnonsense: 1\n")
    assert [problem.split(":")[1] for problem in found] == ["1", "1", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "gateway.yaml:1:4: opens a [ that"),
        ("a: 1\na: 2\n", "gateway.yaml:2:1"),
        ("- a\n", "is not a mapping"),
        ("", "public_url: is missing"),
        ("a: !!python/object:os.system x", "gateway.yaml:1:4: has a tag"),
    ],
)
def test_broken_files(tmp_path: Path, text: str, told: str) -> None:
    assert any(told in problem for problem in problems(tmp_path, text))


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load(path, {})


def test_files_are_looked_for_beside_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "staff.yaml").write_text("usernames: [ada]\n")
    routes = "routes: [{path: /x, allow: {file: staff.yaml}}]\n"
    for folder in (tmp_path, tmp_path / "etc"):
        monkeypatch.chdir(folder)
        allow = read(tmp_path / "etc", MINIMAL + routes).routes[0].allow
        assert allow is not None
        assert allow.file == str(tmp_path / "etc" / "staff.yaml")
    (found,) = problems(tmp_path, MINIMAL + routes)
    assert f"is no file: `{tmp_path / 'staff.yaml'}`" in found


def test_no_secret_shows(tmp_path: Path) -> None:
    settings = read(tmp_path, MINIMAL.replace("redis://", "redis://:sesame@"))
    for text in (repr(settings), str(settings), settings.model_dump_json()):
        assert "hunter2" not in text
        assert "sesame" not in text
        assert KEY not in text
    found = problems(tmp_path, MINIMAL + "routes: 5\n" + "prefix: x\n")
    assert "hunter2" not in str(found)


def test_the_place_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find({}, None) is None
    (tmp_path / "gateway.yaml").write_text("")
    (tmp_path / "other.yaml").write_text("")
    assert find({}, None) == Path("gateway.yaml")
    assert find({"GATEWAY_CONFIG": "other.yaml"}, None) == Path("other.yaml")
    assert find({"GATEWAY_CONFIG": "other.yaml"}, Path("gateway.yaml")) == Path("gateway.yaml")
    with pytest.raises(SettingsError, match=r"missing\.yaml does not exist"):
        find({}, Path("missing.yaml"))


@pytest.mark.parametrize("key", ["{name: alice, key: '${ADMIN}'}", "'${ADMIN}'"])
def test_a_key_taken_from_elsewhere_is_not_in_the_clear_whatever_it_is_called(tmp_path: Path, key: str) -> None:
    settings = read(tmp_path, MINIMAL + f"admin: {{keys: [{key}]}}\n", ENVIRON | {"ADMIN": "k" * 40})
    assert not [each for each in warnings(settings) if each.key.startswith("admin")]


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("admin: {keys: [{name: alice, key: " + "k" * 40 + "}]}", "admin.keys: stands in the file"),
        ("trusted_proxies: [0.0.0.0/0]", "trusted_proxies"),
        ("admin: {listen: '0.0.0.0:9090'}", "admin.listen"),
        ("admin: {listen: '0.0.0.0:9090', keys: ['" + "k" * 40 + "']}", "admin.listen: is plain HTTP"),
        (
            "tls: {certificate: a.pem, key: b.pem}\nadmin: {listen: '0.0.0.0:9090', keys: ['" + "k" * 40 + "']}",
            "admin.listen: is plain HTTP",  # the certificate is for `listen` alone
        ),
        ("listen: unix:/run/gateway.sock", "trusted_proxies: lacks `unix`"),
        (
            "session: {device_binding: on, cookie_domain: example.com}",
            "session.device_binding: is on, and binds nothing",
        ),
        ("session: {cookie_same_site: none}", "session.cookie_same_site: is none"),
        ("session: {cookie_same_site: none, cookie_partitioned: true}", "session.cookie_partitioned: is on"),
        ("routes: [{path: /x, access: public, encoded_slashes: keep}]", "routes[0].encoded_slashes: lets in"),
        ("routes: [{path: /x, allowed_origins: ['http://a.example']}]", "routes[0].allowed_origins: has http://a"),
        ("upstreams: {x: {url: 'http://x', rewrite_addresses: true}}", "upstreams.x.rewrite_addresses: has little"),
        ("routes: [{path: /**, methods: [GET]}]\ndrop_headers: [Proxy]", "drop_headers: lacks X-HTTP-Method-Override"),
        ("forward_auth: {listen: ':8081'}", "forward_auth.listen: is 0.0.0.0:8081: whoever reaches it"),
        ("forward_auth: {secret: 0123456789abcdef0123456789abcdef}", "forward_auth.secret: stands in the file"),
        (f"forward_auth: {{secret: {KEY}}}", "secret_keys: has a key that is used for something else too"),
    ],
)
def test_what_is_allowed_but_unsafe_is_said(tmp_path: Path, lines: str, told: str) -> None:
    assert any(told in str(caution) for caution in warnings(read(tmp_path, MINIMAL + lines + "\n")))


def test_a_cookie_for_frames_needs_https(tmp_path: Path) -> None:
    text = MINIMAL.replace("https://app", "http://app") + "session: {cookie_same_site: none}\n"
    assert "session.cookie_same_site: none needs an https public_url" in problems(tmp_path, text)[0]


def test_method_overrides_that_are_dropped_are_no_danger(tmp_path: Path) -> None:
    narrowed = MINIMAL + "routes: [{path: /**, methods: [GET]}]\n"
    for lines in ("", "drop_headers: [x-http-*, X-Method-Override]\n"):
        assert not [each for each in warnings(read(tmp_path, narrowed + lines)) if each.key == "drop_headers"]
    assert not [each for each in warnings(read(tmp_path, MINIMAL + "drop_headers: []\n")) if each.key == "drop_headers"]


@pytest.mark.parametrize(
    ("upstream", "lines", "warned"),
    [
        ("upstream: none", "", True),
        ("upstream: none", "forward_auth: {listen: 'unix:/run/checks.sock'}", False),
        ("upstream: none", 'forward_auth: {secret: "${CHECK}"}', False),
        ("upstream: none", "upstreams: {a: 'http://a'}", False),
        ("upstream: http://127.0.0.1:3000", "", False),
    ],
)
def test_who_only_answers_checks_is_told_that_none_is_proven(
    tmp_path: Path, upstream: str, lines: str, warned: bool
) -> None:
    text = MINIMAL.replace("upstream: http://127.0.0.1:3000", upstream) + lines + "\n"
    found = [str(caution) for caution in warnings(read(tmp_path, text, ENVIRON | {"CHECK": "c" * 32}))]
    assert any("forward_auth: is off" in caution and "forward_auth.listen" in caution for caution in found) is warned


@pytest.mark.parametrize(
    ("upstream", "lines", "warned"),
    [
        ("upstream: none", "", True),
        ("upstream: none", "forward_auth: {listen: 'unix:/run/checks.sock'}", True),
        ("upstream: http://127.0.0.1:3000", "forward_auth: {listen: '127.0.0.1:8081'}", True),
        ("upstream: http://127.0.0.1:3000", 'forward_auth: {secret: "${CHECK}"}', True),
        ("upstream: http://127.0.0.1:3000", "", False),
    ],
)
def test_rules_by_host_lean_on_what_a_front_says(tmp_path: Path, upstream: str, lines: str, warned: bool) -> None:
    text = MINIMAL.replace("upstream: http://127.0.0.1:3000", upstream) + lines + "\n"
    environ = ENVIRON | {"CHECK": "c" * 32}

    def told(routes: str) -> list[str]:
        settings = read(tmp_path, f"{text}routes: [{{path: /a/**}}, {routes}]\n", environ)
        return [str(each) for each in warnings(settings) if "X-Forwarded-Host" in str(each)]

    found = told("{path: /b/**, host: pub.example.com, access: public}, {path: /**, host: b.example.com}")
    assert [each.split(": ")[1] for each in found] == ["routes[1].host"] * warned
    assert told("{path: /**}") == []


def test_checks_are_asked_on_one_address_or_several(tmp_path: Path) -> None:
    asked = read(
        tmp_path, MINIMAL + "forward_auth: {listen: ['127.0.0.1:8081', 'unix:/run/checks.sock']}\n"
    ).forward_auth
    assert [str(listen) for listen in asked.listen] == ["127.0.0.1:8081", "unix:/run/checks.sock"]
    assert [str(listen) for listen in read(tmp_path, MINIMAL).forward_auth.listen] == []
    environ = ENVIRON | {"GATEWAY__FORWARD_AUTH__LISTEN": "127.0.0.1:8081", "GATEWAY__FORWARD_AUTH__SECRET": "s" * 32}
    settings = read(tmp_path, MINIMAL, environ)
    assert [str(listen) for listen in settings.forward_auth.listen] == ["127.0.0.1:8081"]
    assert "s" * 32 not in repr(settings) + settings.model_dump_json()


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("forward_auth: {secret: hunter2hunter2}", "forward_auth.secret: is shorter than 32 characters"),
        ("forward_auth: {listen: 8081}", "forward_auth.listen: is no address to listen on"),
        ("forward_auth: {listen: ['127.0.0.1:8081', x]}", "forward_auth.listen: is no address to listen on"),
        ("forward_auth: {listen: '0.0.0.0:8080'}", "forward_auth.listen: 0.0.0.0:8080 is `listen`"),
        ("forward_auth: {header: x}", "forward_auth.header: is not a key"),
        ("identity: {headers: {X-Gateway-Check: '{open_id}'}}", "identity.headers.X-Gateway-Check: `X-Gateway-Check`"),
    ],
)
def test_forward_auth_that_cannot_be(tmp_path: Path, lines: str, told: str) -> None:
    found = problems(tmp_path, MINIMAL + lines + "\n")
    assert told in found[0]
    assert "hunter2" not in str(found)


def test_unsafe_values_of_the_smallest_file_are_said(tmp_path: Path) -> None:
    text = MINIMAL.replace("https://app", "http://app").replace("127.0.0.1:6379", "redis.internal:6379")
    found = " ".join(str(caution) for caution in warnings(read(tmp_path, text.replace("${SECRET}", "plain"))))
    for part in ("public_url: is http", "redis: has no password", "tiktok.client_secret: stands in the file"):
        assert part in found


@pytest.mark.parametrize(
    ("identity", "told"),
    [
        ("{headers: {X-My-User: '{open_id}'}}", "X-My-User"),
        ("{presets: [tiktok, bearer]}", "Authorization"),
        ("{presets: [oauth2-proxy]}", "oauth2-proxy"),
        ("{presets: [tiktok]}", None),
    ],
)
def test_names_that_a_front_has_to_know_are_told(tmp_path: Path, identity: str, told: str | None) -> None:
    text = MINIMAL + f"forward_auth: {{listen: 127.0.0.1:8081}}\nidentity: {identity}\n"
    found = [str(each) for each in warnings(read(tmp_path, text)) if "copy and remove" in str(each)]
    assert (bool(found), all(str(told) in each for each in found)) == (told is not None, True)
