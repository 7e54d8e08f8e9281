"""What holds behind every front: people get in and back, and nobody gets past.

A module per front has a fixture `front`, and a class of these which says where that front is known to differ.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Generator
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from gateway.web.forward_auth.endpoint import ForwardAuth
from tests.fronts.app import PATIENCE
from tests.fronts.lies import KEPT_OUT, LIES, RESERVED
from tests.fronts.starting import Front
from tests.harness import NAVIGATION, SAME_ORIGIN, Browser, headers_of
from tests.talk import Answer, Talk, compose
from tests.threats.identity import reads_as_identity

ROUTES = """[
  {path: /public/**, access: public},
  {path: /optional/**, access: optional},
  {path: /denied/**, access: deny},
  {path: /read/**, methods: [GET], access: public},
  {path: /staff/**, allow: {open_ids: [somebody-else]}},
  {path: /videos/**, scopes: [video.list], reason: To show them.},
  {path: /private/**},
  {path: /deep/**},
  {path: /}
]"""
SETTINGS = {"routes": ROUTES, "tiktok__scopes": '["user.info.basic", "user.info.profile"]'}
"""For every front."""
DEEP = "/deep/%C3%A4;p=1/x?x=1&y=a%2Fb&z=%26+%20"
OWN = [
    *("/oauth2/auth", "/oauth2/auth?x=1", "/oauth2/ext_authz", "/oauth2/ext_authz?x=1", "/oauth2/ext_authz/private/x"),
    *("/oauth2/ext_authz/", "/oauth2/ext_authz/public/x?y"),
]
"""The pages of the gateway that are for fronts."""
ODD_OWN = [
    *("/OAuth2/Auth", "/OAUTH2/EXT_AUTHZ/private/x", "/oauth2//auth", "//oauth2/auth", "/%6fauth2/auth"),
    *("/oauth2/%61uth", "/oauth2/./auth", "/public/../oauth2/auth", "/oauth2/auth;x", "/oauth2/auth/", "/oauth2;/auth"),
    *("/oauth2%2fauth", "/oauth2/%65xt_authz/private/x", "/oauth2/x/../ext_authz", "/oauth2/ext_authz/../auth"),
]
"""The same, spelt so that a front might not know them."""
CLOSED = [
    *("/public/../private/x", "/public/%2e%2e/private/x", "/public/.%2e/private/x", "/public/..%2fprivate/x"),
    *("/public/..%5cprivate/x", "/public/..;/private/x", "/public//../../private/x", "/public/%00/../../private/x"),
    *("/public%2f..%2fprivate/x", "/%70rivate/x", "//private/x", "/private//x", "/PRIVATE/x", "/private;x/y"),
    *("/oauth2/../private/x", "/oauth2/livez/../../private/x", "/public/..\\private/x", "/denied/x", "/DENIED/x"),
    *("/public/../denied/x", "/denied;x/y", "/nowhere", "/read/../private/x", "/./private/x", "/public/x/../../deep/x"),
]
"""Nothing for somebody who is not signed in."""
NAMED = ["X-TikTok-Open-Id", "Cookie", "X-Forwarded-Uri", "X-Forwarded-Method", "X-Forwarded-Host, Host", "close"]
"""What a client may have Connection name."""


class Scenarios:
    """Each test is a scenario; a subclass is for one front."""

    outage = 503
    """Status where the gateway's store is away."""
    tells_when_to_retry = True
    """Whether `Retry-After` and the gateway's own page come through with it."""
    loses: frozenset[str] = frozenset()
    """Names of `NAMED` that are gone before the front asks, where a client has Connection name them."""
    refuses: frozenset[str] = frozenset()
    """What the front refuses by 400 where a client has Connection name it."""
    refuses_upgrades: frozenset[str] = frozenset()
    """Protocols that the front refuses to change to, by 400 or 403, where others serve the request as it is."""
    other_protocols: tuple[str, ...] = ("h2c", "foo", "websocket, h2c")
    """Of these to change to, none reaches the app."""
    is_answered_at_once = True
    """Whether its checks are plain enough to be answered by the server's protocol."""
    lets_pass: frozenset[str] = frozenset()
    """Names of `KEPT_OUT` that the front cannot keep from the app."""

    @pytest.fixture(autouse=True)
    def _fresh(self, front: Front) -> None:
        front.app.reset()

    def test_a_navigation_goes_to_tiktok_and_back_byte_for_byte(self, front: Front) -> None:
        with Browser(front.url) as browser:
            begun = browser.navigate(DEEP)
            assert begun.status_code == 302
            assert begun.headers["location"].startswith(front.running.simulator.authorize_url)
            assert begun.headers["cache-control"] == "no-store"
            assert front.app.take() == []
            returned = browser.navigate(browser.consent(begun.headers["location"]))
            assert returned.headers["location"] == front.url + DEEP
            told = headers_of(browser.navigate(returned.headers["location"]))
        (seen,) = front.app.take()
        assert seen.target.decode() == DEEP
        assert told["x-tiktok-open-id"]
        assert set(told["x-tiktok-scopes"].split(",")) == {"user.info.basic", "user.info.profile"}

    def test_a_program_is_told_to_sign_in(self, front: Front) -> None:
        with Browser(front.url) as browser:
            answer = browser.fetch("/private/x?a=1")
        assert answer.status_code == 401
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"] == 'TikTok realm="sign-in"'
        assert answer.json()["sign_in_url"] == f"{front.url}/oauth2/start?rd=/private/x%3Fa%3D1"
        assert front.app.take() == []

    @pytest.fixture
    def giver(self, front: Front) -> Generator[Browser]:
        """Somebody who is signed in and may give more: what they gave is remembered, and is taken back at the end."""
        with Browser(front.url) as browser:
            assert browser.sign_in(person="dash").status_code == 200
            yield browser
            assert browser.fetch("/oauth2/disconnect", method="POST").status_code == 204

    def test_a_missing_scope_is_asked_for_on_a_page(self, front: Front, giver: Browser) -> None:
        front.app.take()
        page = giver.navigate("/videos/x?a=1")
        assert page.status_code == 403
        assert "To show them." in page.text
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        problem = giver.fetch("/videos/x")
        assert (problem.status_code, problem.json()["missing_scopes"]) == (403, ["video.list"])
        assert front.app.take() == []
        start = page.text.partition('id="start"')[0].rpartition('href="')[2].partition('"')[0]
        begun = giver.navigate(start.replace("&amp;", "&"))
        returned = giver.navigate(giver.consent(begun.headers["location"], person="dash"))
        assert returned.headers["location"] == f"{front.url}/videos/x?a=1"
        assert giver.navigate("/videos/x?a=1").status_code == 200

    @pytest.mark.parametrize("path", ["/staff/x", "/denied/x", "/nowhere"])
    def test_who_may_not_is_told_so(self, front: Front, person: Browser, path: str) -> None:
        page, problem = person.navigate(path), person.fetch(path)
        assert (page.status_code, problem.status_code) == (403, 403)
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert problem.json()["code"] == "forbidden"
        assert front.app.take() == []

    def test_a_method_decides(self, front: Front, person: Browser) -> None:
        with Browser(front.url) as stranger:
            assert stranger.fetch("/read/x").status_code == 200
            assert stranger.fetch("/read/x", method="HEAD").status_code == 200
            assert stranger.fetch("/read/x", method="POST", content=b"a=1").status_code == 403
        assert [seen.method for seen in front.app.take()] == [b"GET", b"HEAD"]

    def test_public_and_optional_routes_are_open(self, front: Front, person: Browser) -> None:
        with Browser(front.url) as stranger:
            for path in ("/public/x", "/optional/x"):
                assert "x-tiktok-open-id" not in headers_of(stranger.fetch(path))
        assert "x-tiktok-open-id" not in headers_of(person.fetch("/public/x"))
        assert headers_of(person.fetch("/optional/x"))["x-tiktok-open-id"]

    def test_whoever_is_known_gets_in_without_a_task(
        self, front: Front, person: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = []
        check = ForwardAuth.check

        async def noted(self: ForwardAuth, *arguments: Any) -> Any:
            asked.append(arguments)
            return await check(self, *arguments)

        assert person.fetch("/private/x").status_code == 200
        monkeypatch.setattr(ForwardAuth, "check", noted)
        for path in ("/private/x", "/private/other?y=1", "/public/x"):
            assert person.fetch(path).status_code == 200
        assert bool(asked) is not self.is_answered_at_once

    def test_a_body_arrives(self, person: Browser) -> None:
        answer = person.fetch("/private/form?x=1", method="POST", content=b"hello=world").json()
        assert (answer["method"], answer["query"], answer["body"]) == ("POST", "x=1", "hello=world")

    @pytest.mark.parametrize("chunked", [False, True])
    def test_an_upload_is_streamed(self, front: Front, person: Browser, chunked: bool) -> None:
        """The app has the beginning while the rest is still to be sent."""
        piece = os.urandom(1_000_000)
        framing = b"Transfer-Encoding: chunked\r\n" if chunked else b"Content-Length: 20000000\r\n"
        framed = b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece
        fields = b"Host: %b\r\n%b" % (front.host.encode(), _cookie_of(person)) + framing
        with Talk(front.running.address) as talk:
            talk.say(compose(b"/private/upload", fields, method=b"POST") + framed)
            assert front.app.began.wait(PATIENCE)
            for _ in range(19):
                talk.say(framed)
            answer = talk.say(b"0\r\n\r\n" if chunked else b"").answer()
        assert answer is not None
        digest = hashlib.sha256(piece * 20).hexdigest()
        assert json.loads(answer.body) == {"length": 20_000_000, "digest": digest}

    def test_a_websocket_is_for_our_own_pages(self, front: Front, person: Browser) -> None:
        url = front.url.replace("http", "ws") + "/private/socket"
        cookie = {"Cookie": f"a=1; gateway={person.client.cookies['gateway']}"}
        with connect(url, additional_headers=cookie | {"Origin": front.url}, proxy=None) as ours:
            told = dict(map(tuple, json.loads(ours.recv())))
            assert told["x-tiktok-open-id"]
            assert told["cookie"] == "a=1"
            ours.send("hello")
            assert ours.recv() == "hello"
        front.app.take()
        for origin in ("https://evil.example", "http://127.0.0.1:1", "null"):
            assert _refusal(url, cookie | {"Origin": origin}) == 403
        assert _refusal(url, {"Origin": front.url}) == 401
        assert front.app.take() == []

    def test_events_arrive_at_once_and_who_leaves_is_gone(self, front: Front, person: Browser) -> None:
        with person.client.stream("GET", front.url + "/private/events", headers=SAME_ORIGIN) as answer:
            lines = (line for line in answer.iter_lines() if line)
            assert next(lines) == "data: first"
            front.app.go_on.set()
            assert next(lines) == "data: second"
        assert front.app.left.wait(PATIENCE)

    def test_a_sign_out_ends_it_at_once(self, front: Front) -> None:
        with Browser(front.url) as browser:
            browser.sign_in()
            copied = _cookie_of(browser)
            front.app.take()
            answer = browser.fetch("/oauth2/sign_out", method="POST")
            assert answer.status_code == 204
            assert "Max-Age=0" in answer.headers["set-cookie"]
            assert browser.fetch("/private/x").status_code == 401
        assert _ask(front, "/private/x", copied).status == 401
        assert front.app.take() == []

    @pytest.mark.parametrize("path", ["/public/x", "/optional/x", "/private/x"])
    def test_no_client_says_who_it_is(self, front: Front, person: Browser, path: str) -> None:
        who = _cookie_of(person) if path.startswith("/private") else b""
        for name in RESERVED:
            exact = [f"{each}: SPOOF" for each in (name, name.upper(), name.title())]
            assert _ask(front, path, who, *exact).status == 200, name
            _assert_identity_is_ours(front, who)
            alike = [name.replace("-", "_"), name.replace("-", "."), name.upper().replace("-", "_", 1)]
            alike += [name.title().replace("-", ".", 1), name[::-1].replace("-", "_", 1)[::-1]]
            odd = [name.replace("-", "~"), name.title().replace("-", "!", 1)]
            for names in (alike, odd):
                _assert_dropped_or_refused(front, path, who, [f"{each}: SPOOF" for each in names])

    def test_no_trailer_says_who_it_is(self, front: Front, person: Browser) -> None:
        body = b"2\r\nhi\r\n0\r\nX-TikTok-Open-Id: SPOOF\r\nX_TikTok_Username: SPOOF\r\n\r\n"
        fields = b"Host: %b\r\nTransfer-Encoding: chunked\r\nTrailer: X-TikTok-Open-Id\r\n" % front.host.encode()
        for path, who in ((b"/public/x", b""), (b"/private/x", _cookie_of(person))):
            with Talk(front.running.address) as talk:
                answer = talk.say(compose(path, fields + who, method=b"POST", body=body)).answer()
            assert answer is not None
            assert answer.status in {200, 400}
            assert not [field for seen in front.app.take() for field in seen.fields if b"SPOOF" in field[1]]

    @pytest.mark.parametrize("path", ["/public/x", "/private/x"])
    def test_no_client_says_what_a_front_says(self, front: Front, person: Browser, path: str) -> None:
        """Names by which apps are told a path, a host, a client, and what the proxy form drops besides."""
        passed = set()
        for begin in range(0, len(KEPT_OUT), 20):
            lies = [f"{name.title()}: SPOOF" for name in KEPT_OUT[begin : begin + 20]]
            assert _ask(front, path, _cookie_of(person), *lies).status == 200, lies
            (seen,) = front.app.take()
            passed |= {name.decode() for name, value in seen.fields if b"SPOOF" in value}
        assert passed == self.lets_pass
        for sign in "_.":
            alike = [f"{name.replace('-', sign)}: SPOOF" for name in KEPT_OUT if "-" in name and name not in RESERVED]
            for begin in range(0, len(alike), 20):
                _assert_dropped_or_refused(front, path, _cookie_of(person), alike[begin : begin + 20])

    @pytest.mark.parametrize("name", NAMED)
    def test_connection_takes_nothing_of_ours_away(self, front: Front, person: Browser, name: str) -> None:
        lies = (f"Connection: keep-alive, {name}", "X-Forwarded-Uri: /public/x", "X-Forwarded-Method: HEAD")
        if name in self.refuses:
            assert _ask(front, "/private/x", _cookie_of(person), *lies).status == 400
            assert front.app.take() == []
            return
        assert _ask(front, "/private/x", b"", *lies).status == 401
        assert front.app.take() == []
        assert _ask(front, "/read/x", b"", *lies, method=b"DELETE").status == 403
        if name in self.loses:
            assert _ask(front, "/private/x", _cookie_of(person), *lies).status == 401
            return
        assert _ask(front, "/private/x", _cookie_of(person), *lies).status == 200
        (seen,) = front.app.take()
        assert len(seen.every(b"x-tiktok-open-id")) == len(seen.every(b"x-tiktok-access-token")) == 1
        assert not seen.every(b"cookie")

    def test_only_a_websocket_is_an_upgrade(self, front: Front, person: Browser) -> None:
        for protocol in self.other_protocols:
            lies = ("Connection: Upgrade, HTTP2-Settings", f"Upgrade: {protocol}", "HTTP2-Settings: AAMAAABkAAQAAP__")
            if protocol in self.refuses_upgrades:
                assert _ask(front, "/private/x", _cookie_of(person), *lies).status in {400, 403}
                assert front.app.take() == []
                continue
            answer = _ask(front, "/private/x", _cookie_of(person), *lies)
            assert answer.status == 200
            (seen,) = front.app.take()
            assert not seen.every(b"upgrade")
            assert not [value for value in seen.every(b"connection") if b"upgrade" in value.lower()]
        lies = ("Connection: Upgrade, X-TikTok-Open-Id", "Upgrade: websocket", f"Origin: {front.url}")
        keys = ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13")
        assert _ask(front, "/private/socket", _cookie_of(person), *lies, *keys).status == 101
        (seen,) = front.app.take()
        assert len(seen.every(b"x-tiktok-open-id")) == 1

    def test_our_cookies_stay_with_us_and_the_apps_pass(self, front: Front, person: Browser) -> None:
        ours = f"gateway={person.client.cookies['gateway']}"
        for path in ("/private/x", "/optional/x", "/public/x"):
            for sent, arrives in (
                (f"a=1; {ours}; b=2", [b"a=1; b=2"]),
                (f"mygateway=1; gateway-sign-in=x; {ours}; gateway-sign-in=y", [b"mygateway=1"]),
                (ours, []),
            ):
                assert _ask(front, path, f"Cookie: {sent}\r\n".encode()).status == 200
                (seen,) = front.app.take()
                assert seen.every(b"cookie") == arrives, (path, sent)

    def test_a_store_that_is_away_lets_nobody_in(
        self, front: Front, person: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        front.running.take_store_away(monkeypatch)
        page, problem = person.navigate("/private/x"), person.fetch("/private/x")
        assert (page.status_code, problem.status_code) == (self.outage, self.outage)
        assert "set-cookie" not in page.headers
        assert front.app.take() == []
        if self.tells_when_to_retry:
            assert page.headers["retry-after"] == problem.headers["retry-after"] == "5"
            assert "still signed in" in page.text
            assert problem.json()["code"] == "store_unavailable"
        assert person.fetch("/public/x").status_code == 200

    def test_what_is_for_fronts_is_not_for_browsers(self, front: Front, person: Browser) -> None:
        for who in (_cookie_of(person), b""):
            for target in OWN:
                for method in (b"GET", b"POST"):
                    answer = _ask(front, target, who, "X-Forwarded-Uri: /private/x", method=method)
                    assert answer.status == 404, (method, target)
                    _assert_tells_nothing(answer)
            for target in ODD_OWN:
                answer = _ask(front, target, who, "X-Forwarded-Uri: /private/x")
                assert answer.status in {302, 400, 401, 403, 404}, (target, answer)
                _assert_tells_nothing(answer)
        assert front.app.take() == []

    def test_no_script_hears_an_identity(self, front: Front, person: Browser) -> None:
        told = headers_of(person.fetch("/private/x"))
        secrets = [told[name] for name in ("x-tiktok-access-token", "x-tiktok-open-id", "x-tiktok-union-id")]
        for lie in LIES:
            for path in ("/oauth2/auth", "/oauth2/ext_authz", "/oauth2/ext_authz/private/x", "/oauth2/start"):
                for kind in (SAME_ORIGIN, NAVIGATION):
                    answer = person.fetch(path, headers=kind | lie)
                    said = str(answer.headers.multi_items()) + answer.text
                    assert not [secret for secret in secrets if secret in said], (path, lie)
                    assert not {"cookie", "x-tiktok-open-id"} & set(answer.headers), (path, lie)

    def test_no_spelling_opens_what_is_closed(self, front: Front) -> None:
        for target in CLOSED:
            for lies in ((), ("X-Forwarded-Uri: /public/x", "X-Original-URL: /public/x", "X-Rewrite-URL: /public/x")):
                answer = _ask(front, target, b"", *lies)
                assert answer.status in {302, 400, 401, 403, 404}, (target, answer)
                assert front.app.take() == [], target

    def test_no_client_says_how_or_where_it_asks(self, front: Front, person: Browser) -> None:
        """What is judged is the request itself, whatever a client says that it was."""
        for lie in LIES:
            fields = {name: value for name, value in lie.items() if name != "X_Gateway_Check"}
            lines = [f"{name}: {value.replace('private', 'public')}" for name, value in fields.items()]
            if fields.get("Connection") in self.refuses:
                assert _ask(front, "/private/x", _cookie_of(person), *lines).status == 400
                assert front.app.take() == []
                continue
            assert _ask(front, "/private/x", b"", *lines).status == 401, lie
            assert _ask(front, "/read/x", b"", *lines, "X-Forwarded-Method: GET", method=b"DELETE").status == 403, lie
            assert front.app.take() == []
            assert _ask(front, "/private/x", _cookie_of(person), *lines).status == 200, lie
            assert len(front.app.take()) == 1


LOOK_ALIKES = {"X_TikTok_Open_Id": "SPOOF", "X.TikTok.Username": "SPOOF", "X_Strange": "SPOOF"}


def assert_look_alikes_are_dropped(front: Front) -> None:
    """For a front that does it by itself: nobody is refused for them."""
    answer = httpx.get(front.url + "/public/x", headers=LOOK_ALIKES, trust_env=False)
    assert answer.status_code == 200
    assert "SPOOF" not in answer.text


def assert_nobody_gets_in(front: Front, status: int) -> None:
    """For a front that hears no answer to its check."""
    for path in ("/public/x", "/private/x", "/"):
        assert httpx.get(front.url + path, trust_env=False).status_code == status
    assert front.app.take() == []


def _cookie_of(browser: Browser) -> bytes:
    return b"Cookie: gateway=%b\r\n" % browser.client.cookies["gateway"].encode()


def _ask(front: Front, target: str, who: bytes = b"", *lines: str, method: bytes = b"GET") -> Answer:
    """Ask as a script of the same site does, byte for byte."""
    usual = "".join(f"{name}: {value}\r\n" for name, value in SAME_ORIGIN.items())
    more = "".join(f"{line}\r\n" for line in lines)
    fields = f"Host: {front.host}\r\n{usual}".encode() + who + more.encode()
    if method == b"POST":
        fields += b"Content-Length: 0\r\n"
    with Talk(front.running.address) as talk:
        answer = talk.say(compose(target.encode(), fields, method=method)).answer()
    assert answer is not None
    return answer


def _refusal(url: str, headers: dict[str, str]) -> int:
    with pytest.raises(InvalidStatus) as refused, connect(url, additional_headers=headers, proxy=None):
        pass
    return refused.value.response.status_code


def _assert_tells_nothing(answer: Answer) -> None:
    assert not [name for name, _ in answer.fields if reads_as_identity(name) or name == b"cookie"]


def _assert_identity_is_ours(front: Front, who: bytes) -> None:
    (seen,) = front.app.take()
    assert not [field for field in seen.fields if b"SPOOF" in field[1]]
    told = [name for name, _ in seen.fields if reads_as_identity(name)]
    assert len(told) == len(set(told))
    assert (b"x-tiktok-open-id" in told) == bool(who)


def _assert_dropped_or_refused(front: Front, path: str, who: bytes, lies: list[str]) -> None:
    """By the front, or by the gateway with 403 where the front passes such a name on."""
    answer = _ask(front, path, who, *lies)
    assert answer.status in {200, 403}, (lies, answer)
    if answer.status == 200:
        _assert_identity_is_ours(front, who if path.startswith("/private") else b"")
        return
    assert front.app.take() == [], lies
    for lie in lies if len(lies) > 1 else ():
        _assert_dropped_or_refused(front, path, who, [lie])
