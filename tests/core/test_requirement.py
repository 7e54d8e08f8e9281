"""What a route asks of a person: by hand, and that none of it is ever more permissive than it says."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.identity import Facts, Identity
from gateway.core.requirement import SCOPE_OF_FACT, AllowList, Names, Range, Requirement

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCOPES = ("user.info.basic", "user.info.profile", "user.info.stats")


def somebody(*, facts: Facts | None = None, scopes: tuple[str, ...] = SCOPES, **changes: str | None) -> Identity:
    person = Identity(
        open_id="-Ada",
        union_id="union",
        username="ada",
        display_name=None,
        avatar_url=None,
        scopes=scopes,
        access_token="t",
        token_expires_at=NOW,
        session_id="s",
        signed_in_at=NOW,
        facts=facts or Facts(),
    )
    return msgspec.structs.replace(person, **changes)


@pytest.mark.parametrize(
    ("names", "held"),
    [
        (Names(open_ids=frozenset({"-Ada"})), True),
        (Names(open_ids=frozenset({"-ada"})), False),
        (Names(open_ids=frozenset({"Ada"})), False),
        (Names(union_ids=frozenset({"union"})), True),
        (Names(usernames=frozenset({"ada"})), True),
        (Names(open_ids=frozenset({"ada", "union"}), union_ids=frozenset({"-Ada"})), False),
        (Names(), False),
    ],
)
def test_lists(names: Names, held: bool) -> None:
    assert Requirement(allow=AllowList(names)).admits(somebody()) is held
    assert Requirement(allow=AllowList(Names(), names)).admits(somebody()) is held


def test_who_has_no_union_id_is_on_no_list_of_them() -> None:
    allowed = AllowList(Names(union_ids=frozenset({"", "None"}), usernames=frozenset({""})))
    assert not Requirement(allow=allowed).admits(somebody(union_id=None, username=None))


def test_the_list_comes_before_the_scopes() -> None:
    """Nobody is asked to share something for a route that stays closed."""
    requirement = Requirement(scopes=frozenset({"video.list"}), allow=AllowList(Names(open_ids=frozenset({"x"}))))
    assert requirement.find_obstacle(somebody()) is not None
    assert Requirement(scopes=frozenset({"video.list"})).find_obstacle(somebody()) is None
    assert Requirement(scopes=frozenset({"video.list"})).find_missing(somebody()) == ("video.list",)


def test_a_fact_needs_its_scope_and_then_counts_as_told() -> None:
    requirement = Requirement(is_verified=True, counts=(("follower_count", Range(least=10)),))
    basic = somebody(scopes=("user.info.basic",))
    assert requirement.find_missing(basic) == ("user.info.profile", "user.info.stats")
    assert requirement.find_obstacle(basic) is None
    assert not requirement.admits(basic)
    assert not requirement.admits(somebody())  # TikTok may tell, and has not
    assert requirement.admits(somebody(facts=Facts(is_verified=True, follower_count=10)))
    assert not requirement.admits(somebody(facts=Facts(is_verified=True, follower_count=9)))
    assert not requirement.admits(somebody(facts=Facts(is_verified=False, follower_count=10)))
    assert Requirement(is_verified=False).admits(somebody(facts=Facts(is_verified=False)))


counts = st.one_of(st.none(), st.integers(0, 30))
ranges = st.builds(Range, least=counts, most=counts)
facts = st.builds(Facts, st.one_of(st.none(), st.booleans()), counts, counts, counts, counts)


@given(
    st.one_of(st.none(), st.booleans()),
    st.dictionaries(st.sampled_from([name for name in SCOPE_OF_FACT if name != "is_verified"]), ranges),
    facts,
    st.sets(st.sampled_from(SCOPES)),
)
def test_whoever_is_admitted_has_everything(
    is_verified: bool | None, wanted: dict[str, Range], told: Facts, scopes: set[str]
) -> None:
    requirement = Requirement(is_verified=is_verified, counts=tuple(wanted.items()))
    who = somebody(facts=told, scopes=tuple(scopes))
    expected = is_verified is None or ("user.info.profile" in scopes and told.is_verified is is_verified)
    for name, allowed in wanted.items():
        number = getattr(told, name)
        expected = expected and "user.info.stats" in scopes and number is not None and allowed.has(number)
    assert requirement.admits(who) is expected
