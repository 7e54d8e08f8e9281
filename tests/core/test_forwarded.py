import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.fields import Headers
from gateway.core.forwarded import (
    NO_FRONT,
    Front,
    Origin,
    TrustedProxies,
    find_network,
    is_host,
    plain_origin,
    read_forwarded,
    read_front,
    without_default_port,
)
from gateway.errors import MalformedRequest

PROXY = "10.0.0.1"
TRUSTED = TrustedProxies(["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"])


def origin(*headers: tuple[bytes, bytes], peer: str | None = PROXY, trusted: TrustedProxies = TRUSTED) -> Origin:
    return read_forwarded(headers, peer=peer, scheme="http", host="seen.example", trusted=trusted)


def address(x_forwarded_for: bytes) -> str:
    return origin((b"x-forwarded-for", x_forwarded_for)).client_address


EVERYTHING: Headers = (
    (b"x-forwarded-for", b"203.0.113.9"),
    (b"x-forwarded-proto", b"https"),
    (b"x-forwarded-host", b"app.example"),
)


def test_the_default_trusts_nobody() -> None:
    for peer in (PROXY, "127.0.0.1", "::1", None, ""):
        assert origin(*EVERYTHING, peer=peer, trusted=TrustedProxies([])) == Origin(peer or "", "http", "seen.example")


def test_an_untrusted_peer_is_not_even_read() -> None:
    junk = ((b"x-forwarded-for", b"@@"), (b"forwarded", b"=;=,"), (b"x-forwarded-proto", b"gopher"))
    assert origin(*junk, peer="198.51.100.1") == Origin("198.51.100.1", "http", "seen.example")


def test_a_trusted_peer_is_believed() -> None:
    assert origin(*EVERYTHING) == Origin("203.0.113.9", "https", "app.example")
    assert origin() == Origin(PROXY, "http", "seen.example")


def test_unix_peers_are_trusted_by_name_only() -> None:
    unix = TrustedProxies(["unix"])
    assert unix.trusts(None)
    assert unix.trusts("")
    assert not unix.trusts(PROXY)
    assert not TRUSTED.trusts(None)
    assert origin(*EVERYTHING, peer=None, trusted=unix).client_address == "203.0.113.9"


@pytest.mark.parametrize(
    ("peer", "trusted"),
    [
        ("10.255.0.1", True),
        ("11.0.0.1", False),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("2001:db8::5", True),
        ("2001:db9::5", False),
        ("::ffff:10.0.0.1", True),
        ("testclient", False),
    ],
)
def test_who_is_trusted(peer: str, trusted: bool) -> None:
    assert TRUSTED.trusts(peer) is trusted
    assert TRUSTED.trusts(peer) is trusted  # from the memo


def test_the_memo_is_bounded() -> None:
    trusted = TrustedProxies(["10.0.0.0/8"])
    for number in range(10_000):
        trusted.trusts(f"203.0.{number // 256}.{number % 256}")
    assert len(trusted._memo) <= 4096


def test_entries_that_are_none_do_not_pass() -> None:
    with pytest.raises(ValueError, match="example"):
        TrustedProxies(["example"])


