import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.fields import Headers
from gateway.core.forwarded import TrustedProxies
from gateway.core.names import ALL_NAMES
from gateway.core.path import canonicalise
from gateway.core.request import Limits, RequestHead, read_head
from gateway.errors import HeadersTooLarge, MalformedRequest, MethodRefused, RequestRefused, TargetTooLong

HOST = (b"Host", b"app.example")


def read(
    *headers: tuple[bytes, bytes],
    method: str = "GET",
    target: bytes = b"/x?y=1",
    scheme: str = "http",
    peer: str | None = "198.51.100.1",
    trusted: TrustedProxies | None = None,
    limits: Limits | None = None,
    http_version: str = "1.1",
    websocket: bool = False,
) -> RequestHead:
    return read_head(
        method=method,
        scheme=scheme,
        target=target,
        headers=headers or (HOST,),
        peer=peer,
        trusted=trusted or TrustedProxies([]),
        limits=limits or Limits(),
        http_version=http_version,
        websocket=websocket,
    )


def test_a_request_as_browsers_send_it() -> None:
    assert read(HOST, (b"User-Agent", b" Mozilla \t"), target=b"/a/%7Eb?c=//d/../e&%2f") == RequestHead(
        method="GET",
        scheme="http",
        host="app.example",
        path=canonicalise(b"/a/~b"),
        query=b"c=//d/../e&%2f",
        raw_target=b"/a/%7Eb?c=//d/../e&%2f",
        headers=((b"host", b"app.example"), (b"user-agent", b"Mozilla")),
        client_address="198.51.100.1",
    )


@pytest.mark.parametrize(("scheme", "found"), [("http", "http"), ("https", "https"), ("ws", "http"), ("wss", "https")])
def test_websocket_schemes_are_those_of_the_page(scheme: str, found: str) -> None:
    head = read(scheme=scheme, websocket=True)
    assert head.scheme == found
    assert head.websocket


def test_a_trusted_proxy_says_who_asks() -> None:
    said = (HOST, (b"X-Forwarded-For", b"203.0.113.9"), (b"X-Forwarded-Proto", b"https"))
    assert read(*said, trusted=TrustedProxies(["198.51.100.1"])).client_address == "203.0.113.9"
    ignored = read(*said)
    assert (ignored.client_address, ignored.scheme) == ("198.51.100.1", "http")


def test_over_a_unix_socket_the_client_is_unknown() -> None:
    assert read(peer=None).client_address == ""


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "connect", "Trace", "TRACK"])
def test_tunnels_and_echoes_are_refused(method: str) -> None:
    with pytest.raises(MethodRefused):
        read(method=method)


@pytest.mark.parametrize("method", ["", "GE T", "GET\r\n", "GÉT", "A/B", "\ud800"])
def test_a_method_is_a_token(method: str) -> None:
    with pytest.raises(MalformedRequest):
        read(method=method)


@pytest.mark.parametrize("method", ["GET", "PROPFIND", "M-SEARCH", "get"])
def test_the_apps_own_methods_pass_unchanged(method: str) -> None:
    assert read(method=method).method == method


@pytest.mark.parametrize(
    "target",
    [
        b"",
        b"*",
        b"foo",
        b"@evil.example",
        b"?x",
        b":80",
        b"http://169.254.169.254/x",
        b"http://app.example@evil/x",
        b"http://app.example:81/x",
        b"http:/app.example/x",
        b"ftp://app.example/x",
        b"//app.example:x@evil\\",
        b"/x#y",
        b"/x?y#z",
        b"/x?a b",
        b"/x?\x00",
        b"/x?\xff",
        b"/%2e%2e/x",
        b"/a%2fb",
    ],
)
def test_targets_that_are_refused(target: bytes) -> None:
    with pytest.raises(MalformedRequest):
        read(target=target)


def test_the_asterisk_is_refused_for_options_too() -> None:
    with pytest.raises(MalformedRequest):
        read(method="OPTIONS", target=b"*")


@pytest.mark.parametrize(
    ("target", "raw_target"),
    [
        (b"http://app.example/x?y", b"/x?y"),
        (b"HTTP://APP.example/", b"/"),
        (b"https://app.example", b"/"),
        (b"http://app.example//evil/x", b"//evil/x"),
    ],
)
def test_of_an_address_of_ours_only_the_path_is_kept(target: bytes, raw_target: bytes) -> None:
    head = read(target=target)
    assert head.raw_target == raw_target
    assert head.host == "app.example"


def test_two_slashes_never_name_another_host() -> None:
    head = read(target=b"//evil.example/x")
    assert (head.host, head.path.raw) == ("app.example", b"/evil.example/x")


@pytest.mark.parametrize(
    "headers",
    [
        ((b"Accept", b"*/*"),),
        (HOST, HOST),
        (HOST, (b"HOST", b"evil")),
        *(
            ((b"Host", host),)
            for host in (b"", b"a@b", b"a/?x=", b"a b", b"a,b", b"a#b", b"[::1", b"a:b", b"a\\b", b"\xff", b"a?b")
        ),
    ],
)
def test_there_is_one_host_and_it_is_a_host(headers: Headers) -> None:
    with pytest.raises(MalformedRequest):
        read(*headers)


@pytest.mark.parametrize("host", [b"a", b"a.b:8443", b"127.0.0.1:81", b"[::1]:8080"])
def test_hosts_with_ports_and_addresses(host: bytes) -> None:
    assert read((b"Host", host)).host == host.decode()


