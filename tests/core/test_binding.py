from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.binding import (
    BINDING_LASTS,
    MOST_BINDINGS,
    MOST_FREED,
    MOST_READ,
    MOST_TURNS,
    TURN_LASTS,
    Binding,
    choose_binding,
    find_cause,
    find_surplus,
    new_binding,
    read_binding,
    read_bindings,
)
from gateway.errors import AppSendsBack, SessionCookieLost, SessionNotKept, SignInLoop, SignInOfOtherHost

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SOON = NOW + timedelta(seconds=5)


def come_back(binding: Binding) -> Binding:
    """As the browser brings it."""
    read = read_binding(str(binding))
    assert read is not None
    return read


def test_a_loop_ends_after_a_few_turns() -> None:
    binding, now, turns = new_binding(), NOW, 0
    while not (binding := come_back(binding).begin(now)).loops:
        binding = binding.complete(now)
        now += timedelta(seconds=3)
        turns += 1
    assert turns == MOST_TURNS


def test_tabs_that_begin_together_are_no_loop() -> None:
    binding = new_binding()
    for _ in range(5):
        binding = come_back(binding).begin(NOW)
    for _ in range(5):
        binding = come_back(binding).complete(SOON)
    assert not come_back(binding).begin(SOON).loops


@pytest.mark.parametrize(
    "pause", [timedelta(0), TURN_LASTS - timedelta(seconds=1), timedelta(days=40), -timedelta(days=40)]
)
def test_who_comes_at_once_or_by_another_clock_takes_a_turn(pause: timedelta) -> None:
    binding = Binding("x" * 43, turns=1, completed_at=int(NOW.timestamp()))
    assert binding.begin(NOW + pause).turns == 2


@pytest.mark.parametrize("pause", [TURN_LASTS, timedelta(minutes=30), BINDING_LASTS])
def test_who_comes_later_begins_anew(pause: timedelta) -> None:
    binding = Binding("x" * 43, turns=MOST_TURNS, completed_at=int(NOW.timestamp()))
    assert binding.begin(NOW + pause) == Binding("x" * 43)


def test_after_a_sign_out_nothing_is_a_turn() -> None:
    binding = Binding("x" * 43, turns=MOST_TURNS - 1, completed_at=int(NOW.timestamp()))
    assert binding.begin(SOON).loops
    assert not binding.forget().begin(SOON).loops


@given(st.text(max_size=70))
def test_any_cookie_is_read_or_is_none(cookie: str) -> None:
    binding = read_binding(cookie)
    assert binding is None or str(binding) == cookie


@pytest.mark.parametrize("tail", ["", ".0.0", ".2.1795521600"])
def test_what_we_wrote_is_read(tail: str) -> None:
    assert str(read_binding("a-_9" * 10 + "xyz" + tail)) == "a-_9" * 10 + "xyz" + tail


@pytest.mark.parametrize("cookie", ["", "x", "x" * 44, "x" * 43 + ".1", "x" * 43 + ".-1.5", "x" * 43 + ".1.\u0661"])
def test_what_we_did_not_write_is_none(cookie: str) -> None:
    assert read_binding(cookie) is None


@pytest.mark.parametrize(
    ("signed_in", "has_cookie", "other_host", "cause"),
    [
        (False, False, False, SessionCookieLost),
        (False, True, False, SessionNotKept),
        (True, True, False, AppSendsBack),
        (True, True, True, SignInOfOtherHost),
        (False, False, True, SignInOfOtherHost),
    ],
)
def test_causes(signed_in: bool, has_cookie: bool, other_host: bool, cause: type[SignInLoop]) -> None:
    assert type(find_cause(signed_in=signed_in, has_cookie=has_cookie, other_host=other_host)) is cause


def brought(*bindings: Binding) -> list[tuple[bytes, bytes]]:
    return [(each.mark.encode(), str(each).encode()) for each in bindings]


def test_every_binding_has_a_cookie_of_its_own() -> None:
    bindings = [new_binding() for _ in range(50)]
    assert len({each.mark for each in bindings}) == 50
    assert read_bindings(brought(*bindings)) == tuple(bindings)


def test_what_stands_under_another_name_is_none() -> None:
    one, other = new_binding(), new_binding()
    assert read_bindings([(one.mark.encode(), str(other).encode()), (b"", str(one).encode()), (b"x", b"y")]) == ()


def test_of_a_flood_only_so_many_are_read() -> None:
    assert len(read_bindings(brought(*(new_binding() for _ in range(MOST_READ + 5))))) == MOST_READ


def test_a_sign_in_goes_on_with_the_one_of_the_last_completion_else_with_the_newest() -> None:
    old, new = new_binding(), new_binding()
    assert choose_binding([old, new]) == new
    done = old.complete(NOW)
    assert choose_binding([done, new]) == done
    later = new.complete(SOON)
    assert choose_binding([later, done]) == choose_binding([done, later]) == later
    assert choose_binding([]).completed_at is None


def test_a_loop_is_counted_whatever_other_tabs_have_left() -> None:
    binding, others, now = new_binding(), [new_binding() for _ in range(4)], NOW
    for _ in range(MOST_TURNS):
        binding = choose_binding([*others, binding]).begin(now).complete(now)
        now += timedelta(seconds=3)
    assert choose_binding([*others, binding]).begin(now).loops


def test_the_oldest_go_when_there_are_too_many_but_never_the_one_in_hand() -> None:
    bindings = [new_binding() for _ in range(MOST_BINDINGS + 3)]
    assert find_surplus(bindings, bindings[-1]) == tuple(bindings[:3])
    assert find_surplus(bindings, bindings[0]) == tuple(bindings[1:4])
    assert find_surplus(bindings, new_binding()) == tuple(bindings[:4])
    assert find_surplus(bindings[:MOST_BINDINGS], bindings[0]) == ()
    many = [new_binding() for _ in range(MOST_READ)]
    assert find_surplus(many, many[-1]) == tuple(many[:MOST_FREED])
