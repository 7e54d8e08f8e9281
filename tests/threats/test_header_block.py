"""The header block (RFC 9112 §5): fields that are fields, one a line, and not too much of it."""

from __future__ import annotations

import pytest

from tests.talk import HOST, compose
from tests.threats.guarded import Guarded

MIB = 1024 * 1024


@pytest.mark.parametrize(
    "line",
    [
        b"X-A : 1\r\n",
        b"X-A\t: 1\r\n",
        b"X A: 1\r\n",
        b": 1\r\n",
        b"X-A\r\n",
        b"X-A\x00: 1\r\n",
        b"X-\x01A: 1\r\n",
        b"X(A): 1\r\n",
        b"X@A: 1\r\n",
        b"X/A: 1\r\n",
        b"X[A]: 1\r\n",
        b'"X": 1\r\n',
        b"\xc3\xa9: 1\r\n",
        b"X-A: 1\x00\r\n",
        b"X-A: 1\x01\r\n",
        b"X-A: 1\x0b\r\n",
        b"X-A: 1\x1f\r\n",
        b"X-A: 1\x7f\r\n",
        b"X-A: 1\r2\r\n",
        b"X-A: 1\rX-B: 2\r\n",
        b"X-A: 1\r\rX-B: 2\r\n",
    ],
)
def test_what_is_no_field_is_refused(guarded: Guarded, line: bytes) -> None:
    guarded.refuses(compose(fields=HOST + line), 400)
    guarded.refuses(compose(fields=line + HOST), 400)


@pytest.mark.parametrize(
    "request_",
    [
        compose(fields=HOST + b"X-A: 1\r\n folded\r\n"),
        compose(fields=HOST + b"X-A: 1\r\n\tfolded\r\n"),
        compose(fields=HOST + b"X-A:\r\n X-TikTok-Open-Id: evil\r\n"),
        compose(fields=b"Host:\r\n app.example\r\n"),
        compose(fields=b" X-A: 1\r\n" + HOST),
        compose(fields=HOST + b"X-A: 1\nX-TikTok-Open-Id: evil\r\n"),
        compose(fields=HOST + b"X-A: 1\n"),
        compose(fields=HOST + b"X-A: 1\r\n\n"),
        b"GET /public/x HTTP/1.1\n" + HOST + b"\r\n",
        b"GET /public/x HTTP/1.1\r\nHost: app.example\n\r\n",
        b"GET /public/x HTTP/1.1\r\nHost: app.example\r\n\nX-A: 1\r\n\r\n",
        b"GET /public/x HTTP/1.1\nHost: app.example\n\n",
    ],
)
def test_folded_lines_and_bare_line_feeds_are_refused(proxied: Guarded, request_: bytes) -> None:
    proxied.refuses(request_, 400)


@pytest.mark.parametrize("line", [b"X-A: 1\r\n folded\r\n", b"X-A: 1\r\n X-TikTok-Open-Id: evil\r\n", b"X-A: 1\n"])
def test_what_a_foreign_server_unfolds_is_one_field(inside: Guarded, line: bytes) -> None:
    seen = inside.forwarded_if_at_all(compose(fields=HOST + line))
    if seen is not None:
        assert not seen.every(b"x-tiktok-open-id")
        assert len(seen.every(b"x-a")) == 1
        assert not any(control in value for _, value in seen.fields for control in (b"\r", b"\n"))


def test_values_arrive_byte_for_byte_and_in_order(proxied: Guarded) -> None:
    fields = b"X-A: a\tb  c\r\nX-B:\r\nX-A: \xc3\xa9\xff\r\nX-C:no-space\r\nX-D: trailing \t \r\n"
    seen = proxied.forwarded(compose(fields=HOST + fields))
    assert [field for field in seen.fields if field[0].lower().startswith(b"x-") and len(field[0]) == 3] == [
        (b"x-a", b"a\tb  c"),
        (b"x-b", b""),
        (b"x-a", b"\xc3\xa9\xff"),
        (b"x-c", b"no-space"),
        (b"x-d", b"trailing"),
    ]


LARGE = {
    "one field of 16 MiB": HOST + b"X-A: " + b"a" * (16 * MIB) + b"\r\n",
    "one name of 16 MiB": HOST + b"A" * (16 * MIB) + b": 1\r\n",
    "50,000 lines": HOST + b"".join(b"X-%d: 1\r\n" % number for number in range(50_000)),
    "50,000 lines of one name": HOST + b"X-A: 1\r\n" * 50_000,
    "33 KiB of cookies": HOST + b"Cookie: " + b"; ".join(b"c%d=1" % number for number in range(4500)) + b"\r\n",
    "40 KiB in 20 lines": HOST + b"".join(b"X-%d: %b\r\n" % (number, b"a" * 2048) for number in range(20)),
    "101 lines": HOST + b"".join(b"X-%d: 1\r\n" % number for number in range(100)),
}


@pytest.mark.parametrize("what", LARGE)
def test_a_header_block_beyond_the_limit_is_refused(guarded: Guarded, what: str) -> None:
    statuses = (431,) if guarded.own_server else (400, 431)  # h11 has a limit of its own, and says 400
    guarded.refuses(compose(fields=LARGE[what]), *statuses)


def test_a_hundred_fields_and_30_kib_are_not_too_much(proxied: Guarded) -> None:
    fields = b"".join(b"X-%02d: %b\r\n" % (number, b"a" * 290) for number in range(99))
    assert len(proxied.forwarded(compose(fields=HOST + fields)).fields) > 99


@pytest.mark.parametrize(
    ("head", "statuses"),
    [
        (b"GET /public/x HTTP/1.1\r\n" + HOST + b"X-A: ", {431}),
        (b"GET /public/x HTTP/1.1\r\n" + HOST, {431}),
        (b"GET /public/", {414, 431}),
        (b"GET /public/x?", {414, 431}),
        (b"", {400, 414, 431}),
    ],
)
def test_a_head_that_never_ends_is_refused_while_it_arrives(proxied: Guarded, head: bytes, statuses: set[int]) -> None:
    with proxied.talk() as talk:
        talk.say(head)
        for _ in range(40):
            if talk.say(b"X-A: 1\r\n" * 512 if head.endswith(b"example\r\n") else b"a" * 4096).settled(0.02):
                break
        answer = talk.answer()
        assert answer is not None
        assert answer.status in statuses
        assert talk.rest() == b""


@pytest.mark.parametrize("size", [8193, 9000, 30_000, 200_000])
def test_a_target_beyond_the_limit_is_refused(guarded: Guarded, size: int) -> None:
    statuses = (414,) if guarded.own_server and size < 40_000 else (400, 414, 431)
    guarded.refuses(compose(b"/public/".ljust(size, b"a")), *statuses)
    guarded.refuses(compose(b"/public/?".ljust(size, b"a")), *statuses)
