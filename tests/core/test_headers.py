import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.fields import Headers, normalised
from gateway.core.forwarded import TrustedProxies
from gateway.core.headers import in_process_headers, upstream_headers
from gateway.core.request import Limits, RequestHead, read_head
from gateway.core.response import client_headers

OWN = frozenset({b"gateway"})
RESERVED = frozenset({b"x-tiktok-open-id", b"x-forwarded-user"})


def head(*headers: tuple[bytes, bytes], peer: str | None = "10.0.0.1") -> RequestHead:
    return read_head(
        method="GET",
        scheme="https",
        target=b"/x",
        headers=[(b"Host", b"app.example"), *headers],
        peer=peer,
        trusted=TrustedProxies([]),
        limits=Limits(),
    )


def handed(*headers: tuple[bytes, bytes], set_headers: Headers = (), prefix: bytes = b"") -> dict[bytes, bytes]:
    fields = upstream_headers(
        head(*headers),
        set_headers=set_headers,
        remove_headers=RESERVED,
        own_cookies=OWN,
        request_id="id",
        host=b"app.example",
        stripped_prefix=prefix,
    )
    names = [name for name, _ in fields]
    assert len(names) == len(set(names))
    return dict(fields)


def test_what_the_upstream_gets() -> None:
    assert handed((b"Accept", b"*/*"), set_headers=((b"x-tiktok-open-id", b"me"),)) == {
        b"host": b"app.example",
        b"accept": b"*/*",
        b"x-forwarded-for": b"10.0.0.1",
        b"x-forwarded-host": b"app.example",
        b"x-forwarded-proto": b"https",
        b"forwarded": b'for=10.0.0.1;host="app.example";proto=https',
        b"x-request-id": b"id",
        b"x-tiktok-open-id": b"me",
    }


def test_the_prefix_that_was_taken_off_is_told_and_cannot_be_forged() -> None:
    forged = (b"X-Forwarded-Prefix", b"/evil")
    assert handed(forged, prefix=b"/api")[b"x-forwarded-prefix"] == b"/api"
    assert b"x-forwarded-prefix" not in handed(forged)


def test_ipv6_clients_are_quoted() -> None:
    fields = dict(
        upstream_headers(
            head(peer="2001:db8::1"),
            set_headers=(),
            remove_headers=frozenset(),
            own_cookies=OWN,
            request_id="id",
            host=b"app.example",
            stripped_prefix=b"",
        )
    )
    assert fields[b"forwarded"].startswith(b'for="[2001:db8::1]";')


def test_connection_cannot_take_ours_away() -> None:
    given = handed(
        (b"Connection", b"x-tiktok-open-id, cookie, x-mine, host, authorization"),
        (b"X-Mine", b"1"),
        (b"Cookie", b"a=1"),
        (b"Authorization", b"Basic x"),
        set_headers=((b"x-tiktok-open-id", b"me"),),
    )
    assert given[b"x-tiktok-open-id"] == b"me"
    assert given[b"cookie"] == b"a=1"
    assert given[b"authorization"] == b"Basic x"
    assert b"x-mine" not in given
    assert b"connection" not in given


@pytest.mark.parametrize(
    "name",
    [
        b"TE",
        b"Upgrade",
        b"Keep-Alive",
        b"Proxy-Authorization",
        b"Expect",
        b"X-Original-URL",
        b"X_Forwarded_For",
        b"X-Forwarded-Port",
        b"X.Real.IP",
        b"X-Rewrite-Url",
        b"HTTP2-Settings",
        b"Trailer",
    ],
)
def test_what_never_passes(name: bytes) -> None:
    assert b"evil" not in handed((name, b"evil")).values()


def test_traceparent_is_the_apps() -> None:
    assert handed((b"traceparent", b"00-a"))[b"traceparent"] == b"00-a"


def test_cookies_are_joined_without_ours() -> None:
    assert handed((b"Cookie", b"a=1; gateway=x"), (b"Cookie", b"b=2"))[b"cookie"] == b"a=1; b=2"
    assert b"cookie" not in handed((b"Cookie", b"gateway=x"))


spelling = st.lists(st.sampled_from([str.upper, str.lower]), min_size=16, max_size=16)


@given(spelling, st.lists(st.sampled_from("-_.!#$%&'*+^`|~"), min_size=3, max_size=3))
def test_reserved_names_go_in_every_spelling(cases: list[object], separators: list[str]) -> None:
    parts = ["x", "tiktok", "open", "id"]
    name = parts[0] + "".join(sep + part for sep, part in zip(separators, parts[1:], strict=True))
    spelled = "".join(case(char) for case, char in zip(cases, name, strict=True)).encode()  # type: ignore[operator]
    assert normalised(spelled) == b"x-tiktok-open-id"
    assert normalised(spelled) in RESERVED
    assert b"evil" not in handed((spelled, b"evil")).values()


def test_in_process_apps_get_the_framing_too() -> None:
    request = head((b"Transfer-Encoding", b"chunked"), (b"X-Tiktok-Open-Id", b"evil"))
    fields = dict(
        in_process_headers(request, set_headers=(), remove_headers=RESERVED, own_cookies=OWN, request_id="id")
    )
    assert fields[b"transfer-encoding"] == b"chunked"
    assert b"evil" not in fields.values()


def answer(*headers: tuple[bytes, bytes], identity_bearing: bool = False) -> list[tuple[bytes, bytes]]:
    return client_headers(headers, own_cookies=OWN, remove_headers=RESERVED, identity_bearing=identity_bearing)


