from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.binding import BINDING_LASTS, MOST_TURNS, TURN_LASTS, Binding, find_cause, new_binding, read_binding
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
