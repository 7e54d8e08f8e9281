from typing import Any

import pytest

from gateway.core.addresses import Translation
from gateway.core.path import canonicalise
from gateway.core.response import build_field

BELOW = {
    "prefix": "/office",
    "own_hosts": frozenset({"127.0.0.1:3000", "app.internal"}),
    "own_origin": "",
    "pages": "/oauth2",
}
BY_ANOTHER_HOST = BELOW | {"prefix": "", "own_origin": "http://127.0.0.1:3000"}
PUBLIC = ("https", "app.example")


def translate(name: bytes, value: bytes, how: dict[str, Any]) -> bytes:
    (field,) = Translation(**how).translate_answer([build_field(name, value)], *PUBLIC)
    assert field.name == name
    assert field.line == name + b": " + field.value + b"\r\n"
    return field.value


@pytest.mark.parametrize("name", [b"location", b"content-location"])
@pytest.mark.parametrize(
    ("value", "below", "by_another_host"),
    [
        (b"/", b"/office/", b"/"),
        (b"/login?next=/x#y", b"/office/login?next=/x#y", b"/login?next=/x#y"),
        (b"http://127.0.0.1:3000/login", b"https://app.example/office/login", b"https://app.example/login"),
        (b"http://127.0.0.1:3000", b"https://app.example/office/", b"https://app.example/"),
        (b"http://APP.internal:80?x", b"https://app.example/office/?x", b"https://app.example/?x"),
        (b"https://app.internal:443//evil/", b"https://app.example/office//evil/", b"https://app.example//evil/"),
        (b"//127.0.0.1:3000/x", b"https://app.example/office/x", b"https://app.example/x"),
        # below a prefix the app is asked by the browser's name, else that is another's
        (b"http://app.example/login", b"https://app.example/office/login", b"http://app.example/login"),
        # pages of the gateway's own stand where they are
        (b"/oauth2/sign_out", b"/oauth2/sign_out", b"/oauth2/sign_out"),
        (b"/oauth2?x", b"/oauth2?x", b"/oauth2?x"),
        (b"/oauth2x", b"/office/oauth2x", b"/oauth2x"),
        (b"https://app.example/oauth2/start?rd=/", b"https://app.example/oauth2/start?rd=/", None),
        # not plainly the app's own
        *(
            (value, value, value)
            for value in (
                b"login",
                b"../x",
                b"?x",
                b"#x",
                b"",
                b"https://elsewhere.example/x",
                b"//elsewhere.example/x",
                b"/\\elsewhere.example/x",
                b"http://127.0.0.1:3000@elsewhere.example/",
                b"http://127.0.0.1:3000.elsewhere.example/",
                b"http://127.0.0.1:3000\\@elsewhere.example/",
                b"http:/x",
                b"javascript:alert(1)",
                b"capacitor://127.0.0.1:3000/x",
                b"http://127.0.0.1:3001/",
            )
        ),
    ],
)
def test_addresses_of_an_answer(name: bytes, value: bytes, below: bytes, by_another_host: bytes | None) -> None:
    assert translate(name, value, BELOW) == below
    assert translate(name, value, BY_ANOTHER_HOST) == (value if by_another_host is None else by_another_host)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"0; url=/x", b"0; url=/office/x"),
        (b'5;URL="/x"', b'5;URL="/office/x"'),
        (b"1.5, url = http://127.0.0.1:3000/x", b"1.5, url = https://app.example/office/x"),
        (b"5", b"5"),
        (b"5; /x", b"5; /x"),
        (b"0; url=https://elsewhere.example/", b"0; url=https://elsewhere.example/"),
    ],
)
def test_a_refresh(value: bytes, expected: bytes) -> None:
    assert translate(b"refresh", value, BELOW) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"a=/b; Path=/", b"a=/b; Path=/office"),
        (b"a=b; path=/x/; HttpOnly", b"a=b; path=/office/x/; HttpOnly"),
        (b"a=b;Path = / ; Secure", b"a=b;Path = /office; Secure"),
        (b"a=b", b"a=b"),
        (b"a=b; Path=", b"a=b; Path="),
        (b"__Host-a=b; Path=/; Secure", b"__Host-a=b; Path=/; Secure"),  # browsers take no other path for it
        (b"a=b; Path=/; Path=/y", b"a=b; Path=/office; Path=/office/y"),
    ],
)
def test_the_paths_of_cookies(value: bytes, expected: bytes) -> None:
    assert translate(b"set-cookie", value, BELOW) == expected
    assert translate(b"set-cookie", value, BY_ANOTHER_HOST) == value


def test_nothing_else_is_translated() -> None:
    assert translate(b"x-location", b"/x", BELOW) == b"/x"
    assert translate(b"link", b"</x>; rel=next", BELOW) == b"</x>; rel=next"


@pytest.mark.parametrize(
    ("how", "value", "expected"),
    [
        (BELOW, b"/office/a%20b?c", b"/a%20b?c"),
        (BELOW, b"http://app.example/office/b", b"http://app.example/b"),
        (BELOW, b"/office", b"/"),
        (BY_ANOTHER_HOST, b"https://app.example/b", b"http://127.0.0.1:3000/b"),
        (BY_ANOTHER_HOST, b"/b", b"/b"),
    ],
)
def test_a_destination_as_the_app_knows_it(how: dict[str, Any], value: bytes, expected: bytes) -> None:
    path = canonicalise(
        value.removeprefix(b"http://app.example").removeprefix(b"https://app.example").partition(b"?")[0]
    )
    aimed = path.without(how["prefix"])
    assert Translation(**how).translate_destination(value, "app.example", aimed) == expected
