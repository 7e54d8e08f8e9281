import re
from urllib.parse import quote, unquote_to_bytes

import pytest
from ada_url import URL
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.urls import MAX_LENGTH, ReturnTo, check_return_to

OURS = "https://app.example.com"
ALLOWED = frozenset({"other.example.com", "tools.example.com:8443"})


def check(rd: str, public_url: str = OURS) -> str | None:
    found = check_return_to(rd, public_url=public_url, allowed_hosts=ALLOWED, prefix="/oauth2")
    assert found is None or isinstance(found, ReturnTo)
    return found.url if found else None


@pytest.mark.parametrize(
    "rd",
    [
        "/",
        "/a/b?c=d&e",
        "/a?next=https://evil.example//x",
        "/a?b=/../c",
        "/%e2%82%ac/%7Eme?x=%2F%0d%0a",
        "/a//b",
        "/a#part",
        "/?",
        "/@evil.example",
        "/a:b@c",
        "/javascript:alert(1)",
        "/%09/evil.example",
        "/%5Cevil.example",
        "/oauth2/account",
        "/oauth2/account?tab=1",
        "/oauth2x/start",
        "/x/oauth2/start",
    ],
)
def test_local_paths_come_back_byte_for_byte(rd: str) -> None:
    assert check(rd) == OURS + rd


@pytest.mark.parametrize(
    ("rd", "url"),
    [
        ("/a b", "/a%20b"),
        ("/\u00e4?\u20ac", "/%C3%A4?%E2%82%AC"),
        ("/\uff0fevil.example", "/%EF%BC%8Fevil.example"),
        ("/ /evil.example", "/%20/evil.example"),
        ("/\xa0//evil.example", "/%C2%A0//evil.example"),
        (f"{OURS}/\u00e4", "/%C3%A4"),
    ],
)
def test_what_no_address_has_is_encoded_again(rd: str, url: str) -> None:
    assert check(rd) == OURS + url


@pytest.mark.parametrize("target", [b"/deep/%C3%A4;p=1/x?x=%20&z=%F0%9F%A6%86", b"/%E4%FF/x", b"/a%20b+c?d+e"])
def test_what_a_front_has_decoded_comes_back_byte_for_byte(target: bytes) -> None:
    assert check(unquote_to_bytes(target).decode("utf-8", "surrogateescape")) == OURS + target.decode()


@pytest.mark.parametrize(
    "begins", ["", "https://app.example.com", "https:// app.example.com", "https://app.example.com "]
)
@pytest.mark.parametrize("odd", ["\u3000", "\u2028", "\uff0f", "\uff20", "\uff1a", "\xad", "\u200b", "\udce4", " "])
def test_odd_characters_are_no_part_of_a_host(begins: str, odd: str) -> None:
    for rd in (f"{begins}{odd}evil.example/", f"{odd}{begins}//evil.example/", f"{begins}.{odd}evil.example"):
        assert check(rd) is None, rd


@pytest.mark.parametrize(
    "rd",
    [
        OURS,
        OURS + "/a?b#c",
        OURS + "?b",
        "https://APP.example.com/a",
        "https://other.example.com/x",
        "https://tools.example.com:8443/x",
    ],
)
def test_our_origin_and_allowed_hosts(rd: str) -> None:
    assert check(rd) == rd


