"""WebSocket handshakes: judged before the upstream is dialled, and by where the page that asks comes from."""

from __future__ import annotations

import pytest

from tests.frames import ASKING, KEY
from tests.talk import HOST, compose
from tests.threats.guarded import Guarded


def ask(guarded: Guarded, target: bytes, *lines: bytes, signed_in: bool = False) -> int:
    cookie = (b"Cookie: " + guarded.cookie,) if signed_in else ()
    fields = b"".join(line + b"\r\n" for line in (*lines, *cookie))
    return guarded.status(compose(target, ASKING + fields))


@pytest.mark.parametrize(
    ("target", "status"),
    [(b"/private/socket", 401), (b"/denied/socket", 403), (b"/nowhere", 403), (b"/oauth2/userinfo", 404)],
)
def test_who_may_not_go_in_is_told_before_anything_is_dialled(guarded: Guarded, target: bytes, status: int) -> None:
    before = guarded.behind.connections
    assert ask(guarded, target) == status
    assert ask(guarded, target, b"Cookie: gateway=" + b"A" * 43) == status
    assert ask(guarded, target, b"X-TikTok-Open-Id: evil", b"Authorization: Bearer x") == status
    assert (guarded.behind.connections, guarded.behind.take()) == (before, [])


def test_what_cannot_be_understood_is_refused_like_any_request(guarded: Guarded) -> None:
    before = guarded.behind.connections
    for target in (b"/public/%2f", b"/public/%00", b"/public/..;/x"):
        assert ask(guarded, target) == 400
    for fields in (ASKING.replace(HOST, b""), ASKING + b"Host: evil.example\r\n", ASKING.replace(b"app.", b"a@")):
        assert guarded.status(compose(b"/public/socket", fields)) == 400
    assert (guarded.behind.connections, guarded.behind.take()) == (before, [])


@pytest.mark.parametrize(
    "lines",
    [
        (b"Origin: https://evil.example",),
        (b"Origin: null",),
        (b"Origin:",),
        (b"Origin: http://app.example",),  # the Host is the client's word, public_url is the operator's
        (b"Origin: {ours}.evil.example",),
        (b"Origin: {ours}@evil.example",),
        (b"Origin: {ours}/",),
        (b"Origin: http://127.0.0.1",),
        (b"Origin: https{ours without scheme}",),
        (b"Origin: {ours}", b"Origin: https://evil.example"),
        (b"Origin: https://evil.example", b"Origin: {ours}"),
        (b"Origin: {ours}, https://evil.example",),
        (b"Sec-Fetch-Site: cross-site",),
        (b"Sec-Fetch-Site: cross-site", b"Origin: {ours}"),
        (b"Sec-Fetch-Site: same-site",),
        (b"Sec-Fetch-Site: same-origin", b"Sec-Fetch-Site: cross-site"),
        (b"Sec-Fetch-Site: none", b"Origin: https://evil.example"),
    ],
    ids=lambda lines: b" ".join(lines).decode(),
)
@pytest.mark.parametrize("target", [b"/private/socket", b"/optional/socket", b"/public/socket"])
def test_the_page_of_another_site_gets_403_whoever_its_visitor_is(
    guarded: Guarded, lines: tuple[bytes, ...], target: bytes
) -> None:
    ours = guarded.running.url.encode()
    lines = tuple(
        line.replace(b"{ours}", ours).replace(b"{ours without scheme}", ours.removeprefix(b"http")) for line in lines
    )
    assert guarded.cookie
    before = guarded.behind.connections
    assert ask(guarded, target, *lines, signed_in=True) in ({403} if len(lines) == 1 else {400, 403})
    assert (guarded.behind.connections, guarded.behind.take()) == (before, [])


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (b"Origin: {ours}",),
        (b"Origin: {ours}", b"Sec-Fetch-Site: same-origin"),
        (b"Origin: null", b"Sec-Fetch-Site: same-origin"),
        (b"Sec-Fetch-Site: none",),
    ],
)
def test_our_own_page_and_a_program_pass(guarded: Guarded, lines: tuple[bytes, ...]) -> None:
    ours = guarded.running.url.encode()
    ask(guarded, b"/private/socket", *(line.replace(b"{ours}", ours) for line in lines), signed_in=True)
    (seen,) = guarded.behind.take()
    assert seen.target == b"/private/socket"
    assert seen.every(b"x-tiktok-open-id")


