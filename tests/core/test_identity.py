from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import unquote

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.fields import normalised
from gateway.core.identity import FIELDS, MAX_NAME, MAX_URL, PRESETS, Identity, IdentityHeaders
from gateway.errors import SettingsError

EVERY_FIELD = {f"X-{field}": f"<{{{field}}}>" for field in FIELDS}


def person(**changes: object) -> Identity:
    identity = Identity(
        open_id="-000abc",
        union_id="u-1",
        username="ada.l",
        display_name="Ada 🌻 李",
        avatar_url="https://p16.example/a.jpeg?x-expires=1&y=%2F",
        scopes=("user.info.basic", "video.list"),
        access_token="act.secret!1",
        token_expires_at=datetime(2026, 11, 24, 11, 6, 52, 999_999, UTC),
        session_id="s_1",
        signed_in_at=datetime(2026, 11, 24, 10, 0, tzinfo=timezone(timedelta(hours=1))),
    )
    return msgspec.structs.replace(identity, **changes)


def build(preset: str, identity: Identity | None = None, *, forward_auth: bool = False) -> dict[str, str]:
    headers = IdentityHeaders([preset], {})
    built = (headers.build_forward_auth if forward_auth else headers.build)(identity or person())
    return {name.decode(): value.decode() for name, value in built}


NAME = "Ada%20%F0%9F%8C%BB%20%E6%9D%8E"


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        (
            "tiktok",
            {
                "x-tiktok-open-id": "-000abc",
                "x-tiktok-union-id": "u-1",
                "x-tiktok-username": "ada.l",
                "x-tiktok-display-name": NAME,
                "x-tiktok-avatar-url": "https://p16.example/a.jpeg?x-expires=1&y=%2F",
                "x-tiktok-scopes": "user.info.basic,video.list",
                "x-tiktok-access-token": "act.secret!1",
                "x-tiktok-token-expires-at": "2026-11-24T11:06:52Z",
            },
        ),
        (
            "oauth2-proxy",
            {
                "x-forwarded-user": "-000abc",
                "x-forwarded-preferred-username": "ada.l",
                "x-forwarded-access-token": "act.secret!1",
            },
        ),
        ("remote-user", {"remote-user": "-000abc", "remote-name": NAME}),
        ("grafana", {"x-webauth-user": "-000abc", "x-webauth-name": NAME}),
        ("bearer", {"authorization": "Bearer act.secret!1"}),
    ],
)
def test_presets(preset: str, expected: dict[str, str]) -> None:
    assert build(preset) == expected
    if preset != "oauth2-proxy":
        assert build(preset, forward_auth=True) == expected


def test_oauth2_proxy_has_other_names_in_forward_auth() -> None:
    assert build("oauth2-proxy", forward_auth=True) == {
        "x-auth-request-user": "-000abc",
        "x-auth-request-preferred-username": "ada.l",
        "x-auth-request-access-token": "act.secret!1",
    }


@pytest.mark.parametrize("nothing", [None, ""])
def test_a_missing_field_means_no_header(nothing: str | None) -> None:
    missing = person(union_id=nothing, username=nothing, display_name=nothing, avatar_url=nothing, scopes=())
    assert set(build("tiktok", missing)) == {
        "x-tiktok-open-id",
        "x-tiktok-access-token",
        "x-tiktok-token-expires-at",
    }
    headers = IdentityHeaders([], {"X-Both": "{open_id}/{username}"})
    assert headers.build(missing) == ()


def test_own_templates() -> None:
    custom = {
        "X-Who": "tiktok:{open_id}",
        "X-All": "{session_id} {signed_in_at}; {scopes}",
        "X-Fixed": "yes",
        "x_tiktok_username": "@{username}",
    }
    built = IdentityHeaders(["tiktok"], custom).build(person())
    told = dict(built)
    assert told[b"x-who"] == b"tiktok:-000abc"
    assert told[b"x-all"] == b"s_1 2026-11-24T09:00:00Z; user.info.basic,video.list"
    assert told[b"x-fixed"] == b"yes"
    assert told[b"x_tiktok_username"] == b"@ada.l"
    assert b"x-tiktok-username" not in told, "an own header replaces the preset's"


