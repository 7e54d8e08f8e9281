"""What balancers say first: both versions, to the letter, in any pieces."""

from __future__ import annotations

import contextlib
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.proxy_protocol import MOST_BYTES, SIGNATURE, UNKNOWN, Announced, read_proxy_header
from gateway.errors import MalformedRequest


def block(kind: int = 0x21, family: int = 0x11, rest: bytes = b"", *, length: int | None = None) -> bytes:
    return SIGNATURE + struct.pack("!BBH", kind, family, len(rest) if length is None else length) + rest


def of_ipv4(source: str = "203.0.113.7", port: int = 5000) -> bytes:
    return socket.inet_aton(source) + socket.inet_aton("192.0.2.1") + struct.pack("!HH", port, 443)


def of_ipv6(source: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6, source) + bytes(16) + struct.pack("!HH", 5000, 443)


SAID = [
    (b"PROXY TCP4 203.0.113.7 192.0.2.1 5000 443\r\n", ("203.0.113.7", 5000)),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", ("255.255.255.255", 65535)),
    (b"PROXY TCP4 203.0.113.7 192.0.2.1 0 0\r\n", ("203.0.113.7", 0)),
    (b"PROXY TCP6 2001:db8::7 2001:DB8::1 5000 443\r\n", ("2001:db8::7", 5000)),
    (b"PROXY TCP6 2001:0DB8:0:0:0:0:0:7 ::1 5000 443\r\n", ("2001:db8::7", 5000)),
    (b"PROXY TCP6 ::ffff:203.0.113.7 ::1 5000 443\r\n", ("203.0.113.7", 5000)),
    (b"PROXY UNKNOWN\r\n", UNKNOWN),
    (b"PROXY UNKNOWN " + b"f" * 91 + b"\r\n", UNKNOWN),
    (block(rest=of_ipv4()), ("203.0.113.7", 5000)),
    (block(rest=of_ipv4() + b"\x20\x00\x05\x01\0\0\0\0"), ("203.0.113.7", 5000)),  # with a note on TLS
    (block(family=0x21, rest=of_ipv6("2001:db8::7")), ("2001:db8::7", 5000)),
    (block(family=0x21, rest=of_ipv6("::ffff:203.0.113.7")), ("203.0.113.7", 5000)),
    (block(family=0x00), UNKNOWN),
    (block(family=0x31, rest=bytes(216)), UNKNOWN),
    (block(kind=0x20, family=0x00), None),
    (block(kind=0x20, rest=of_ipv4()), None),  # LOCAL: what it says is ignored
    (block(rest=of_ipv4() + bytes(MOST_BYTES - 16 - 12)), ("203.0.113.7", 5000)),
]


@pytest.mark.parametrize(("header", "client"), SAID)
def test_what_balancers_say(header: bytes, client: tuple[str, int] | None) -> None:
    for behind in (b"", b"GET / HTTP/1.1\r\n", b"\x16\x03\x01", SIGNATURE):
        assert read_proxy_header(header + behind) == Announced(client, len(header))
    for end in range(len(header)):
        assert read_proxy_header(header[:end]) is None


@pytest.mark.parametrize(
    "header",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01",
        b"proxy TCP4 203.0.113.7 192.0.2.1 5000 443\r\n",
        b"PROXY\tTCP4 203.0.113.7 192.0.2.1 5000 443\r\n",
        b"PROXY  TCP4 203.0.113.7 192.0.2.1 5000 443\r\n",
        b"PROXY TCP4 203.0.113.7 192.0.2.1 5000 443 \r\n",
        b"PROXY TCP4 203.0.113.7 192.0.2.1 5000\r\n",
        b"PROXY TCP4 203.0.113.7 192.0.2.1 5000 443\n\r\n",
        b"PROXY TCP4 203.0.113.7 192.0.2.1 05000 443\r\n",
        b"PROXY TCP4 203.0.113.7 192.0.2.1 65536 443\r\n",
        b"PROXY TCP4 203.0.113.7 192.0.2.1 5000 65536\r\n",
        b"PROXY TCP4 203.0.113.7 192.0.2.1 -1 443\r\n",
        b"PROXY TCP4 203.0.113.07 192.0.2.1 5000 443\r\n",
        b"PROXY TCP4 203.0.113 192.0.2.1 5000 443\r\n",
        b"PROXY TCP4 2001:db8::7 2001:db8::1 5000 443\r\n",
        b"PROXY TCP4 203.0.113.7 ::1 5000 443\r\n",
        b"PROXY TCP6 203.0.113.7 192.0.2.1 5000 443\r\n",
        b"PROXY TCP6 fe80::1%eth0 ::1 5000 443\r\n",
        b"PROXY UDP4 203.0.113.7 192.0.2.1 5000 443\r\n",
        b"PROXY UNKNOWNS\r\n",
        b"PROXY UNKNOWN a\rb\r\n",
        b"PROXY UNKNOWN " + b"f" * 92 + b"\r\n",
        b"PROXY TCP4 " + b"1" * 107,
        block(kind=0x11, rest=of_ipv4()),
        block(kind=0x22, rest=of_ipv4()),
        block(family=0x12, rest=of_ipv4()),
        block(family=0x41, rest=bytes(300)),
        block(family=0x11, rest=of_ipv4()[:-1]),
        block(family=0x21, rest=of_ipv6("::1")[:-1]),
        block(family=0x31, rest=bytes(215)),
        block(length=MOST_BYTES - 15),
        block(kind=0x20, length=MOST_BYTES - 15),
        SIGNATURE[:-1] + b"\r",
    ],
)
def test_what_no_balancer_says(header: bytes) -> None:
    with pytest.raises(MalformedRequest):
        read_proxy_header(header)


@given(st.binary(max_size=300), st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", SIGNATURE, SIGNATURE + b"\x21\x11"]))
def test_any_bytes_are_a_header_no_header_or_the_beginning_of_one(data: bytes, begun: bytes) -> None:
    data = begun + data
    with contextlib.suppress(MalformedRequest):
        found = read_proxy_header(data)
        if found is None:
            assert len(data) < MOST_BYTES
        else:
            assert read_proxy_header(data[: found.size]) == found
            assert all(read_proxy_header(data[:end]) is None for end in range(found.size))


@given(st.ip_addresses(), st.integers(0, 65535))
def test_both_versions_tell_the_same(address: object, port: int) -> None:
    text = str(address)
    sixth = ":" in text
    line = b"PROXY TCP%d %b %b %d 443\r\n" % (6 if sixth else 4, text.encode(), b"::1" if sixth else b"192.0.2.1", port)
    packed = socket.inet_pton(socket.AF_INET6 if sixth else socket.AF_INET, text)
    rest = packed + bytes(len(packed)) + struct.pack("!HH", port, 443)
    told = read_proxy_header(line)
    assert told is not None
    other = read_proxy_header(block(family=0x21 if sixth else 0x11, rest=rest))
    assert other is not None
    assert told.client == other.client
