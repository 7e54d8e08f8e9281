from datetime import UTC, datetime, timedelta

import pytest

from gateway.core.grant import GRANT_KEY
from gateway.core.session import (
    Session,
    SessionLimits,
    _deflate_agent,
    build_session_key,
    new_session_id,
    public_id,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LIMITS = SessionLimits(idle=timedelta(days=7), absolute=timedelta(days=30))


def session(*, seen_after: timedelta = timedelta(0)) -> Session:
    return Session(subject="s", grant_key="g", signed_in_at=NOW, last_seen_at=NOW + seen_after, user_agent="ua")


def test_the_idle_limit_moves_and_the_absolute_one_does_not() -> None:
    assert session().expires_at(LIMITS) == NOW + timedelta(days=7)
    assert session(seen_after=timedelta(days=5)).expires_at(LIMITS) == NOW + timedelta(days=12)
    assert session(seen_after=timedelta(days=29)).expires_at(LIMITS) == NOW + timedelta(days=30)
    assert session().touched(NOW + timedelta(days=29)).expires_at(LIMITS) == NOW + timedelta(days=30)


def test_touches_are_rare_but_within_the_idle_timeout() -> None:
    assert LIMITS.touch_interval == timedelta(minutes=1)
    brief = SessionLimits(idle=timedelta(seconds=20), absolute=timedelta(days=1))
    assert brief.touch_interval == timedelta(seconds=1)


def test_the_key_hides_the_id() -> None:
    session_id = new_session_id()
    key = build_session_key(session_id.encode())
    assert key is not None
    assert session_id not in key
    assert public_id(key) not in key


@pytest.mark.parametrize(
    "cookie",
    [
        b"",
        b"a" * 42,
        b"a" * 44,
        b"a" * 42 + b"=",
        b"a" * 42 + b" ",
        b"\xff" * 43,
        b"a" * 43 + b"\n",
        b"a" * 9000,
    ],
)
def test_what_cannot_be_an_id_has_no_key(cookie: bytes) -> None:
    assert build_session_key(cookie) is None


def test_a_browsers_name_is_deflated_once_however_many_sessions_have_it() -> None:
    before = _deflate_agent.cache_info().misses
    agent = "Mozilla/5.0 (X11; a browser that no other test has)"
    for number in range(3):
        person = Session(
            subject=f"{number}", grant_key=GRANT_KEY + "0" * 64, signed_in_at=NOW, last_seen_at=NOW, user_agent=agent
        )
        compact = person.compact()
        assert compact is not None
        assert compact.restore().user_agent == agent
    assert _deflate_agent.cache_info().misses == before + 1