@pytest.mark.parametrize(
    ("name", "template", "message"),
    [
        ("X Name", "{open_id}", "no header name"),
        ("X-Näme", "{open_id}", "no header name"),
        ("", "{open_id}", "no header name"),
        ("Content_Length", "{open_id}", "needs this header itself"),
        ("Connection", "{open_id}", "needs this header itself"),
        ("Cookie", "{open_id}", "needs this header itself"),
        ("X-A", "{refresh_token}", r"\{refresh_token\} is no field; there are open_id, union_id"),
        ("X-A", "{open_id!r}", "is no field"),
        ("X-A", "{}", "is no field"),
        ("X-A", "a\nb", "visible ASCII"),
        ("X-A", "é{open_id}", "visible ASCII"),
        ("X-A", " {open_id}", "visible ASCII"),
        ("X-A", "", "visible ASCII"),
    ],
)
def test_what_cannot_be_sent_is_refused(name: str, template: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        IdentityHeaders([], {name: template})


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(SettingsError, match="'oauth2' is none of tiktok, oauth2-proxy"):
        IdentityHeaders(["oauth2"], {})


@pytest.mark.parametrize(
    "name",
    [
        "X-TikTok-Open-Id",
        "x_tiktok_open_id",
        "X.TikTok.Access_Token",
        "REMOTE_USER",
        "Remote-Groups",
        "X-Forwarded-User",
        "X-Forwarded-Email",
        "X-Forwarded-Groups",
        "X-Auth-Request-User",
        "X_Auth_Request_Email",
        "X-WEBAUTH-USER",
        "X-Webauth-Email",
        "X-Gateway-Assertion",
        "X-Who",
        "x_who",
    ],
)
@pytest.mark.parametrize("presets", [[], ["tiktok"], list(PRESETS)])
def test_all_names_are_reserved_in_every_spelling(name: str, presets: list[str]) -> None:
    reserved = IdentityHeaders(presets, {"X.Who": "{open_id}"}).reserved
    assert normalised(name.encode()) in reserved


def test_authorization_is_the_app_s_own_unless_the_bearer_preset_is_on() -> None:
    assert b"authorization" not in IdentityHeaders(["tiktok"], {}).reserved
    assert b"authorization" in IdentityHeaders(["bearer"], {}).reserved
    assert b"authorization" in IdentityHeaders([], {"Authorization": "Bearer {access_token}"}).reserved


def test_what_is_set_is_reserved() -> None:
    headers = IdentityHeaders(list(PRESETS), {"X.Who": "{open_id}"})
    built = headers.build(person()) + headers.build_forward_auth(person())
    assert {normalised(name) for name, _ in built} <= headers.reserved


@pytest.mark.parametrize("name", ["a\r\nX-Evil: 1", "a\0b", "a\tb", "100%", 'a,b;c="d"', "\u202eevil", "Ümit"])
def test_a_display_name_is_decoded_to_itself(name: str) -> None:
    for preset, header in (("tiktok", "x-tiktok-display-name"), ("remote-user", "remote-name")):
        assert unquote(build(preset, person(display_name=name))[header]) == name


def test_long_values_are_capped() -> None:
    told = build("tiktok", person(display_name="🌻" * 8000, username="ü" * 8000, avatar_url="h" * (MAX_URL + 1)))
    assert unquote(told["x-tiktok-display-name"]) == "🌻" * MAX_NAME
    assert unquote(told["x-tiktok-username"]) == "ü" * MAX_NAME
    assert "x-tiktok-avatar-url" not in told, "half an address is none"


def test_an_address_keeps_its_structure() -> None:
    told = build("tiktok", person(avatar_url="https://x.example/é a?b=%2F&c=d"))
    assert told["x-tiktok-avatar-url"] == "https://x.example/%C3%A9%20a?b=%2F&c=d"


def test_no_name_is_written_as_another_s_encoding() -> None:
    assert build("tiktok", person(username="%C3%A9")) != build("tiktok", person(username="é"))


def test_its_repr_names_no_token() -> None:
    assert "secret" not in repr(person()) + str(person())


ANY = st.text(st.characters(), max_size=600)
SOME = st.none() | ANY
PEOPLE = st.builds(
    person,
    open_id=ANY,
    union_id=SOME,
    username=SOME,
    display_name=SOME,
    avatar_url=SOME,
    scopes=st.lists(ANY, max_size=3).map(tuple),
    access_token=ANY,
    session_id=ANY,
    token_expires_at=st.datetimes(timezones=st.just(UTC)),
)


@given(PEOPLE)
@example(person(display_name="\ud800", open_id="\r\n", avatar_url="\ud800"))
def test_whatever_the_fields_a_header_is_one_line_of_visible_ascii(identity: Identity) -> None:
    headers = IdentityHeaders(list(PRESETS), EVERY_FIELD)
    for name, value in headers.build(identity) + headers.build_forward_auth(identity):
        assert name.islower()
        assert value
        assert all(0x21 <= byte <= 0x7E for byte in value.removeprefix(b"Bearer "))


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_display_name_comes_back(name: str) -> None:
    assert unquote(build("tiktok", person(display_name=name))["x-tiktok-display-name"]) == name[:MAX_NAME]


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1))
def test_an_open_id_is_never_touched(open_id: str) -> None:
    assert build("remote-user", person(open_id=open_id))["remote-user"] == open_id


def test_a_look_alike_is_any_spelling_but_the_usual_one() -> None:
    headers = IdentityHeaders(["tiktok"], {"X_Who": "{open_id}"})
    assert all(
        map(headers.is_look_alike, [b"x_tiktok_open_id", b"x.tiktok-open-id", b"remote_user", b"x-who", b"x.who"])
    )
    assert not any(map(headers.is_look_alike, [b"x-tiktok-open-id", b"x_who", b"x_tiktok", b"accept", b"remote-user"]))
