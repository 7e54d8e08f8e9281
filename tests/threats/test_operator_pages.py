"""The operator's pages under attack: other sites, other names, stolen and planted cookies, and secrets on a page."""

from __future__ import annotations

import json
from collections.abc import Generator
from http.cookies import SimpleCookie

import httpx
import pytest

from gateway.core.keyring import new_secret_key
from gateway.simulator import RunningSimulator
from gateway.web.admin.notice import NOTICES
from tests.harness import Browser
from tests.operator import KEY, OTHER_KEY, SHOWN, Operator, Overseen, serve_overseen
from tests.redis_server import RedisServer
from tests.web.test_pages import Reader

JOB_KEY = "nightly-key-of-at-least-32-characters"
FRONT_SECRET = "the-fronts-own-secret-of-32-characters"
NEWEST, OLDER = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V", "b1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V"
SETTINGS = {
    "admin__keys": json.dumps([KEY, OTHER_KEY]),
    "admin__hosts": '["admin.internal"]',
    "secret_keys": json.dumps([NEWEST, OLDER]),
    "forward_auth__secret": FRONT_SECRET,
    "tokens__clients": json.dumps([{"name": "nightly", "key": JOB_KEY, "scopes": ["user.info.profile"]}]),
    "tiktok__webhook__enabled": "true",
}
PAGES = ("", "/sessions", "/grants", "/activity", "/settings", "/settings?all=1", "/sign_in")


@pytest.fixture(scope="module")
def overseen(simulator: RunningSimulator, upstream: str) -> Generator[Overseen]:
    with serve_overseen(simulator, upstream, **SETTINGS) as overseen:
        yield overseen


@pytest.fixture
def operator(overseen: Overseen) -> Generator[Operator]:
    with Operator(overseen.admin) as operator:
        operator.sign_in()
        yield operator


@pytest.fixture
def victim(overseen: Overseen) -> Generator[Browser]:
    with Browser(overseen.url) as browser:
        browser.sign_in(person="dash")
        yield browser


def dash(overseen: Overseen) -> str:
    return overseen.simulator.people["dash"].open_id


def is_signed_in(browser: Browser) -> bool:
    return browser.fetch("/private/x").status_code == 200


