"""What is refused of a head before anybody judges it, said of the functions themselves: no socket, no parser."""

from __future__ import annotations

import base64

import pytest

from gateway.core.fields import Fields
from gateway.core.message_end import CHUNKED
from gateway.server.refusal import Refused
from gateway.server.strictness import asks_for_websocket, check_handshake, check_head

HOST = (b"host", b"app.example")
KEY = (b"sec-websocket-key", base64.b64encode(bytes(16)))
VERSION = (b"sec-websocket-version", b"13")


def check(
    *fields: tuple[bytes, bytes],
    line: bytes = b"GET /x HTTP/1.1\r\n",
    method: bytes = b"GET",
    version: str = "1.1",
    upgrade: bool = False,
) -> int:
    return check_head(line, method, version, [HOST, *fields], upgrade=upgrade)


def refused(*fields: tuple[bytes, bytes], **parts: object) -> bytes:
    """Return the status with which a head is refused."""
    with pytest.raises(Refused) as found:
        check(*fields, **parts)  # type: ignore[arg-type]
    return found.value.status[:3]


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_a_plain_head_passes_and_tells_how_long_its_body_is(version: str) -> None:
    line = b"GET /x HTTP/%b\r\n" % version.encode()
    assert check(line=line, version=version) == 0
    assert check((b"content-length", b"12"), line=line, version=version) == 12


@pytest.mark.parametrize(
    "line",
    [
        b"GET  /x HTTP/1.1\r\n",
        b"GET /x  HTTP/1.1\r\n",
        b"GET /x HTTP/1.1 \r\n",
        b"GET /x\tHTTP/1.1\r\n",
        b"GET /x HTTP/1.1\n",
        b"GET /x RTSP/1.1\r\n",
        b"GET /x http/1.1\r\n",
        b"GET /x HTTP/1.0\r\n",  # and the parser has read 1.1
        b"GET /x\r\n",
        b"GET /a b HTTP/1.1\r\n",
        b"",
    ],
)
def test_a_line_that_is_not_method_target_version_is_400(line: bytes) -> None:
    assert refused(line=line) == b"400"


@pytest.mark.parametrize("version", ["0.9", "1.2", "2.0"])
def test_another_version_is_505(version: str) -> None:
    assert refused(line=b"GET /x HTTP/%b\r\n" % version.encode(), version=version) == b"505"


def test_a_tunnel_is_405_and_is_told_what_is_allowed() -> None:
    line = b"CONNECT app.example:443 HTTP/1.1\r\n"
    with pytest.raises(Refused) as found:
        check(line=line, method=b"CONNECT")
    assert found.value.status.startswith(b"405 Method Not Allowed\r\nallow: ")
    assert refused(line=line, method=b"CONNECT", upgrade=True) == b"405"


@pytest.mark.parametrize(
    ("fields", "version"),
    [
        ([(b"content-length", b"1"), (b"transfer-encoding", b"chunked")], "1.1"),
        ([(b"content-length", b"1"), (b"content-length", b"1")], "1.1"),
        ([(b"content-length", b"+1")], "1.1"),
        ([(b"transfer-encoding", b"identity, chunked")], "1.1"),
        ([(b"transfer-encoding", b"chunked")], "1.0"),
    ],
)
def test_a_body_that_could_end_in_two_places_is_400(fields: Fields, version: str) -> None:
    assert refused(*fields, line=b"GET /x HTTP/%b\r\n" % version.encode(), version=version) == b"400"
    assert check((b"transfer-encoding", b"chunked")) == CHUNKED


@pytest.mark.parametrize("field", [(b"content-length", b"1"), (b"transfer-encoding", b"chunked")])
def test_an_upgrade_has_no_body_heeded_or_not(field: tuple[bytes, bytes]) -> None:
    assert refused(field, upgrade=True) == b"400"
    assert check(field) != 0
    assert check((b"content-length", b"0"), upgrade=True) == 0


@pytest.mark.parametrize(
    ("upgrades", "method", "version", "asks"),
    [
        ([b"websocket"], b"GET", "1.1", True),
        ([b" WebSocket\t"], b"GET", "1.1", True),
        ([b"websocket"], b"POST", "1.1", False),
        ([b"websocket"], b"HEAD", "1.1", False),
        ([b"websocket"], b"GET", "1.0", False),
        ([b"h2c"], b"GET", "1.1", False),
        ([b"websocket, h2c"], b"GET", "1.1", False),
        ([b"websocket", b"h2c"], b"GET", "1.1", False),
        ([b"websocket", b"websocket"], b"GET", "1.1", False),
        ([], b"GET", "1.1", False),
    ],
)
def test_only_one_upgrade_to_a_websocket_is_one(upgrades: list[bytes], method: bytes, version: str, asks: bool) -> None:
    assert asks_for_websocket(method, version, [HOST, *((b"upgrade", each) for each in upgrades)]) is asks


def test_a_handshake_has_its_version_and_one_key_of_16_bytes() -> None:
    check_handshake([HOST, KEY, VERSION])


@pytest.mark.parametrize("versions", [[], [b"8"], [b"13", b"13"], [b"13, 8"], [b"013"]])
def test_another_version_of_websockets_is_426_and_is_told_which(versions: list[bytes]) -> None:
    with pytest.raises(Refused) as found:
        check_handshake([KEY, *((b"sec-websocket-version", each) for each in versions)])
    assert found.value.status.startswith(b"426 ")
    assert b"sec-websocket-version: 13" in found.value.status


@pytest.mark.parametrize(
    "keys",
    [
        [],
        [b""],
        [base64.b64encode(bytes(15))],
        [base64.b64encode(bytes(17))],
        [base64.b64encode(bytes(16))[:-1]],
        [base64.b64encode(bytes(16)) + b"\n"],
        [b"*" * 24],
        [KEY[1], KEY[1]],
    ],
)
def test_a_key_that_is_none_or_comes_twice_is_400(keys: list[bytes]) -> None:
    with pytest.raises(Refused) as found:
        check_handshake([VERSION, *((b"sec-websocket-key", each) for each in keys)])
    assert found.value.status.startswith(b"400 ")
