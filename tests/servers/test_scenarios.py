"""The gateway as middleware under real servers: the same at the root and under a mount, whoever serves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from tests.doors.test_scenarios import FORGED
from tests.harness import Browser, headers_of
from tests.servers.starters import Serving
from tests.talk import Talk, compose

CLIMBS = (
    "/../{}",
    "/%2e%2e/{}",
    "/.%2E/xyz/{}",
    "/../xyz/{}",
    "/%2e%2e/xyz/{}",
    "/x/../../xyz/{}",
    "/../outside/{}",
    "/public/../{}",
    "/public/%2e%2e/{}",
    "//{}",
    "/./{}",
    "/..//xyz//{}",
    "/public/..%2f{}",
    "/public/%2e%2e%2f{}",
    "/%2e%2e%2fxyz/{}",
)
CLOSED = ("denied/x", "others/x", "scoped/x", "private/x")

ASKED = [
    *("/../livez", "/denied/../../livez", "/%2e%2e/livez", "/denied/%2e%2e/%2e%2e/livez", "/x/..%2f..%2flivez"),
    *("/denied/../public/x", "/denied/%2e%2e/public/x", "/public//x", "/denied/../../../public/x", "/public%2Fx"),
]
"""What a front asks about by path, and forwards as it is."""


def ask(
    serving: Serving, target: str, fields: str = "", *, method: str = "GET", body: bytes = b""
) -> tuple[int, bytes]:
    """Send exactly this target and these fields; return status and body."""
    host = "Host: {}:{}\r\nConnection: close\r\n".format(*serving.address)
    request = compose(target.encode(), (host + fields).encode(), method=method.encode(), body=body)
    with Talk(serving.address, framed=False) as talk:
        answer = talk.say(request).rest()
    head, _, rest = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), rest


def cookie_of(browser: Browser) -> str:
    return browser.client.cookies["gateway"]


def test_a_sign_in_returns_to_where_it_began_byte_for_byte(serving: Serving) -> None:
    target = "/private/a%20b/~-%41/?q=%2F%2f&u=https://x//y&empty="
    with Browser(serving.base) as browser:
        begun = browser.navigate(target)
        assert begun.status_code == 302
        assert begun.headers["location"].startswith("http://127.0.0.1:")
        returned = browser.navigate(browser.consent(begun.headers["location"]))
        told = target if serving.server.keeps_target else target.replace("%41", "A")
        assert returned.headers["location"] == serving.base + told
        seen = browser.navigate(returned.headers["location"])
        assert seen.status_code == 200
        assert (seen.json()["mount"], seen.json()["path"]) == (serving.mount, "/private/a b/~-A/")
        assert seen.json()["query"] == "q=%2F%2f&u=https://x//y&empty="


def test_the_app_learns_who_it_is(serving: Serving, person: Browser) -> None:
    answer = person.fetch("/private/x")
    told = headers_of(answer)
    assert told["x-tiktok-open-id"] == answer.json()["user"]
    assert told["x-tiktok-access-token"]
    assert "gateway" not in told.get("cookie", "")


@pytest.mark.parametrize("path", ["/public/x", "/optional/x"])
def test_what_is_open_is_open_and_tells_of_nobody(serving: Serving, path: str) -> None:
    answer = httpx.get(serving.base + path, headers=FORGED, trust_env=False)
    assert answer.status_code == 200
    assert answer.json()["user"] is None
    assert (answer.json()["mount"], answer.json()["path"]) == (serving.mount, path)
    assert "evil" not in str(answer.json()["headers"])


def test_a_program_gets_a_problem(serving: Serving) -> None:
    answer = httpx.get(serving.base + "/private/x", trust_env=False)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["sign_in_url"].startswith(f"{serving.base}/oauth2/start?rd={serving.mount}/private/x")


def test_forged_identity_never_arrives(serving: Serving, person: Browser) -> None:
    answer = person.fetch("/private/x", headers=FORGED)
    assert answer.status_code == 200
    assert "evil" not in str(answer.json()["headers"])


@pytest.mark.parametrize("signed_in", [False, True], ids=["nobody", "somebody"])
def test_no_rule_is_walked_around(serving: Serving, person: Browser, signed_in: bool) -> None:
    fields = f"Cookie: gateway={cookie_of(person)}\r\n" if signed_in else ""
    for closed in CLOSED[: 3 if signed_in else 4]:
        for climb in CLIMBS:
            for mount in {serving.mount, ""}:
                status, body = ask(serving, mount + climb.format(closed), fields)
                if status == 200:  # uWSGI resolves dots first: it is another address, and judged as that
                    called = json.loads(body)
                    assert called["mount"] == "" != serving.mount, (mount, climb, closed)
                    assert called["path"].startswith(("/xyz/", "/outside/")), (mount, climb, closed)
                else:
                    assert status >= 400
                    assert b"sha256" not in body


@pytest.mark.parametrize("signed_in", [False, True], ids=["nobody", "somebody"])
def test_a_front_that_asks_by_path_hears_of_that_path(serving: Serving, person: Browser, signed_in: bool) -> None:
    """A yes to what a server has made of the path would be one to what the front forwards."""
    fields = f"Cookie: gateway={cookie_of(person)}\r\n" if signed_in else ""
    for rest in ASKED:
        status, _ = ask(serving, f"{serving.mount}/oauth2/ext_authz{rest}", fields)
        assert status in {400, 401, 403, 404}, rest


def test_a_client_cannot_name_the_mount(serving: Serving) -> None:
    mount = serving.mount + "/public"
    fields = (
        f"Daphne-Root-Path: {mount}\r\nSCRIPT_NAME: {mount}\r\nScript-Name: {mount}\r\nX-Forwarded-Prefix: {mount}\r\n"
    )
    status, body = ask(serving, mount + "/private/x", fields)
    if status < 400:
        assert status == 200
        assert (json.loads(body)["mount"], json.loads(body)["path"]) == (serving.mount, "/public/private/x")


def test_a_body_arrives_whole(serving: Serving, person: Browser) -> None:
    body = bytes(range(256)) * 2048
    answer = person.fetch("/private/x", method="POST", content=body).json()
    assert (answer["method"], answer["length"]) == ("POST", len(body))
    assert answer["sha256"] == hashlib.sha256(body).hexdigest()


def test_a_body_in_chunks_arrives_whole(serving: Serving, person: Browser) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * 5000

    answer = person.fetch("/private/x", method="POST", content=chunks())
    if serving.server.takes_chunks:
        assert answer.json()["length"] == 100_000
    else:
        assert answer.status_code == 411 or answer.json()["length"] == 0


def test_several_cookie_fields(serving: Serving, person: Browser) -> None:
    own, binding = f"Cookie: gateway={cookie_of(person)}\r\n", f"Cookie: b=2; gateway-sign-in={'b' * 43}\r\n"
    for fields in (own + "Cookie: a=1\r\n" + binding, binding + "Cookie: a=1\r\n" + own):
        status, body = ask(serving, serving.mount + "/private/x", fields)
        assert status == 200, body
        assert "gateway" not in str(dict(json.loads(body)["headers"])["cookie"])
        assert "a=1" in dict(json.loads(body)["headers"])["cookie"]


def test_the_gateways_own_pages(serving: Serving, person: Browser) -> None:
    assert person.navigate("/oauth2/account").status_code == 200
    assert person.fetch("/oauth2/userinfo").json()["open_id"]
    assert person.fetch("/oauth2/nothing").status_code == 404
    assert person.fetch("/oauth2/sign_out", method="POST", headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_a_form_to_an_own_page_is_read(serving: Serving) -> None:
    with Browser(serving.base) as phone, Browser(serving.base) as laptop:
        for browser in (phone, laptop):
            assert browser.sign_in("/private/x", person="emoji").status_code == 200
        assert phone.fetch("/oauth2/sign_out", method="POST", data={"everywhere": "1"}).status_code == 204
        assert laptop.fetch("/private/x").status_code == 401


def test_a_sign_out_ends_it(serving: Serving) -> None:
    with Browser(serving.base) as browser:
        browser.sign_in("/private/x")
        session = cookie_of(browser)
        assert browser.fetch("/oauth2/sign_out", method="POST").status_code == 204
        assert browser.fetch("/private/x").status_code == 401
        assert ask(serving, serving.mount + "/private/x", f"Cookie: gateway={session}\r\n")[0] == 401


def test_an_event_stream_flows_and_ends_with_its_session(serving: Serving) -> None:
    with Browser(serving.base) as browser, Browser(serving.base) as watcher:
        browser.sign_in("/private/x")
        watcher.client.cookies.update(browser.client.cookies)
        received = b""
        with watcher.client.stream("GET", serving.base + "/private/events") as stream:
            assert stream.status_code == 200
            try:
                for chunk in stream.iter_raw():
                    if not received:
                        assert browser.fetch("/oauth2/sign_out", method="POST").status_code == 204
                    received += chunk
            except httpx.RemoteProtocolError:
                pass  # cut, where the server can
        assert received.startswith(b"data: 0\n\n")
        assert b"the end" not in received


def test_what_the_app_raises_is_its_own(serving: Serving, person: Browser) -> None:
    try:
        answer = person.fetch("/private/raise", headers={"connection": "close"})
    except httpx.RemoteProtocolError:
        assert not serving.server.answers_failures
    else:
        assert answer.status_code == 500
        assert "internal_error" not in answer.text
    assert person.fetch("/private/x").status_code == 200
    log = serving.log.read_text()
    assert "the app's own failure" in log
    assert "event=bug" not in log


def websocket(serving: Serving, path: str, session: str | None) -> Any:
    fields = {"Cookie": f"gateway={session}"} if session else {}
    address = serving.base.replace("http:", "ws:") + path
    return connect(address, additional_headers=fields, origin=Origin(serving.url), proxy=None, open_timeout=10)


def test_a_websocket_is_guarded_and_ends_with_its_session(serving: Serving) -> None:
    if not serving.server.asgi:
        return
    for path in ("/private/socket", "/denied/socket"):
        with pytest.raises(InvalidStatus) as refused:
            websocket(serving, path, None)
        assert refused.value.response.status_code in {serving.server.refuses_sockets_with, 403}
    with Browser(serving.base) as browser:
        open_id = browser.sign_in("/private/x").json()["user"]
        with websocket(serving, "/private/socket", cookie_of(browser)) as socket:
            socket.send("hello")
            assert socket.recv(timeout=10) == f"{open_id}: hello"
            browser.fetch("/oauth2/sign_out", method="POST")
            with pytest.raises(ConnectionClosed) as closed:
                socket.recv(timeout=10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4401
