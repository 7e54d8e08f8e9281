from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from gateway.core.grant import Grant, build_grant_key, build_index_key
from gateway.core.tiktok import Profile, TokenSet

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def grant(lifetime: timedelta = timedelta(hours=2), refresh_token: str = "rft.x") -> Grant:
    tokens = TokenSet(
        open_id="-o",
        access_token="act.x",
        refresh_token=refresh_token,
        scopes=(),
        obtained_at=NOW,
        access_expires_at=NOW + lifetime,
        refresh_expires_at=NOW + timedelta(days=180),
    )
    return Grant(tokens=tokens, profile=Profile(open_id="-o"), profile_read_at=NOW)


@pytest.mark.parametrize("lifetime", [timedelta(seconds=5), timedelta(hours=2), timedelta(days=1)])
def test_margins_are_fractions_of_the_lifetime(lifetime: timedelta) -> None:
    found = grant(lifetime)
    assert not found.is_refresh_due(NOW + lifetime * 0.79)
    assert found.is_refresh_due(NOW + lifetime * 0.81)
    assert found.is_usable(NOW + lifetime * 0.97)
    assert not found.is_usable(NOW + lifetime)


def test_a_token_about_to_expire_is_not_usable() -> None:
    assert not grant(timedelta(seconds=100)).is_usable(NOW + timedelta(seconds=99))
    assert grant(timedelta(days=1)).is_usable(NOW + timedelta(days=1, seconds=-31))
    assert not grant(timedelta(days=1)).is_usable(NOW + timedelta(days=1, seconds=-29))


def test_without_a_live_refresh_token_nothing_is_due() -> None:
    assert not grant(refresh_token="").is_refresh_due(NOW + timedelta(hours=3))
    assert not grant().is_refresh_due(NOW + timedelta(days=181))


def test_keys_tell_people_and_apps_apart_and_name_neither() -> None:
    keys = {
        build_grant_key("k", "-o"),
        build_grant_key("k", "-O"),
        build_grant_key("k-", "o"),
        build_index_key("k", "-o"),
    }
    assert len(keys) == 4
    assert not any("-o" in key.removeprefix("sessions-of") for key in keys)


def test_before_it_is_settled_no_longer_nothing_is_to_be_done() -> None:
    for found in (grant(), grant(refresh_token="")):
        last = found.settled_until() - timedelta(seconds=1)
        assert found.is_usable(last)
        assert not found.is_refresh_due(last)
    assert grant().is_refresh_due(grant().settled_until())
    bare = grant(refresh_token="")
    assert not bare.is_usable(bare.settled_until())


def with_scopes(*scopes: str, token: str = "act.x", refresh_token: str = "rft.x") -> Grant:
    found = grant(refresh_token=refresh_token)
    tokens = msgspec.structs.replace(found.tokens, scopes=scopes, access_token=token)
    return msgspec.structs.replace(found, tokens=tokens)


def test_what_was_not_asked_for_this_time_is_still_given() -> None:
    before = with_scopes("basic", "list")
    after = with_scopes("basic").follow(before, asked=["basic"])
    assert after.tokens.scopes == ("basic",)
    assert after.all_scopes == {"basic", "list"}
    # and through any number of further sign-ins
    assert with_scopes("basic").follow(after, asked=["basic"]).all_scopes == {"basic", "list"}


def test_what_was_asked_for_and_not_given_is_taken_back() -> None:
    before = with_scopes("basic", "profile", "list")
    assert with_scopes("basic").follow(before, asked=["basic", "profile", "list"]).all_scopes == {"basic"}
    assert with_scopes("basic").follow(before, asked=["basic", "profile"]).all_scopes == {"basic", "list"}
    assert with_scopes("basic").follow(before, asked=["basic"]).give_up().all_scopes == {"basic"}
    assert with_scopes("basic").follow(None, asked=["basic", "list"]).all_scopes == {"basic"}


def test_earlier_tokens_stay_if_they_have_just_what_is_given() -> None:
    before = with_scopes("basic", "list", token="act.before")
    after = with_scopes("basic").follow(before, asked=["basic"]).reach(before)
    assert (after.tokens, after.spare) == (before.tokens, with_scopes("basic").tokens)
    assert after.with_tokens(before.tokens).spare is None  # they were renewed, so they live


@pytest.mark.parametrize(
    ("before", "new", "asked"),
    [
        (with_scopes("basic", "profile", "list"), with_scopes("basic"), ["basic", "profile"]),  # more than is given
        (with_scopes("basic", "list"), with_scopes("basic", "stats"), ["basic", "stats"]),  # less
        (with_scopes("basic", "list"), with_scopes("basic", "list"), ["basic"]),  # the new ones have all of it
        (with_scopes("basic", "list", refresh_token=""), with_scopes("basic"), ["basic"]),
        (with_scopes("basic", "list").without_refresh(), with_scopes("basic"), ["basic"]),
    ],
)
def test_else_the_new_tokens_serve(before: Grant, new: Grant, asked: list[str]) -> None:
    after = new.follow(before, asked).reach(before)
    assert (after.tokens, after.spare) == (new.tokens, None)


def test_tokens_in_hand_are_shown_nowhere() -> None:
    before = with_scopes("basic", "list", token="act.before")
    assert "act." not in repr(with_scopes("basic").follow(before, ["basic"]).reach(before))