@pytest.mark.parametrize(
    ("given_for", "found"),
    [
        (b"203.0.113.9", "203.0.113.9"),
        (b"spoofed, 203.0.113.9", "203.0.113.9"),
        (b"1.1.1.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        (b"10.0.0.3, 10.0.0.2", "10.0.0.3"),
        (b"203.0.113.9:4711", "203.0.113.9"),
        (b"[2001:db9::1]:4711", "2001:db9::1"),
        (b"2001:DB9::0:1", "2001:db9::1"),
        (b"::ffff:203.0.113.9", "203.0.113.9"),
        (b"unknown", ""),
        (b"1.1.1.1, unknown", ""),
        (b"_hidden", ""),
    ],
)
def test_the_right_most_hop_that_is_not_trusted(given_for: bytes, found: str) -> None:
    assert address(given_for) == found


def test_several_lines_are_one_list() -> None:
    lines = ((b"x-forwarded-for", b"1.1.1.1"), (b"x-forwarded-for", b"203.0.113.9"))
    assert origin(*lines).client_address == "203.0.113.9"


def test_a_client_cannot_choose_the_host_by_position() -> None:
    found = origin((b"x-forwarded-for", b"203.0.113.9, 10.0.0.2"), (b"x-forwarded-host", b"evil.example, app.example"))
    assert found == Origin("203.0.113.9", "http", "app.example")


@pytest.mark.parametrize(
    ("forwarded", "found"),
    [
        (b"for=203.0.113.9;proto=https;host=app.example", Origin("203.0.113.9", "https", "app.example")),
        (b'For="203.0.113.9:80" ; PROTO=HTTPS', Origin("203.0.113.9", "https", "seen.example")),
        (b'for="[2001:db9::1]:80"', Origin("2001:db9::1", "http", "seen.example")),
        (b'for="203.0.113.9:_port"', Origin("203.0.113.9", "http", "seen.example")),
        (b"for=_secret", Origin("", "http", "seen.example")),
        (b"for=unknown", Origin("", "http", "seen.example")),
        (b'for=1.1.1.1;by="a,b;c",for=203.0.113.9', Origin("203.0.113.9", "http", "seen.example")),
        (b'host="app.example:8443"', Origin(PROXY, "http", "app.example:8443")),
        (b'host="app\\.example"', Origin(PROXY, "http", "app.example")),
        (b"for=203.0.113.9;proto=https, for=10.0.0.2;proto=http", Origin("203.0.113.9", "https", "seen.example")),
        (b"for=1.1.1.1, proto=https", Origin(PROXY, "https", "seen.example")),
        (b"for=1.1.1.1;host=evil.example, for=203.0.113.9", Origin("203.0.113.9", "http", "seen.example")),
    ],
)
def test_forwarded(forwarded: bytes, found: Origin) -> None:
    assert origin((b"forwarded", forwarded)) == found


@pytest.mark.parametrize(
    "header",
    [
        (b"x-forwarded-for", b"203.0.113.9 ;"),
        (b"x-forwarded-for", b"a b"),
        (b"x-forwarded-for", b"256.1.1.1"),
        (b"x-forwarded-for", b"example.com"),
        (b"x-forwarded-for", b"[::1"),
        (b"x-forwarded-for", b"[::::]"),
        (b"x-forwarded-for", b"1.1.1.1:999999"),
        (b"x-forwarded-proto", b"gopher"),
        (b"x-forwarded-host", b"a@b"),
        (b"x-forwarded-host", b"a/b"),
        (b"x-forwarded-host", b"a, b c"),
        (b"x-forwarded-host", b"\xff"),
        (b"forwarded", b"for"),
        (b"forwarded", b'for="1.1.1.1'),
        (b"forwarded", b"for=1.1.1.1;for=2.2.2.2"),
        (b"forwarded", b"for=[::1]x"),
        (b"forwarded", b"proto=ftp"),
    ],
)
def test_malformed_words_of_a_trusted_proxy_fail_closed(header: tuple[bytes, bytes]) -> None:
    with pytest.raises(MalformedRequest):
        origin(header)


def test_both_kinds_must_agree() -> None:
    same = (b"forwarded", b"for=203.0.113.9;proto=https;host=App.Example")
    assert origin(*EVERYTHING, same) == Origin("203.0.113.9", "https", "app.example")
    with pytest.raises(MalformedRequest):
        origin(*EVERYTHING, (b"forwarded", b"for=1.1.1.1"))


@pytest.mark.parametrize(
    "host", [b"a", b"a.b:80", b"127.0.0.1", b"[::1]:8080", b"my_host", b"xn--bcher-kva.example", b"a" * 255]
)
def test_hosts(host: bytes) -> None:
    assert is_host(host)


@pytest.mark.parametrize(
    "host",
    [
        *(b"", b"a@b", b"a/?x=", b"a b", b"a,b", b"a:b", b"a:", b"::1", b"[::1", b"a#", b"a\\b", b"%61", b"\xc3\xa9"),
        *(b"a..", b".a", b"a..b", b".", b"a:08443", b"a:00", b"a.:080"),
        *(b"a" * 256, b"[" + b":" * 46 + b"]"),
    ],
)
def test_what_is_no_host(host: bytes) -> None:
    assert not is_host(host)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("no address", "no address"),
    ],
)
def test_the_network_that_an_address_counts_for(address: str, network: str) -> None:
    assert find_network(address) == network


parts = st.sampled_from(
    [
        b"for=",
        b"proto=",
        b"host=",
        b"https",
        b"1.1.1.1",
        b'"',
        b"\\",
        b",",
        b";",
        b"=",
        b"[",
        b"]",
        b"::1",
        b":8",
        b" ",
        b"_x",
    ]
)
values = st.one_of(st.lists(parts, max_size=12).map(b"".join), st.binary(max_size=30))
names = st.sampled_from([b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"forwarded", b"other"])