def test_a_handshake_arrives_as_one_of_the_gateways_own(proxied: Guarded) -> None:
    ask(proxied, b"/private//socket?a=//b", b"X-A: 1", b"Cookie: a=1", signed_in=True)
    (seen,) = proxied.behind.take()
    assert (seen.method, seen.target) == (b"GET", b"/private/socket?a=//b")
    for name, value in ((b"upgrade", b"websocket"), (b"connection", b"upgrade"), (b"sec-websocket-version", b"13")):
        assert [each.lower() for each in seen.every(name)] == [value]
    assert len(seen.every(b"sec-websocket-key")) == 1
    assert seen.every(b"cookie") == [b"a=1"]
    assert seen.every(b"host") == [b"app.example"]
    assert len(seen.every(b"x-tiktok-open-id")) == 1


@pytest.mark.parametrize(
    "request_",
    [
        compose(b"/public/socket", ASKING, method=b"POST"),
        compose(b"/public/socket", ASKING, method=b"HEAD"),
        compose(b"/public/socket", ASKING.replace(b"Sec-WebSocket-Key: " + KEY + b"\r\n", b"")),
        compose(b"/public/socket", ASKING.replace(KEY, b"short")),
        compose(b"/public/socket", ASKING.replace(b"Sec-WebSocket-Version: 13\r\n", b"")),
        compose(b"/public/socket", ASKING + b"Sec-WebSocket-Key: " + KEY + b"\r\n"),
        compose(b"/public/socket", ASKING + b"Sec-WebSocket-Version: 13\r\n"),
        compose(b"/public/socket", ASKING + b"Upgrade: websocket\r\n"),
    ],
    ids=["POST", "HEAD", "no key", "a short key", "no version", "two keys", "two versions", "two upgrades"],
)
def test_what_is_no_handshake_opens_no_socket(proxied: Guarded, request_: bytes) -> None:
    """It may be forwarded as what it is, for the app to refuse; nothing is tunnelled and no session is at risk."""
    with proxied.talk() as talk:
        answer = talk.say(request_).answer(head=request_.startswith(b"HEAD "))
        assert answer is not None
        assert answer.status != 101
        assert answer.status < 500
    assert proxied.status(compose()) == 200


def test_what_is_asked_after_a_refusal_is_a_request_or_nothing(
    proxied: Guarded, request: pytest.FixtureRequest
) -> None:
    # uvicorn's WebSockets, which only the slow form has, may give a refused connection up when more comes on it
    may_end = request.node.callspec.params["proxied"] == "slow"
    for target in (b"/private/socket", b"/denied/socket", b"/public/socket"):
        for pause in (0.0, 0.02):
            with proxied.talk() as talk:
                talk.say(compose(target, ASKING), compose(b"/denied/hidden"), pause=pause)
                answer = talk.answer()
                if answer is None and may_end:
                    continue
                assert answer is not None
                assert answer.status != 101
                after = talk.answer()
                assert after is None or after.status == 403
    assert b"/denied/hidden" not in [seen.target for seen in proxied.behind.take()]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (ASKING.replace(b"Version: 13", b"Version: 8"), 426),
        (ASKING.replace(b"Version: 13", b"Version: 13, 8"), 426),
        (ASKING.replace(b"Sec-WebSocket-Version: 13\r\n", b""), 426),
        (ASKING + b"Sec-WebSocket-Version: 13\r\n", 426),
        (ASKING.replace(KEY, b"short"), 400),
        (ASKING.replace(KEY, KEY + b"A"), 400),
        (ASKING.replace(b"Sec-WebSocket-Key: " + KEY + b"\r\n", b""), 400),
        (ASKING + b"Sec-WebSocket-Key: " + KEY + b"\r\n", 400),
        (ASKING + b"Content-Length: 3\r\n", 400),
    ],
)
def test_an_odd_handshake_is_refused_and_told_what_is_spoken(proxied: Guarded, fields: bytes, status: int) -> None:
    before = proxied.behind.connections
    with proxied.talk() as talk:
        answer = talk.say(compose(b"/public/socket", fields) + compose(b"/public/behind")).answer()
        assert answer is not None
        assert answer.status == status
        assert answer.every(b"sec-websocket-version") == ([b"13"] if status == 426 else [])
        assert talk.ends()
    assert (proxied.behind.connections, proxied.behind.take()) == (before, [])


def test_an_upgrade_in_http_1_0_is_none(proxied: Guarded) -> None:
    """RFC 9110 §7.8: it must be ignored."""
    seen = proxied.forwarded(compose(b"/public/socket", ASKING).replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert not seen.every(b"upgrade")


def test_a_body_of_no_bytes_is_no_body(proxied: Guarded) -> None:
    """Some clients say so aloud."""
    ask(proxied, b"/public/socket", b"Content-Length: 0")
    (seen,) = proxied.behind.take()
    assert [value.lower() for value in seen.every(b"upgrade")] == [b"websocket"]
    assert not seen.every(b"content-length")