@pytest.mark.parametrize("target", [b"http://a.example/x", b"http://A.example:80/x"])
@pytest.mark.parametrize("host", [b"a.example", b"a.example:80"])
def test_a_default_port_is_no_part_of_a_host(host: bytes, target: bytes) -> None:
    found = read((b"Host", host), target=target)
    assert (found.host, found.raw_target) == ("a.example", b"/x")


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"\xc3\xa9", b"a\x00", b"(a)", b" a", b"a\r\nb"])
def test_header_names_are_tokens(name: bytes) -> None:
    with pytest.raises(MalformedRequest):
        read(HOST, (name, b"x"))


@pytest.mark.parametrize("value", [b"a\rb", b"a\nb", b"a\r\n b", b"\x00", b"\x0b", b"\x7f", b"a\n"])
def test_header_values_have_no_control_characters(value: bytes) -> None:
    with pytest.raises(MalformedRequest):
        read(HOST, (b"X", value))


def test_tabs_and_bytes_beyond_ascii_are_values() -> None:
    assert read(HOST, (b"X", b"a\tb\xff\x80")).headers[1] == (b"x", b"a\tb\xff\x80")


LENGTH = b"Content-Length"
ENCODING = b"Transfer-Encoding"


@pytest.mark.parametrize(
    "fields",
    [
        ((LENGTH, b"5"), (ENCODING, b"chunked")),
        ((LENGTH, b"5"), (LENGTH, b"5")),
        ((LENGTH, b"5, 5"),),
        ((LENGTH, b"+5"),),
        ((LENGTH, b"-5"),),
        ((LENGTH, b"0x5"),),
        ((LENGTH, b"1_0"),),
        ((LENGTH, b""),),
        ((LENGTH, b"\xb2"),),
        ((LENGTH, b"9" * 5000),),
        ((ENCODING, b"identity"),),
        ((ENCODING, b"identity, chunked"),),
        ((ENCODING, b"chunked, chunked"),),
        ((ENCODING, b"chunked"), (ENCODING, b"chunked")),
        ((ENCODING, b"gzip, chunked"),),
        ((ENCODING, b"\tchunked\x0b"),),
        ((ENCODING, b""),),
    ],
)
def test_framing_that_two_programs_read_in_two_ways(fields: Headers) -> None:
    with pytest.raises(MalformedRequest):
        read(HOST, *fields, method="POST")


@pytest.mark.parametrize("http_version", ["0.9", "1.0", "2", "3"])
def test_only_http_1_1_has_transfer_encoding(http_version: str) -> None:
    with pytest.raises(MalformedRequest):
        read(HOST, (ENCODING, b"chunked"), http_version=http_version)


def test_framing_that_is_clear() -> None:
    assert (b"transfer-encoding", b"Chunked") in read(HOST, (ENCODING, b"Chunked")).headers
    assert (b"content-length", b"5") in read(HOST, (LENGTH, b" 5 ")).headers


def test_long_targets() -> None:
    assert read(target=b"/" + b"a" * 99, limits=Limits(target_bytes=100))
    with pytest.raises(TargetTooLong):
        read(target=b"/" + b"a" * 100, limits=Limits(target_bytes=100))


def test_many_or_long_headers() -> None:
    assert read(HOST, *[(b"a", b"")] * 9, limits=Limits(header_count=10))
    with pytest.raises(HeadersTooLarge):
        read(HOST, *[(b"a", b"")] * 10, limits=Limits(header_count=10))
    assert read(HOST, (b"a", b"b" * 84), limits=Limits(header_bytes=100))
    with pytest.raises(HeadersTooLarge):
        read(HOST, (b"a", b"b" * 85), limits=Limits(header_bytes=100))


def test_a_flood_is_not_read_to_its_end() -> None:
    taken = 0

    def flood() -> Headers:
        def fields() -> object:
            nonlocal taken
            while True:
                taken += 1
                yield (b"a", b"")

        return fields()  # type: ignore[return-value]

    with pytest.raises(HeadersTooLarge):
        read_head(
            method="GET",
            scheme="http",
            target=b"/",
            headers=flood(),
            peer=None,
            trusted=TrustedProxies([]),
            limits=Limits(),
        )
    assert taken <= 101


def test_the_memory_of_names_is_bounded_and_recovers() -> None:
    for number in range(3000):
        read(HOST, (b"X-%d" % number, b""))
    assert len(ALL_NAMES.known) <= 1024
    read(HOST, (b"X-Fresh", b""))
    assert b"X-Fresh" in ALL_NAMES.known


@given(
    st.text(max_size=5),
    st.one_of(st.binary(max_size=20), st.binary(max_size=20).map(lambda tail: b"/" + tail)),
    st.lists(
        st.tuples(st.one_of(st.sampled_from([b"Host", LENGTH, ENCODING]), st.binary(max_size=5)), st.binary(max_size=8))
    ),
)
def test_whatever_comes_it_is_read_or_refused(method: str, target: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    try:
        head = read(HOST, *headers, method=method, target=target)
    except RequestRefused:
        return
    assert head.raw_target.startswith(b"/")
    assert all(name == name.lower() for name, _ in head.headers)
    assert b"\n" not in b"".join(name + value for name, value in head.headers)


def test_a_destination_is_kept_as_it_came_and_two_are_refused() -> None:
    one, other = (b"Destination", b"/a"), (b"Destination", b"/b")
    assert read(HOST).destination is None
    assert read(HOST, one).destination == b"/a"
    for second in (one, other):
        with pytest.raises(MalformedRequest, match="two Destination"):
            read(HOST, one, second)