@given(st.lists(st.tuples(names, values), max_size=5))
def test_nothing_but_malformed_request_is_raised(headers: list[tuple[bytes, bytes]]) -> None:
    try:
        found = origin(*headers)
    except MalformedRequest:
        return
    assert found.scheme in {"http", "https"}
    assert is_host(found.host.encode())
    assert found.client_address == "" or is_host(found.client_address.encode()) or ":" in found.client_address


@pytest.mark.parametrize(
    ("scheme", "host", "plain"),
    [
        ("https", "a.example:443", "a.example"),
        ("http", "a.example:80", "a.example"),
        ("https", "[::443]", "[::443]"),
        ("https", "[::1]:443", "[::1]"),
        ("https", "a.example:8443", "a.example:8443"),
        ("http", "a.example:443", "a.example:443"),
        ("https", "a443", "a443"),
        ("", "a.example:80", "a.example:80"),
    ],
)
def test_a_default_port_is_no_part_of_a_host(scheme: str, host: str, plain: str) -> None:
    assert without_default_port(scheme, host) == plain
    assert plain_origin(f"{scheme}://{host}") == f"{scheme}://{plain}"


@pytest.mark.parametrize("node", ["fe80::1%eth0", "[fe80::1%25eth0]:80", "[fe80::1%2]"])
def test_a_zone_means_nothing_elsewhere(node: str) -> None:
    header = (b"x-forwarded-for", node.encode())
    assert origin(header).client_address == "fe80::1"


def test_the_same_host_with_its_port_is_no_contradiction() -> None:
    said = ((b"x-forwarded-proto", b"https"), (b"x-forwarded-host", b"a.example:443"))
    assert origin(*said, (b"forwarded", b"proto=https;host=a.example")).host == "a.example"


# What a front says besides the origin

KEEPING = TrustedProxies(["10.0.0.0/8"], keep=["x-forwarded-prefix", "x-forwarded-port", "x-request-id"])


def front(*headers: tuple[bytes, bytes], peer: str | None = PROXY, trusted: TrustedProxies = KEEPING) -> Front:
    return read_front(headers, peer=peer, trusted=trusted)


SAID: Headers = (
    (b"x-forwarded-prefix", b"/app/"),
    (b"x-forwarded-port", b"8443"),
    (b"x-request-id", b"0af7651916cd43dd"),
)


def test_what_is_to_be_kept_of_a_front_is_kept() -> None:
    assert front(*SAID) == Front("/app", "8443", "0af7651916cd43dd")
    assert front(*SAID, trusted=TrustedProxies(["10.0.0.0/8"], keep=["x-forwarded-port"])) == Front(port="8443")


def test_nothing_is_kept_of_anybody_else_or_unless_it_is_asked_for() -> None:
    assert front(*SAID, peer="198.51.100.1") == NO_FRONT
    assert front(*SAID, trusted=TrustedProxies(["10.0.0.0/8"])) == NO_FRONT


@pytest.mark.parametrize("prefix", [b"/a/../b", b"/..", b"/.", b"/a/.", b"app", b"//evil.example", b"/a%2fb", b"/a?b"])
def test_a_prefix_that_is_no_plain_path_is_refused(prefix: bytes) -> None:
    with pytest.raises(MalformedRequest):
        front((b"x-forwarded-prefix", prefix))


@pytest.mark.parametrize("port", [b"0", b"65536", b"443,443", b"https", b"-1", b"080"])
def test_a_port_that_is_none_is_refused(port: bytes) -> None:
    with pytest.raises(MalformedRequest):
        front((b"x-forwarded-port", port))


@pytest.mark.parametrize("name", [b"x-forwarded-prefix", b"x-forwarded-port"])
@pytest.mark.parametrize("second", [b"", b"/other", b"1"])
def test_what_is_said_twice_is_refused_though_it_were_the_same(name: bytes, second: bytes) -> None:
    """The client's own field may have come through beside the front's."""
    first = dict(SAID)[name]
    for other in (first, second):
        with pytest.raises(MalformedRequest, match="twice"):
            front((name, first), (name, other))


def test_an_id_that_cannot_be_ours_or_comes_twice_is_passed_over() -> None:
    for value in (b"", b"a b", b"x" * 129, b"a,b", "é".encode("latin-1")):
        assert front((b"x-request-id", value)) == NO_FRONT
    assert front((b"x-request-id", b"a"), (b"x-request-id", b"b")) == NO_FRONT