FOREIGN = {
    "another site": {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
    "another site, an old browser": {"origin": "https://evil.example"},
    "a sandboxed frame": {"origin": "null", "sec-fetch-site": "cross-site"},
    "nobody knows": {},
    "no origin": {"sec-fetch-site": "same-origin"},
    "the address bar": {"sec-fetch-site": "none"},
    "another port": {"origin": "http://127.0.0.1:1", "sec-fetch-site": "same-site"},
}


@pytest.mark.parametrize("said", FOREIGN.values(), ids=FOREIGN)
def test_another_sites_form_does_nothing(
    overseen: Overseen, operator: Operator, victim: Browser, said: dict[str, str]
) -> None:
    fields = {"token": operator.token(), "open_id": dash(overseen), "sure": "1"}
    for act in ("/end_session", "/end_sessions", "/end_grant", "/erase", "/sign_out"):
        assert operator.send(act, said, **fields).status_code == 403, act
    # nor does it sign an operator in, as whomever it likes
    answer = operator.send("/sign_in", said, key=OTHER_KEY)
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
    assert is_signed_in(victim)
    assert operator.open().status_code == 200


def test_our_own_origin_is_told_whatever_its_case_and_scheme(overseen: Overseen, operator: Operator) -> None:
    for origin in (overseen.admin.replace("http:", "https:"), overseen.admin.upper()):
        assert (
            operator.send("/sign_in", {"origin": origin, "sec-fetch-site": "same-origin"}, key=KEY).status_code == 303
        )
    twice = [("origin", overseen.admin), ("origin", "https://evil.example")]
    answer = operator.client.post("/admin/sign_in", data={"key": KEY}, headers=[*SHOWN.items(), *twice])
    assert answer.status_code == 403


def test_a_form_that_another_operator_was_shown_does_nothing(
    overseen: Overseen, operator: Operator, victim: Browser
) -> None:
    with Operator(overseen.admin) as mallory:
        mallory.sign_in(OTHER_KEY)
        stolen = mallory.token()
    assert stolen != operator.token()
    for token in (stolen, "", operator.token()[:-1], operator.token() + "x", "é"):
        assert operator.send("/end_sessions", None, token=token, open_id=dash(overseen), sure="1").status_code == 403
    assert is_signed_in(victim)


def test_nothing_is_done_by_a_link(overseen: Overseen, operator: Operator, victim: Browser) -> None:
    for act in ("/end_session", "/end_sessions", "/end_grant", "/erase", "/sign_out"):
        answer = operator.open(f"{act}?open_id={dash(overseen)}&sure=1&token={operator.token()}")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert is_signed_in(victim)


def test_the_cookie_has_the_shape_that_keeps_it_in(overseen: Overseen) -> None:
    with Operator(overseen.admin) as operator:
        plain = operator.sign_in().headers.get_list("set-cookie")
        said = {"origin": overseen.admin.replace("http:", "https:"), "sec-fetch-site": "same-origin"}
        secure = operator.send("/sign_in", said, key=KEY).headers.get_list("set-cookie")
    for (line,), https in ((plain, ""), (secure, True)):
        (cookie,) = SimpleCookie(line).values()
        assert (cookie["path"], cookie["domain"], cookie["max-age"]) == ("/", "", "28800")
        assert (cookie["httponly"], cookie["samesite"], cookie["secure"]) == (True, "Strict", https)
        assert KEY not in line


def test_a_planted_cookie_is_not_taken_over(overseen: Overseen) -> None:
    """An attacker with a key of their own, or none, cannot have an operator go on in a session that they know."""
    with Operator(overseen.admin) as mallory, Operator(overseen.admin) as operator:
        mallory.sign_in(OTHER_KEY)
        planted = mallory.cookie
        operator.client.headers["cookie"] = f"gateway-operator={planted}"
        line = operator.sign_in().headers["set-cookie"]
        assert planted not in line
        mallory.act("/sign_out")
        value = line.partition("=")[2].partition(";")[0]
        operator.client.headers["cookie"] = f"gateway-operator=x; gateway-operator={value}"
        assert operator.open().status_code == 200


def test_the_cookie_opens_no_other_door(overseen: Overseen, operator: Operator, victim: Browser) -> None:
    cookie = {"cookie": f"gateway-operator={operator.cookie}"}
    for path in ("/sessions", "/grants", f"/grants/{dash(overseen)}"):
        assert httpx.get(overseen.admin + path, headers=cookie, trust_env=False).status_code == 401
    assert httpx.get(overseen.url + "/admin/sessions", headers=cookie, trust_env=False).status_code != 200


def test_the_app_never_sees_the_cookie(overseen: Overseen, operator: Operator, victim: Browser) -> None:
    """Browsers send a cookie to every port of its host: one for 127.0.0.1:9090 comes to 127.0.0.1:8080, too."""
    victim.client.cookies.set("gateway-operator", operator.cookie)
    victim.client.cookies.set("of-the-app", "1")
    for path in ("/private/x", "/public/x"):
        echoed = victim.fetch(path).text
        assert "of-the-app" in echoed
        assert "gateway-operator" not in echoed
        assert operator.cookie not in echoed


@pytest.mark.parametrize("path", ["", "/sessions", "/sign_in", "/static/admin.css"])
def test_no_page_of_anybodys_can_have_its_own_name_lead_here(overseen: Overseen, operator: Operator, path: str) -> None:
    port = overseen.admin.rpartition(":")[2]
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.example"):
        assert operator.client.get(f"/admin{path}", headers={"host": host}).status_code == 421
        said = {"host": host, "origin": f"http://{host}", "sec-fetch-site": "same-origin"}
        assert operator.send("/sign_in", said, key=KEY).status_code == 421
    assert operator.client.get(f"/admin{path}", headers={"host": f"admin.internal:{port}"}).status_code != 421


def test_a_guesser_is_not_heard_and_others_are(simulator: RunningSimulator, upstream: str) -> None:
    with serve_overseen(simulator, upstream) as overseen, Operator(overseen.admin) as operator:
        operator.sign_in()
        with Operator(overseen.admin) as guesser:
            statuses = [guesser.sign_in("x" * 40).status_code for _ in range(12)]
            assert statuses == [403] * 10 + [429] * 2
            assert guesser.sign_in(KEY).status_code == 429
        assert operator.open().status_code == 200


def test_gateways_on_one_store_give_no_more_guesses_than_one(
    simulator: RunningSimulator, upstream: str, redis_server: RedisServer
) -> None:
    keys = json.dumps([new_secret_key()])
    shared = {
        "redis": redis_server.url,
        "secret_keys": keys,
        "instance": "guessed",
        "public_url": "https://app.example",
    }
    with (
        serve_overseen(simulator, upstream, **shared) as one,
        serve_overseen(simulator, upstream, **shared) as another,
        Operator(one.admin) as first,
        Operator(another.admin) as second,
    ):
        statuses = [guesser.sign_in("x" * 40).status_code for _ in range(8) for guesser in (first, second)]
        assert statuses == [403] * 10 + [429] * 6
        assert {guesser.sign_in().status_code for guesser in (first, second)} == {429}


def test_no_link_has_a_page_claim_that_something_was_done(overseen: Overseen, operator: Operator) -> None:
    subject = dash(overseen)
    done = operator.act("/end_sessions", open_id=subject, sure="1").headers["location"]
    own = done.removeprefix("/admin")
    word, mark = own.partition("did=")[2].split(".")
    assert NOTICES[word] in operator.open(own).text
    links = [
        own.removesuffix(mark),
        own[:-1],
        own.replace(f"did={word}", "did=grant"),
        own.replace(subject, "somebody"),
    ]
    links += [f"/sessions?did={each}{end}" for each in NOTICES for end in ("", ".", f".{mark}")]
    links.append(own.replace("?", "?did=erased&"))
    for link in links:
        text = operator.open(link).text
        assert not any(notice in text for notice in NOTICES.values()), link
    with Operator(overseen.admin) as other:
        other.sign_in(OTHER_KEY)
        assert NOTICES[word] not in other.open(own).text


def secrets_of(overseen: Overseen, operator: Operator, browser: Browser) -> dict[str, str]:
    """Everything that must stand on no page, by what it is."""
    simulator = overseen.simulator.simulator
    settings = overseen.simulator.settings
    tokens = {f"access token {number}": token for number, token in enumerate(simulator.access_tokens)}
    tokens |= {f"refresh token {number}": token for number, token in enumerate(simulator.refresh_tokens)}
    assert len(tokens) >= 2
    return tokens | {
        "client secret": settings.client_secret,
        "key": KEY,
        "other key": OTHER_KEY,
        "job's key": JOB_KEY,
        "newest secret key": NEWEST,
        "older secret key": OLDER,
        "secret of fronts": FRONT_SECRET,
        "a person's cookie": browser.client.cookies["gateway"],
        "an operator's cookie": operator.cookie,
    }


def test_no_secret_is_on_any_page(overseen: Overseen, operator: Operator, victim: Browser) -> None:
    secrets = secrets_of(overseen, operator, victim)
    person = f"/person?open_id={dash(overseen)}"
    pages = {path: operator.open(path).text for path in (*PAGES, person, "/nowhere", "/sessions?cursor=x")}
    pages |= {act: operator.act(act, open_id=dash(overseen)).text for act in ("/end_sessions", "/end_grant", "/erase")}
    pages["wrong key"] = operator.sign_in(KEY[:-1]).text
    headers = {"authorization": f"Bearer {KEY}"}
    for path in ("/openapi.json", "/sessions", "/grants", "/sessions?x=1", "/metrics", "/readyz?verbose"):
        pages[f"api {path}"] = httpx.get(overseen.admin + path, headers=headers, trust_env=False).text
    assert "tiktok.client_secret" in pages["/settings"]  # it is named, and hidden
    for path, text in pages.items():
        for name, secret in secrets.items():
            assert secret not in text, f"{name} on {path}"
            assert secret[:20] not in text, f"the beginning of {name} on {path}"


def test_every_page_is_sound_and_shut_to_frames_scripts_and_caches(
    overseen: Overseen, operator: Operator, victim: Browser
) -> None:
    for path in (*PAGES, f"/person?open_id={dash(overseen)}", "/nowhere"):
        answer = operator.open(path)
        if answer.status_code == 303:
            continue
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "script-src" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "same-origin"
        page = Reader(answer.content)
        names = [tag for tag, _ in page.tags]
        assert names.count("h1") == names.count("main") == names.count("title") == 1
        assert not {"style", "script", "iframe"} & set(names)
        for _, attributes in page.tags:
            assert not [key for key in attributes if key == "style" or key.startswith("on")]
            for key in ("href", "action", "src"):
                assert (attributes.get(key) or "/admin").startswith("/admin")


NASTY = "\"><script>alert(1)</script><b a='{{ 7*7 }}\u202e"


def test_foreign_words_are_text(overseen: Overseen, operator: Operator) -> None:
    with Browser(overseen.url) as browser:
        browser.client.headers["user-agent"] = 'Mozilla/5.0 "><script>alert(1)</script>'
        browser.sign_in(person="crlf")
        person = overseen.simulator.people["crlf"].open_id
        texts = [operator.open(path).text for path in ("/sessions", "/grants", f"/person?open_id={person}")]
    texts += [operator.open("/person", params={"open_id": NASTY}).text]
    texts += [operator.open("/grants", params={"username": NASTY}).text]
    texts += [operator.open("/sessions", params={"did": NASTY, "cursor": NASTY}).text]
    texts += [operator.act("/erase", open_id=NASTY).text]
    texts += [
        operator.open("/sign_in", params={"to": NASTY}).text,
        operator.send("/sign_in", None, key="x", to=NASTY).text,
    ]
    for text in texts:
        assert "<script" not in text
        assert {tag for tag, _ in Reader(text.encode()).tags}.isdisjoint({"script", "b"})


def test_forms_and_cookies_have_bounds(overseen: Overseen, operator: Operator) -> None:
    assert operator.send("/sign_in", None, key="x" * 10_000).status_code == 400
    assert operator.send("/sign_in", None, **{f"f{number}": "1" for number in range(50)}).status_code == 400
    cookies = "; ".join(["gateway-operator=" + "A" * 2000] * 8)
    assert operator.client.get("/admin", headers={"cookie": cookies}).status_code == 303


def test_what_an_operator_does_is_in_the_log(
    overseen: Overseen, operator: Operator, victim: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="gateway.audit"):
        operator.act("/end_sessions", open_id=dash(overseen), sure="1")
        operator.sign_in(KEY + "x")
        operator.act("/sign_out")
    said = caplog.text
    for words in ("what=signed_out outcome=success who=operator", "what=admin_refused", "what=operator_signed_out"):
        assert words in said
    for secret in (KEY, OTHER_KEY):
        assert secret not in said
