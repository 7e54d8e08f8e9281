import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.tiktok import (
    Profile,
    build_authorization_url,
    build_fields,
    read_oauth_error,
    read_scopes,
    read_token_reply,
    read_user_info,
)
from gateway.errors import (
    AccessTokenDead,
    GrantDead,
    ProviderError,
    ProviderMisconfigured,
    ProviderUnavailable,
    ScopeMissing,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
REPLY = {
    "access_token": "act.a*b!",
    "expires_in": 7200,
    "open_id": "-000open",
    "refresh_token": "rft.x",
    "refresh_expires_in": 15552000,
    "scope": "user.info.profile,user.info.basic",
    "token_type": "Bearer",
}


def authorization_url(**changes: object) -> str:
    arguments: dict[str, object] = {
        "client_key": "key",
        "redirect_uri": "https://app.example/oauth2/callback",
        "scopes": ("user.info.basic", "video.list"),
        "state": "s" * 43,
        "code_challenge": "abc",
        "always_ask": False,
    }
    return build_authorization_url("https://www.tiktok.com/v2/auth/authorize/", **(arguments | changes))  # type: ignore[arg-type]


def test_authorization_url_speaks_tiktoks_dialect() -> None:
    query = parse_qs(urlsplit(authorization_url()).query)
    assert query == {
        "client_key": ["key"],
        "scope": ["user.info.basic,video.list"],
        "response_type": ["code"],
        "redirect_uri": ["https://app.example/oauth2/callback"],
        "state": ["s" * 43],
        "code_challenge": ["abc"],
        "code_challenge_method": ["S256"],
    }


def test_authorization_url_without_pkce_and_with_always_ask() -> None:
    query = parse_qs(urlsplit(authorization_url(code_challenge=None, always_ask=True)).query)
    assert "code_challenge" not in query
    assert "code_challenge_method" not in query
    assert query["disable_auto_auth"] == ["1"]


def test_scopes_are_a_set() -> None:
    assert read_scopes("b, a,,b") == ("a", "b")


def test_token_reply_is_read_with_its_own_lifetimes() -> None:
    tokens = read_token_reply(REPLY, asked=(), now=NOW)
    assert tokens.open_id == "-000open"
    assert tokens.access_token == "act.a*b!"
    assert tokens.scopes == ("user.info.basic", "user.info.profile")
    assert tokens.access_expires_at == NOW + timedelta(hours=2)
    assert tokens.refresh_expires_at == NOW + timedelta(days=180)


def test_scopes_asked_stand_in_when_the_reply_names_none() -> None:
    reply = {name: value for name, value in REPLY.items() if name != "scope"}
    assert read_token_reply(reply, asked=("b", "a"), now=NOW).scopes == ("a", "b")


def test_an_empty_scope_list_is_the_truth() -> None:
    assert read_token_reply(REPLY | {"scope": ","}, asked=("a",), now=NOW).scopes == ()


def test_without_refresh_token_the_grant_ends_with_the_access_token() -> None:
    reply = {name: value for name, value in REPLY.items() if not name.startswith("refresh")}
    tokens = read_token_reply(reply, asked=(), now=NOW)
    assert tokens.refresh_token == ""
    assert tokens.refresh_expires_at == tokens.access_expires_at


@pytest.mark.parametrize("missing", ["access_token", "open_id", "expires_in"])
def test_a_reply_that_lacks_something_is_a_passing_fault(missing: str) -> None:
    with pytest.raises(ProviderUnavailable, match=missing):
        read_token_reply({**REPLY, missing: None}, asked=(), now=NOW)


@pytest.mark.parametrize("lifetime", [0, -5, True, "7200", 10**12, None])
def test_a_lifetime_must_be_a_sensible_number(lifetime: object) -> None:
    with pytest.raises(ProviderUnavailable, match="expires_in"):
        read_token_reply({**REPLY, "expires_in": lifetime}, asked=(), now=NOW)


@pytest.mark.parametrize("reply", [None, [], "x", 5])
def test_what_is_not_an_object_is_a_passing_fault(reply: object) -> None:
    with pytest.raises(ProviderUnavailable):
        read_token_reply(reply, asked=(), now=NOW)


def test_an_error_wins_over_tokens_beside_it() -> None:
    with pytest.raises(GrantDead):
        read_token_reply(REPLY | {"error": "invalid_grant"}, asked=(), now=NOW)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("invalid_grant", GrantDead),
        ("invalid_client", ProviderMisconfigured),
        ("unauthorized_client", ProviderMisconfigured),
        ("invalid_request", ProviderMisconfigured),
        ("invalid_scope", ProviderMisconfigured),
        ("unsupported_grant_type", ProviderMisconfigured),
        ("server_error", ProviderUnavailable),
        ("temporarily_unavailable", ProviderUnavailable),
        ("something_new", ProviderUnavailable),
    ],
)
def test_oauth_errors_by_class(error: str, kind: type[ProviderError]) -> None:
    found = read_oauth_error(error, "a description", log_id="2026LOG")
    assert type(found) is kind
    assert found.log_id == "2026LOG"
    assert "2026LOG" in str(found)


def test_fields_follow_the_granted_scopes() -> None:
    assert build_fields(["user.info.basic"]) == "open_id,union_id,avatar_url,display_name"
    assert build_fields(["video.list", "user.info.profile"]) == "username,is_verified"
    assert build_fields(["video.list"]) == ""
    assert build_fields(["user.info.stats"]) == "follower_count,following_count,likes_count,video_count"


def user_info(user: object, code: str = "ok") -> bytes:
    return json.dumps({"data": {"user": user}, "error": {"code": code, "message": "", "log_id": "L"}}).encode()


def test_user_info_without_an_id_is_whose_token_it_is_if_that_was_not_asked() -> None:
    assert read_user_info(200, user_info({"username": "ada"}), open_id="-x").open_id == "-x"
    with pytest.raises(ProviderUnavailable):
        read_user_info(200, user_info({"username": "ada"}))


def test_user_info_with_missing_fields() -> None:
    profile = read_user_info(200, user_info({"open_id": "-x", "display_name": "李 🦊", "union_id": ""}))
    assert profile == Profile(open_id="-x", display_name="李 🦊")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("access_token_invalid", AccessTokenDead),
        ("scope_not_authorized", ScopeMissing),
        ("scope_permission_missed", ProviderMisconfigured),
        ("invalid_params", ProviderMisconfigured),
        ("rate_limit_exceeded", ProviderUnavailable),
        ("internal_error", ProviderUnavailable),
    ],
)
def test_api_errors_by_class(code: str, kind: type[ProviderError]) -> None:
    with pytest.raises(kind):
        read_user_info(401, user_info({}, code))


@given(
    st.one_of(
        st.binary(max_size=200),
        st.recursive(st.none() | st.text(), st.lists).map(lambda v: json.dumps(v).encode()),
    )
)
def test_user_info_never_raises_anything_else(body: bytes) -> None:
    with pytest.raises(ProviderError):
        read_user_info(200, body)


def test_tokens_do_not_show_in_repr() -> None:
    assert "act." not in repr(read_token_reply(REPLY, asked=(), now=NOW))
