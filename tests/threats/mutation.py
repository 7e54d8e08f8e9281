"""Requests that are nearly right: what a fuzzer, a broken proxy or somebody with patience makes of good ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.talk import CHUNKED, HOST, compose, post

FIELDS = HOST + b"Accept: */*\r\nAccept-Encoding: gzip, br\r\nCookie: a=1; gateway=zzz; b=2\r\n"

BASES = (
    compose(b"/public/a/b?q=1&r=%2f", FIELDS),
    compose(b"/optional/%7Ea//b/../c", FIELDS),
    compose(b"/private/x", FIELDS),
    compose(b"/public/x", FIELDS, method=b"HEAD"),
    compose(b"/public/x", FIELDS, method=b"OPTIONS"),
    compose(b"http://app.example/public/x", FIELDS),
    post(b"a=1&b=2", b"Content-Type: application/x-www-form-urlencoded\r\n"),
    post(b"ten bytes!", target=b"/private/x"),
    compose(fields=CHUNKED, method=b"PUT", body=b"4\r\nwiki\r\n6;x=y\r\npedia \r\n0\r\nX-T: 1\r\n\r\n"),
)

LINES = (
    b"X-TikTok-Open-Id: evil\r\n",
    b"x_tiktok_access_token: evil\r\n",
    b"Remote.User: evil\r\n",
    b"X-Forwarded-For: 6.6.6.6\r\n",
    b"X-Forwarded-User: evil\r\n",
    b"Forwarded: for=6.6.6.6\r\n",
    b"X-Original-URL: /denied/x\r\n",
    b"Host: evil.example\r\n",
    b"Content-Length: 3\r\n",
    b"Content-Length: 0\r\n",
    b"Content_Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: identity\r\n",
    b"Transfer_Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive, x-tiktok-open-id, cookie\r\n",
    b"Expect: 100-continue\r\n",
    b"TE: trailers\r\n",
    b"Cookie: gateway=zzz\r\n",
    b" folded\r\n",
    b"X-A: \r\n",
    b": nothing\r\n",
    b"X" * 300 + b": 1\r\n",
)
MORSELS = (
    *(bytes([byte]) for byte in (0, 1, 8, 9, 10, 11, 12, 13, 27, 31, 32, 127, 128, 160, 255)),
    *(b"\r\n", b"\n\n", b"\r\n\r\n", b"\r\r\n", b": ", b":", b";", b",", b'"', b"=", b"%", b"\\", b"#", b"?", b"@"),
    *(b"/", b"//", b"/./", b"/../", b"/..;/", b"%2e", b"%2E%2e/", b"%2f", b"%5c", b"%00", b"%25", b"%c0%ae", b"%zz"),
    *(b"\xc3\xa9", b"\xe2\x80\xa8", b"0", b"9", b"-1", b"+", b"0x", b"f" * 17, b"HTTP/1.0", b" HTTP/1.1", b"chunked"),
)
SPACES = (b"  ", b"\t", b" \t ", b"", b"\x0b", b"\xa0")

Mutation = Callable[[bytes, int, int], bytes]


def _insert(data: bytes, at: int, which: int) -> bytes:
    return data[:at] + MORSELS[which % len(MORSELS)] + data[at:]


def _replace(data: bytes, at: int, which: int) -> bytes:
    return data[:at] + MORSELS[which % len(MORSELS)] + data[at + 1 :]


def _delete(data: bytes, at: int, which: int) -> bytes:
    return data[:at] + data[at + 1 + which % 4 :]


def _repeat(data: bytes, at: int, which: int) -> bytes:
    return data[:at] + data[at : at + 1 + which % 24] + data[at:]


def _swap_case(data: bytes, at: int, which: int) -> bytes:
    return data[:at] + data[at : at + 1 + which % 12].swapcase() + data[at + 1 + which % 12 :]


def _encode(data: bytes, at: int, which: int) -> bytes:
    return data[:at] + b"".join(b"%%%02x" % byte for byte in data[at : at + 1 + which % 3]) + data[at + 1 + which % 3 :]


def _space(data: bytes, at: int, which: int) -> bytes:
    place = data.find(b" ", at)
    return data if place < 0 else data[:place] + SPACES[which % len(SPACES)] + data[place + 1 :]


def _adding(lines: Sequence[bytes]) -> Mutation:
    def add_line(data: bytes, at: int, which: int) -> bytes:
        place = _line_at(data, at)
        return data[:place] + lines[which % len(lines)] + data[place:]

    return add_line


def _repeat_line(data: bytes, at: int, which: int) -> bytes:
    place = _line_at(data, at)
    line = data[place : data.find(b"\r\n", place) + 2]
    elsewhere = _line_at(data, at * (which + 1))
    return data[:elsewhere] + line + data[elsewhere:]


def _drop_line(data: bytes, at: int, which: int) -> bytes:
    place = _line_at(data, at)
    return data[:place] + data[data.find(b"\r\n", place) + 2 :]


def _line_at(data: bytes, at: int) -> int:
    """Return where some line of the header block begins."""
    head_ends = data.find(b"\r\n\r\n") + 2
    starts = [found.end() for found in re.finditer(rb"\r\n", data) if found.end() <= head_ends] or [len(data)]
    return starts[at % len(starts)]


MUTATIONS: tuple[Mutation, ...] = (
    _insert,
    _replace,
    _delete,
    _repeat,
    _swap_case,
    _encode,
    _space,
    _repeat_line,
    _drop_line,
)


def mutate(data: bytes, steps: Sequence[tuple[Mutation, int, int]]) -> bytes:
    for mutation, at, which in steps:
        data = mutation(data, at % (len(data) + 1), which)
    return data


def mutants(bases: Sequence[bytes], lines: Sequence[bytes] = LINES) -> st.SearchStrategy[bytes]:
    """Return good messages to which a few things have happened; `lines` are what may be added."""
    mutations = (*MUTATIONS, _adding(lines), _adding(lines))
    step = st.tuples(st.sampled_from(mutations), st.integers(0, 400), st.integers(0, 400))
    return st.builds(mutate, st.sampled_from(bases), st.lists(step, min_size=1, max_size=4))


def examples(count: int) -> settings:
    """So many examples; shrinking aside, each takes some milliseconds."""
    quiet = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=count, suppress_health_check=quiet)


def is_surely_whole(data: bytes) -> bool:
    """Whether nobody could wait for more of this request: its head ends, and a body, if any, has come in full."""
    head, end, body = data.lstrip(b"\r\n").partition(b"\r\n\r\n")
    if not end:
        return False
    if b"encoding" in head.lower() or b"chunked" in head.lower():
        return re.fullmatch(rb"(?:4\r\nwiki\r\n6[^\r\n]*\r\npedia \r\n)0\r\n(?:[!-~ ]+\r\n)*\r\n", body) is not None
    return all(int(number) <= len(body) for number in re.findall(rb"(?i)length[^\r\n]*?([0-9]{1,30})", head))


def is_one_request(data: bytes) -> bool:
    """Whether no reading finds a second request in it."""
    return len(re.findall(rb"(?i)http/", data)) <= 1
