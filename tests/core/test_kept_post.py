import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.binding import new_binding
from gateway.core.kept_post import MOST_BYTES, MOST_FIELDS, FormField, KeptPost, may_be_kept, read_post
from tests.core.test_challenge import HTML, NAVIGATE, OURS, head

BINDING = new_binding()
URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=----WebKitFormBoundaryx"
SENT = NAVIGATE | {"sec-fetch-site": "same-origin", "content-type": URLENCODED}


def read(body: bytes, kind: str = URLENCODED, **headers: str) -> KeptPost | None:
    return read_post(head({"content-type": kind, **headers}, method="POST"), body, BINDING)


def parts(*texts: bytes, end: bytes = b"--\r\n") -> bytes:
    return (
        b"".join(b"------WebKitFormBoundaryx\r\n%b\r\n" % text for text in texts) + b"------WebKitFormBoundaryx" + end
    )


def named(name: bytes, content: bytes, more: bytes = b"") -> bytes:
    return b'Content-Disposition: form-data; name="%b"%b\r\n\r\n%b' % (name, more, content)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"", []),
        (b"a=1&a=2&b=", [("a", "1"), ("a", "2"), ("b", "")]),
        (b"t=x+y%2B%0D%0Az&%E6%9D%8E=%F0%9F%A6%8A", [("t", "x y+\r\nz"), ("李", "🦊")]),
    ],
)
def test_url_encoded_forms(body: bytes, fields: list[tuple[str, str]]) -> None:
    post = read(body)
    assert post is not None
    assert post.fields == tuple(FormField(*each) for each in fields)
    assert post.encoding == URLENCODED


def test_multipart_forms() -> None:
    post = read(parts(named(b"a%22", "é\r\n--x".encode()), named(b"f", b"", b'; filename=""')), MULTIPART)
    assert post is not None
    assert post.fields == (FormField("a%22", "é\r\n--x"), FormField("f", None))
    assert post.encoding == "multipart/form-data"


@pytest.mark.parametrize(
    "body",
    [
        *(b"a=%ff", b"a=\xc3\xa9", b"a=1&b", b"a=%00", b"a=x%0Ay", b"a=x%0Dy", b"=x", b"_charset_=iso-8859-1"),
        b"a=" + b"x" * MOST_BYTES,
        b"a=1&" * 600 + b"a=1",
    ],
    ids=lambda body: repr(body[:12]),
)
def test_what_a_page_could_not_show_again(body: bytes) -> None:
    assert read(body) is None


@pytest.mark.parametrize(
    "body",
    [
        parts(named(b"f", b"data", b'; filename="x.txt"\r\nContent-Type: text/plain')),
        parts(named(b"f", b"data", b'; filename=""')),
        parts(named(b"f", b"\xff")),
        parts(named(b"f", b"x", b"\r\nContent-Transfer-Encoding: base64")),
        parts(b"Content-Disposition: attachment\r\n\r\nx"),
        parts(b"no head"),
        parts(named(b"f", b"x"), end=b""),
        b"preamble\r\n" + parts(named(b"f", b"x")),
        parts(named(b"f", b"x"), end=b"--\r\nepilogue"),
        b"",
        parts(*(named(b"f", b"x") for _ in range(MOST_FIELDS + 1))),
    ],
)
def test_multipart_that_cannot_be_kept(body: bytes) -> None:
    assert read(body, MULTIPART) is None


@given(st.binary(max_size=200))
def test_any_bytes_are_a_form_or_none(body: bytes) -> None:
    for kind in (URLENCODED, MULTIPART):
        post = read(body, kind)
        assert post is None or all(field.name for field in post.fields)


@given(st.binary(max_size=60).map(lambda middle: parts(named(b"a", middle))))
def test_any_content_is_kept_whole_or_not_at_all(body: bytes) -> None:
    post = read(body, MULTIPART)
    if post is not None and len(post.fields) == 1:
        assert parts(named(b"a", (post.fields[0].value or "").encode())) == body


@pytest.mark.parametrize(
    ("change", "method", "kept"),
    [
        ({}, "POST", True),
        ({"content-type": MULTIPART}, "POST", True),
        ({"content-type": URLENCODED + "; charset=UTF-8"}, "POST", True),
        ({"origin": "null"}, "POST", True),  # from a page without a referrer
        ({}, "PUT", False),
        ({"sec-fetch-site": "cross-site", "origin": "https://evil.example"}, "POST", False),
        ({"sec-fetch-site": "same-site", "origin": "https://evil.example.com"}, "POST", False),
        ({"sec-fetch-site": "none", "origin": "https://evil.example"}, "POST", False),
        ({"sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}, "POST", False),
        ({"sec-fetch-dest": "iframe"}, "POST", False),
        ({"content-type": "text/plain"}, "POST", False),
        ({"content-type": "application/json"}, "POST", False),
        ({"content-type": URLENCODED + "; charset=koi8-r"}, "POST", False),
        ({"content-encoding": "gzip"}, "POST", False),
    ],
)
def test_only_forms_of_our_own_pages(change: dict[str, str], method: str, kept: bool) -> None:
    assert may_be_kept(head(SENT | change, method=method), OURS) is kept


def test_without_fetch_metadata_the_origin_must_be_ours() -> None:
    plain = HTML | {"content-type": URLENCODED}
    assert may_be_kept(head(plain | {"origin": "https://app.example.com"}, method="POST"), OURS)
    for origin in ({}, {"origin": "null"}, {"origin": "https://evil.example"}):
        assert not may_be_kept(head(plain | origin, method="POST"), OURS)


def test_it_belongs_to_one_browser() -> None:
    post = read(b"a=1")
    assert post is not None
    assert post.belongs_to(BINDING)
    assert post.belongs_to(BINDING.forget())
    assert not post.belongs_to(new_binding())
