import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.binding import is_opaque, new_binding
from gateway.core.sign_in import (
    ATTEMPT_LASTS,
    Callback,
    SignInAttempt,
    build_attempt_key,
    hash_binding,
    new_state,
    read_callback,
)
from gateway.errors import (
    AccessDenied,
    AttemptOfOtherBrowser,
    AttemptUnknown,
    MalformedRequest,
    SignInRefused,
)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
BINDING = new_binding().value


def attempt() -> SignInAttempt:
    return SignInAttempt(
        binding=hash_binding(BINDING), code_verifier="v", return_to="https://app/x", scopes=("a",), begun_at=NOW
    )


def callback(query: str) -> Callback:
    return read_callback(query.encode())


def test_a_code_is_decoded_once() -> None:
    assert callback("code=a%2A%21%2525b&state=s&scopes=a,b") == Callback(
        state="s", code="a*!%25b", scopes="a,b", error=None, error_type=None
    )


@pytest.mark.parametrize("query", ["state=a&state=a", "code=a&code=b", "error=x&error=x"])
def test_duplicated_parameters_are_refused(query: str) -> None:
    with pytest.raises(MalformedRequest, match="two"):
        callback(query)


def test_unknown_parameters_may_repeat() -> None:
    assert callback("x=1&x=2&state=s").state == "s"


@pytest.mark.parametrize("query", [b"state=%ff", b"state=\xff", b"state=" + b"a" * 5000, b"&a=1" * 40])
def test_what_cannot_be_read_is_refused(query: bytes) -> None:
    with pytest.raises(MalformedRequest):
        read_callback(query)


@given(st.binary(max_size=300))
def test_reading_raises_nothing_else(query: bytes) -> None:
    with contextlib.suppress(MalformedRequest):
        read_callback(query)


def test_verify_gives_the_code() -> None:
    code = attempt().verify(callback("code=c&state=s"), BINDING, NOW)
    assert (code.code, code.code_verifier, code.scopes_asked) == ("c", "v", ("a",))


def test_another_browser_is_refused_before_anything_else() -> None:
    with pytest.raises(AttemptOfOtherBrowser):
        attempt().verify(callback("error=access_denied"), new_binding().value, NOW + ATTEMPT_LASTS)


def test_an_old_attempt_is_refused() -> None:
    with pytest.raises(AttemptUnknown):
        attempt().verify(callback("code=c"), BINDING, NOW + ATTEMPT_LASTS)
    assert attempt().verify(callback("code=c"), BINDING, NOW + ATTEMPT_LASTS - timedelta(seconds=1))


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        ("error=access_denied", AccessDenied),
        ("error=access_denied&code=c", AccessDenied),
        ("error=other&error_description=%3Cscript%3E", SignInRefused),
        ("error=access_denied&error_type=non_sandbox_target", AccessDenied),
        ("error=x&error_type=non_sandbox_target", SignInRefused),
        ("state=s", SignInRefused),
        ("code=", SignInRefused),
    ],
)
def test_errors_give_no_code_and_reflect_nothing(query: str, kind: type[SignInRefused]) -> None:
    with pytest.raises(kind) as caught:
        attempt().verify(callback(query), BINDING, NOW)
    assert "<script>" not in str(caught.value)


def test_states_are_url_safe_and_short_enough_for_tiktok() -> None:
    state = new_state()
    assert is_opaque(state)
    assert len(state) <= 128
    assert state not in build_attempt_key(state)


@pytest.mark.parametrize("text", ["", "a" * 42, "a" * 44, "a" * 42 + "\n", "a" * 42 + "é", "a" * 43 + "\n"])
def test_what_is_not_opaque(text: str) -> None:
    assert not is_opaque(text)
