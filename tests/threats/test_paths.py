"""Paths: one form is judged and forwarded, and no spelling of a path opens more than another."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from gateway.simulator import RunningSimulator
from tests.harness import WAYS
from tests.talk import HOST, compose
from tests.threats.guarded import Guarded, guard_upstream

TWO_READINGS = [
    b"%2f",
    b"%2F",
    b"%5c",
    b"%5C",
    b"\\",
    b"%00",
    b"%0a",
    b"%0d%0a",
    b"%09",
    b"%1f",
    b"%7f",
    b"%c2%85",  # a control character beyond ASCII
    b"%",
    b"%4",
    b"%zz",
    b"%u002f",
    b"%%36",
    b"%ff",
    b"%80",
    b"%c3",
    b"%c0%af",  # overlong slash
    b"%c0%ae%c0%ae",  # overlong dots
    b"%e0%80%af",
    b"%f0%80%80%af",
    b"%c1%81",
    b"%ed%a0%80",  # half of a surrogate pair
    b"%f4%90%80%80",  # beyond Unicode
    b"\xc3\xa9",
]
DOTS = [b"..;", b"..;a=b", b".;", b"%2e%2e;", b".%2e%3b", b"..%3Bx"]


@pytest.mark.parametrize("segment", [*TWO_READINGS, *DOTS])
def test_a_path_with_two_readings_is_refused(guarded: Guarded, segment: bytes) -> None:
    for target in (b"/public/%b", b"/public/%b/x", b"/%b/../public/x", b"/public/x/../%b"):
        guarded.refuses(compose(target.replace(b"%b", segment)), 400)


@pytest.mark.parametrize("segment", TWO_READINGS)
def test_a_segment_that_holds_something_with_two_readings_is_refused(guarded: Guarded, segment: bytes) -> None:
    for target in (b"/public/a%b", b"/public/a%bx", b"/public/a%b/.."):
        guarded.refuses(compose(target.replace(b"%b", segment)), 400)


@pytest.mark.parametrize(
    "target", [b"/..", b"/../public/x", b"/public/../../public/x", b"/%2e%2e/public/x", b"/.//../x"]
)
def test_a_path_that_leads_above_the_root_is_refused(guarded: Guarded, target: bytes) -> None:
    guarded.refuses(compose(target), 400)


@pytest.mark.parametrize("target", [b"/public/x#y", b"/public/x?a#b", b"#/public/x", b"/public/#/../private/x"])
def test_a_fragment_is_refused(proxied: Guarded, target: bytes) -> None:
    proxied.refuses(compose(target), 400)


@pytest.mark.parametrize("target", [b"/public/x#y", b"/public/x?a#b", b"/private/x#/../../public/x"])
def test_a_fragment_that_a_foreign_server_cuts_off_decides_nothing(inside: Guarded, target: bytes) -> None:
    seen = inside.forwarded_if_at_all(compose(target), 400, 401)
    assert seen is None or seen.target in {b"/public/x", b"/public/x?a"}


@pytest.mark.parametrize(
    ("sent", "forwarded"),
    [
        (b"/public", b"/public"),
        (b"/public/", b"/public/"),
        (b"/public//", b"/public/"),
        (b"//public/x", b"/public/x"),
        (b"///public///a////b", b"/public/a/b"),
        (b"/public/./x", b"/public/x"),
        (b"/public/a/../x", b"/public/x"),
        (b"/public/a/b/../../x/.", b"/public/x/"),
        (b"/private/../public/x", b"/public/x"),
        (b"/private/%2e%2e/public/x", b"/public/x"),
        (b"/private/%2E./public/x", b"/public/x"),
        (b"/private/..//public/x", b"/public/x"),
        (b"/public/%2e/x", b"/public/x"),
        (b"/%70ublic/%7E", b"/public/~"),
        (b"/public/%e2%82%ac", b"/public/%E2%82%AC"),
        (b"/public/%25", b"/public/%25"),
        (b"/public/a+b", b"/public/a+b"),
        (b"/public/a;b=c", b"/public/a;b=c"),
        (b"/public/%20x", b"/public/%20x"),
        (b"/public/!$&'()*+,=:@", b"/public/!$&'()*+,=:@"),
        (b"/public/...", b"/public/..."),
        (b"/public/..x", b"/public/..x"),
        (b"/public/.x/", b"/public/.x/"),
        (b"/public/%2541", b"/public/%2541"),
    ],
)
def test_the_upstream_gets_the_form_that_was_judged(guarded: Guarded, sent: bytes, forwarded: bytes) -> None:
    assert guarded.forwarded(compose(sent)).target == forwarded


SPELLINGS = [
    b"/%b/x",
    b"/%b/x/",
    b"/%b/x//",
    b"//%b/x",
    b"/%b//x",
    b"/./%b/x",
    b"/public/../%b/x",
    b"/public/%2e%2e/%b/x",
    b"/public/..//%b/x",
    b"/public/%252e%252e/%b/x",
    b"/public/%25252e%25252e/%b/x",
    b"/public/..%252f%b/x",
    b"/public/x%252f..%252f..%252f%b/x",
    b"/public/..%255c%b/x",
    b"/%b;x/x",
    b"/%b;/x",
    b"/;x/%b/x",
    b"/%b/x;a=b",
    b"/%b/%78",
    b"/%b%3Bx/x",
    b"/%b%253Bx/x",
    b"/%b%3Fx",
    b"/%b%23x",
    b"/%b%253Fx",
    b"/%b/x?y=/public/x",
    b"/%b/x?/../public/x",
    b"/%b/x?a=/../../public",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("word", [b"private", b"denied"])
def test_no_spelling_of_a_closed_path_is_open(guarded: Guarded, spelling: bytes, word: bytes) -> None:
    first, rest = word[:1], word[1:]
    for spelled in (word, word.upper(), word.title(), b"%%%02x" % first[0] + rest, b"%%25%02x" % first[0] + rest):
        statuses = (400, 401, 403) if word == b"private" else (400, 403)
        guarded.refuses(compose(spelling.replace(b"%b", spelled)), *statuses)


OPEN_BUT_FOR = "[{path: /denied/**, access: deny}, {path: /private/**}, {path: /**, access: public}]"


@pytest.fixture(scope="module", params=WAYS)
def open_but_for(request: pytest.FixtureRequest, simulator: RunningSimulator) -> Generator[Guarded]:
    """A gateway that closes two places and lets everybody go anywhere else."""
    with guard_upstream(simulator, request.param, routes=OPEN_BUT_FOR) as guarded:
        yield guarded


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("word", [b"private", b"denied"])
def test_a_closed_place_is_closed_in_every_spelling_though_all_around_it_is_open(
    open_but_for: Guarded, spelling: bytes, word: bytes
) -> None:
    first, rest = word[:1], word[1:]
    odd = (word.upper(), word.title(), first.upper() + rest, b"%%%02x" % first[0] + rest, b"%%25%02x" % first[0] + rest)
    for spelled in (word, *odd):
        open_but_for.refuses(compose(spelling.replace(b"%b", spelled)), 400, 401, 403)


@pytest.mark.parametrize("target", [b"/DENIED", b"/denied/", b"/denied;x", b"/denied;x/", b"/Denied%3Bx", b"/d%45nied"])
def test_a_closed_place_is_closed_by_itself_too(open_but_for: Guarded, target: bytes) -> None:
    open_but_for.refuses(compose(target), 403)
    open_but_for.refuses(compose(target, method=b"POST"), 403)


@pytest.mark.parametrize(
    "target", [b"/PUBLIC/x", b"/Public/x", b"/public%3Bx", b"/pub%6cic%252fx", b"/publicx", b"/public;x"]
)
def test_what_only_resembles_an_open_path_is_not_open_or_forwarded_as_it_is(guarded: Guarded, target: bytes) -> None:
    guarded.refuses(compose(target), 400, 401, 403)


QUERIES = [
    b"?u=https://x//y/../z",
    b"?p=%2f%2e%2e%00%ff",
    b"?a=b&&c=&=d&e",
    b"?",
    b"??",
    b"?a=b?c=d",
    b"?/../private",
    b"?a;b",
    b"?%",
    b"?'\"<>{}|\\^`[]",
    b"?rd=https://evil.example/",
]


@pytest.mark.parametrize("query", QUERIES)
def test_the_query_arrives_byte_for_byte(proxied: Guarded, query: bytes) -> None:
    assert proxied.forwarded(compose(b"/public//x" + query)).target == b"/public/x" + query


@pytest.mark.parametrize("query", QUERIES)
def test_the_query_decides_nothing(guarded: Guarded, query: bytes) -> None:
    guarded.refuses(compose(b"/denied/x" + query), 403)
    guarded.refuses(compose(b"/private/x" + query), 401)


@pytest.mark.parametrize(
    "field",
    [
        b"X-Forwarded-Uri: /public/x",
        b"X-Forwarded-Path: /public/x",
        b"X-Forwarded-Prefix: /public",
        b"X-Forwarded-Method: OPTIONS",
        b"X-Original-URL: /public/x",
        b"X-Original-URI: /public/x",
        b"X-Original-Method: OPTIONS",
        b"X-Rewrite-URL: /public/x",
        b"X-HTTP-Method-Override: GET",
        b"X-HTTP-Method: GET",
        b"X-Method-Override: GET",
        b"Referer: http://app.example/public/x",
        b"Origin: http://app.example",
        b"User-Agent: kube-probe/1.30",
        b"User-Agent: GoogleHC/1.0",
        b"User-Agent: ELB-HealthChecker/2.0",
        b"X-Forwarded-For: 127.0.0.1",
        b"Sec-Fetch-Site: same-origin",
    ],
)
def test_no_header_decides_what_is_open(guarded: Guarded, field: bytes) -> None:
    fields = HOST + field + b"\r\n"
    guarded.refuses(compose(b"/denied/x", fields), 403)
    guarded.refuses(compose(b"/private/x", fields), 401)
    guarded.refuses(compose(b"/only-get/x", fields, method=b"POST"), 403)
    guarded.refuses(compose(b"/only-get/x", fields, method=b"get"), 400, 401, 403)


def test_what_fronts_say_of_the_address_is_not_handed_on(guarded: Guarded) -> None:
    names = (
        b"X-Original-URL",
        b"X-Original-URI",
        b"X-Rewrite-URL",
        b"X-Forwarded-Uri",
        b"X_Original.URL",
        b"x-url-scheme",
    )
    seen = guarded.forwarded(compose(fields=HOST + b"".join(name + b": /denied/evil\r\n" for name in names)))
    assert not [value for _, value in seen.fields if b"evil" in value]


@pytest.mark.parametrize("name", [b"SCRIPT_NAME", b"Script-Name", b"script.name", b"Daphne-Root-Path", b"PATH_INFO"])
def test_no_client_has_the_apps_server_cut_the_path(guarded: Guarded, name: bytes) -> None:
    """gunicorn, asked by its own machine, would call the app of /public/admin with /admin; daphne by anybody."""
    for method in (b"GET", b"POST"):
        seen = guarded.forwarded(compose(b"/public/admin", HOST + name + b": /public\r\n", method=method))
        assert not [field for field in seen.fields if field[1] == b"/public"]
