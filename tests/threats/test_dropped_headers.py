"""What apps believe of some front: nobody says it past ours, in any form, however it is spelt."""

from __future__ import annotations

import json

import pytest

from gateway.settings.headers import DROPPED
from gateway.simulator import RunningSimulator
from tests.harness import WAYS
from tests.talk import HOST, compose
from tests.threats.guarded import Guarded, guard_upstream

EXAMPLES = [name.replace("*", "Thing").encode() for name in DROPPED]
SPELLINGS = {
    "plain": EXAMPLES,
    "underscores": [name.lower().replace(b"-", b"_") for name in EXAMPLES],
    "tildes": [name.replace(b"-", b"~") for name in EXAMPLES],  # lighttpd makes underscores of them
    "capitals": [name.upper() for name in EXAMPLES],
}


def fields(names: list[bytes]) -> bytes:
    return b"".join(b"%b: evil\r\n" % name for name in names)


@pytest.mark.parametrize("names", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_what_only_a_front_may_say_is_not_handed_on(guarded: Guarded, names: list[bytes], method: bytes) -> None:
    for few in (names[::2], names[1::2], names):
        request = compose(b"/public/x", HOST + fields(few) + b"X-Mine: kept\r\n", method=method)
        for _ in range(2):  # the second time it is known
            seen = guarded.forwarded(request)
            assert not [field for field in seen.fields if b"evil" in field[1]]
            assert (b"x-mine", b"kept") in [(name.lower(), value) for name, value in seen.fields]


@pytest.mark.parametrize("way", WAYS)
def test_the_operator_has_the_last_word(simulator: RunningSimulator, way: str) -> None:
    with guard_upstream(simulator, way, drop_headers=json.dumps(["X-Mine-*"])) as guarded:
        request = compose(
            b"/public/x", HOST + b"X-HTTP-Method-Override: PUT\r\nX_Mine.Secret: evil\r\nX-Mine: kept\r\n"
        )
        for _ in range(2):
            given = dict(guarded.forwarded(request).fields)
            assert given[b"x-http-method-override"] == b"PUT"
            assert given[b"x-mine"] == b"kept"
            assert b"evil" not in given.values()
