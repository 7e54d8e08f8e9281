import pytest

from gateway.core.webdav import read_destination
from gateway.errors import DestinationElsewhere, MalformedRequest

HOST = "app.example:8443"


@pytest.mark.parametrize(
    ("value", "host", "text"),
    [
        (b"/a/b.txt", HOST, "/a/b.txt"),
        (b"/a%20b?x=//y", HOST, "/a b"),
        (b"http://app.example:8443/a", HOST, "/a"),
        (b"HTTPS://App.Example:8443/a/", HOST, "/a/"),
        (b"https://app.example", "app.example", "/"),
        (b"https://app.example:443/a", "app.example", "/a"),
        (b"http://app.example/a", "app.example:80", "/a"),
        (b"https://[::1]/a", "[::1]:443", "/a"),
        (b"/%7Ea", HOST, "/~a"),
    ],
)
def test_our_own_addresses(value: bytes, host: str, text: str) -> None:
    assert read_destination(value, host).path.text == text


@pytest.mark.parametrize(
    "value",
    [
        b"http://other.example/a",
        b"http://app.example/a",
        b"http://app.example:8443.evil.example/a",
        b"https://app.example:443/a",
    ],
)
def test_another_host_is_another_servers(value: bytes) -> None:
    with pytest.raises(DestinationElsewhere):
        read_destination(value, HOST)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"a",
        b"?x",
        b"//app.example:8443/a",
        b"ftp://app.example:8443/a",
        b"http://me@app.example:8443/a",
        b"http:///a",
        b"/a/../b",
        b"/a/%2e%2e/b",
        b"/a\\b",
        b"/a%5cb",
        b"/a#b",
        b"/a b",
        b"/%ff",
        b"/\xc3\xa9",
        b"/a, /b",
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(value: bytes) -> None:
    with pytest.raises(MalformedRequest):
        read_destination(value, HOST)