def test_answers_lose_hop_by_hop_fields_and_identity() -> None:
    assert answer((b"Connection", b"x-a"), (b"X-A", b"1"), (b"X-TikTok-Open-Id", b"me"), (b"Content-Type", b"t")) == [
        (b"content-type", b"t")
    ]


def test_the_app_keeps_its_cookies_and_cannot_set_ours() -> None:
    given = answer(
        (b"Set-Cookie", b"a=1"),
        (b"Set-Cookie", b"gateway=x; Path=/"),
        (b"Set-Cookie", b" gateway =x"),
        (b"Set-Cookie", b"b=2"),
    )
    assert given == [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        (None, b"private"),
        (b"public, max-age=60", b"private, max-age=60"),
        (b"s-maxage=60", b"private"),
        (b"max-age=60, public, s-maxage=9", b"private, max-age=60"),
        (b"no-store", b"no-store"),
        (b"private, max-age=5", b"private, max-age=5"),
        (b"no-cache", b"private, no-cache"),
    ],
)
def test_answers_for_somebody_stay_private(said: bytes | None, sent: bytes) -> None:
    given = dict(answer(*(((b"cache-control", said),) if said else ()), identity_bearing=True))
    assert given[b"cache-control"] == sent
    assert (b"vary" in given) is (said != b"no-store")


def test_vary_is_added_once() -> None:
    given = answer((b"Vary", b"Accept, COOKIE"), identity_bearing=True)
    assert [value for name, value in given if name == b"vary"] == [b"Accept, COOKIE"]


def test_what_connection_names_stays_behind() -> None:
    given = answer((b"X-B", b"1"), (b"Connection", b"close, X-B"), (b"x-b", b"1"), (b"x-c", b"2"))
    assert given == [(b"x-c", b"2")]


@pytest.mark.parametrize("name", [b"X-Forwarded-Email", b"X_Forwarded.Client-Cert", b"Content_Length", b"Content.Type"])
def test_names_that_only_look_like_those_of_a_front_or_of_framing(name: bytes) -> None:
    assert b"evil" not in handed((name, b"evil")).values()


@pytest.mark.parametrize("name", [b"Transfer_Encoding", b"Proxy_Authorization", b"Keep.Alive"])
def test_hop_by_hop_fields_go_in_every_spelling(name: bytes) -> None:
    assert b"evil" not in handed((name, b"evil")).values()


def test_the_real_framing_reaches_the_app() -> None:
    assert handed((b"Content-Length", b"0"), (b"Content-Type", b"text/plain"))[b"content-type"] == b"text/plain"


def test_a_token_does_not_come_back_in_authorization() -> None:
    fields = ((b"Authorization", b"Bearer token"),)
    reserved = frozenset({b"authorization"})
    assert client_headers(fields, own_cookies=OWN, remove_headers=reserved, identity_bearing=True) == [
        (b"vary", b"Cookie"),
        (b"cache-control", b"private"),
    ]
    assert answer(*fields) == [(b"authorization", b"Bearer token")]  # without the bearer preset it is the app's own


@pytest.mark.parametrize(
    "cookie", [b"=gateway=x", b" = gateway=x", b"==gateway=x", b"\tgateway\t=x", b"gateway", b"gateway;Path=/"]
)
def test_cookies_that_browsers_send_back_as_ours(cookie: bytes) -> None:
    assert answer((b"Set-Cookie", cookie)) == []


@pytest.mark.parametrize("cookie", [b"Gateway=x", b"gatewayx=1", b"a=gateway=x", b"a=1; gateway=x", b"=", b""])
def test_cookies_that_only_resemble_ours(cookie: bytes) -> None:
    assert answer((b"Set-Cookie", cookie)) == [(b"set-cookie", cookie)]


@pytest.mark.parametrize(
    ("said", "sent"),
    [
        (b'private="set-cookie, x-a", max-age=60', b"private, max-age=60"),
        (b"public, private", b"private"),
        (b"private, S-MaxAge=60", b"private"),
        (b'no-cache="x-a, x-b", PUBLIC', b'private, no-cache="x-a, x-b"'),
        (b"Private, No-Store", b"private, No-Store"),
        (b"no-store, public", b"no-store"),
        (b",, ;", b"private, ;"),
        (b'max-age="60', b"private, max-age=, 60"),
        (b"", b"private"),
    ],
)
def test_half_private_answers_become_private(said: bytes, sent: bytes) -> None:
    assert dict(answer((b"cache-control", said), identity_bearing=True))[b"cache-control"] == sent


@given(
    st.lists(
        st.sampled_from([b"public", b"private", b"s-maxage=9", b"no-store", b"max-age=1", b'private="a"', b'"', b"="])
    )
)
def test_no_answer_for_somebody_may_be_shared(said: list[bytes]) -> None:
    given = dict(answer((b"cache-control", b", ".join(said)), identity_bearing=True))
    words = given[b"cache-control"].split(b", ")
    assert b"private" in words or b"no-store" in words
    assert not {b"public", b"s-maxage=9"} & set(words)
    assert b"no-store" in words or b'"' in b"".join(said) or b"no-store" not in said


@pytest.mark.parametrize(
    "name", [b"CDN-Cache-Control", b"Acme-CDN-Cache-Control", b"Surrogate-Control", b"X-Accel-Expires"]
)
def test_caches_are_not_told_otherwise(name: bytes) -> None:
    assert name.lower() not in dict(answer((name, b"max-age=60"), identity_bearing=True))
    assert name.lower() in dict(answer((name, b"max-age=60")))


def test_vary_on_everything_is_enough() -> None:
    assert [v for n, v in answer((b"Vary", b"*"), identity_bearing=True) if n == b"vary"] == [b"*"]