@pytest.mark.parametrize(
    "rd",
    [
        "",
        "x",
        "?x",
        "#x",
        "//evil.example",
        "//evil.example/%2e%2e",
        "///evil.example",
        "////evil.example",
        r"/\evil.example",
        r"\/evil.example",
        r"\\evil.example",
        r"/a\..\b",
        "/\t/evil.example",
        "/\n/evil.example",
        "\t//evil.example",
        " //evil.example",
        "/a\r\nSet-Cookie: x=y",
        "/\x00",
        "/\x7f",
        "\uff0f\uff0fevil.example",
        "https://evil\u3002example",
        "https:evil.example",
        "https:/evil.example",
        "https:///evil.example",
        "https:app.example.com/x",
        "https://evil.example",
        "http://app.example.com/",
        "http://other.example.com/",
        "wss://app.example.com/",
        "https://app.example.com@evil.example/",
        "https://app.example.com:x@evil.example/",
        "https://me@app.example.com/",
        "https://@app.example.com/",
        r"https://app.example.com\@evil.example",
        r"https://evil.example\@app.example.com",
        "https://app.example.com.evil.example",
        "https://app.example.comevil.example",
        "https://app.example.com.",
        "https://app.example.com:444/",
        "https://tools.example.com/",
        "https://tools.example.com:8444/",
        "https://sub.other.example.com/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://2130706433/",
        "https://0x7f.1/",
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "javascript://app.example.com/%0aalert(1)",
        "data:text/html,x",
        "blob:https://app.example.com/x",
        "file:///etc/passwd",
        "\ud800",
    ],
)
def test_what_leads_elsewhere(rd: str) -> None:
    assert check(rd) is None


@pytest.mark.parametrize(
    "path",
    [
        "/oauth2",
        "/oauth2/",
        "/oauth2/sign_in",
        "/oauth2/sign_out",
        "/oauth2/start?rd=/x",
        "/oauth2/callback?code=x",
        "/oauth2/disconnect",
        "/oauth2/auth",
        "/oauth2//start",
        "//oauth2/start",
        "/./oauth2/start",
        "/x/../oauth2/start",
        "/x/%2e%2e/oauth2/start",
        "/x/..//oauth2/start",
        "/%6fauth2/st%61rt",
        "/oauth2%2fstart",
        "/oauth2/account/../start",
        "/oauth2/account/x",
    ],
)
def test_pages_that_act_are_not_returned_to(path: str) -> None:
    assert check(path) is None
    assert check(OURS + path) is None


def test_another_hosts_paths_are_its_own() -> None:
    assert check("https://other.example.com/oauth2/start") is not None


def test_allowed_hosts_are_compared_without_case() -> None:
    allowed = frozenset({"Other.Example.com"})
    assert check_return_to("https://other.example.com/", public_url=OURS, allowed_hosts=allowed, prefix="/oauth2")


def test_a_default_port_makes_no_other_host() -> None:
    assert check("https://app.example.com:443/a?b:443") == OURS + "/a?b:443"
    assert check("https://other.example.com:443") == "https://other.example.com"
    assert check("https://app.example.com:80/a") is None
    assert check("https://app.example.com:443/oauth2/sign_out") is None


def test_ports_of_ours_count() -> None:
    local = "http://127.0.0.1:8080"
    assert check("/x", local) == local + "/x"
    assert check(local + "/x", local) == local + "/x"
    assert check("http://127.0.0.1:8081/x", local) is None
    assert check("http://2130706433:8080/x", local) is None


def test_the_longest() -> None:
    assert check("/" + "a" * (MAX_LENGTH - 1)) is not None
    assert check("/" + "a" * MAX_LENGTH) is None
    assert check("/" + "a" * 65536) is None


pieces = st.sampled_from(
    [
        *("/", "//", "\\", ":", "@", "?", "#", ".", "..", "%2e", "%2f", "%09", "\t", "\n", " ", "\uff0f", "\u3002"),
        *("https:", "http:", "javascript:", "app.example.com", "other.example.com", "evil.example", "oauth2", "start"),
        *("account", "443", "[::1]", "a", "x=y", ";"),
    ]
)


@given(st.one_of(st.lists(pieces, max_size=10).map("".join), st.text(max_size=30)))
@example("/x/..//evil.example")
@example("https://app.example.com//evil.example")
def test_a_return_never_leaves(rd: str) -> None:
    url = check(rd)
    if url is None:
        return
    # as a browser follows a Location header: relative to the page that sent it
    followed = URL(url, base="https://app.example.com/oauth2/callback")
    assert followed.protocol == "https:"
    assert followed.host in {"app.example.com", *ALLOWED}
    assert followed.username == followed.password == ""
    assert url.isascii()
    encoded = re.sub("[ \x80-\U0010ffff]", lambda found: quote(found[0]), rd)
    assert url.endswith(encoded)
    if followed.host == "app.example.com":
        assert not followed.pathname.startswith("/oauth2/start")
