"""What holds a secret does not show it: such objects end in tracebacks, in whose frames other programs look."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.core.authorization import USUAL, AuthorizationPlan, prepare
from gateway.core.binding import Binding
from gateway.core.decision import build_allow
from gateway.core.identity import Identity, IdentityHeaders
from gateway.core.kept_post import FormField, KeptPost
from gateway.core.sign_in import read_callback
from gateway.flows.attempts import FoundAttempt
from gateway.flows.sign_in import Begun, Completed
from gateway.flows.visitor import Visitor
from tests.core.test_challenge import head

SECRET = "s3cret" * 7 + "x"
NOW = datetime(2026, 11, 28, tzinfo=UTC)
ADA = Identity("-ada", None, None, None, None, (), SECRET, NOW, "name", NOW)
PLAN = AuthorizationPlan("https://tiktok.example/", "k", "https://x.example/", ("basic",), "hex", False, frozenset())
PREPARED = prepare(PLAN, USUAL, return_to="/", binding=SECRET, now=NOW)


@pytest.mark.parametrize(
    "holder",
    [
        Binding(SECRET),
        read_callback(f"code={SECRET}&state={SECRET}".encode()),
        Begun(f"https://tiktok.example/?state={SECRET}", Binding(SECRET)),
        FoundAttempt(SECRET, PREPARED.attempt, b"", Binding(SECRET)),
        Visitor((Binding(SECRET),), (), "", ""),
        Completed(SECRET, "-ada", f"https://tiktok.example/?state={SECRET}", Binding(SECRET)),
        KeptPost(b"", "/", "multipart/form-data", (FormField("password", SECRET),)),
        head({"cookie": f"gateway={SECRET}", "authorization": f"Bearer {SECRET}"}),
        build_allow(IdentityHeaders(["tiktok", "bearer"], {}), ADA),
    ],
    ids=lambda holder: type(holder).__name__,
)
def test_a_secret_is_not_shown(holder: object) -> None:
    assert SECRET not in repr(holder)
    assert type(holder).__name__ in repr(holder)


def test_an_attempt_shows_neither_verifier_nor_state() -> None:
    verifier = PREPARED.attempt.code_verifier
    assert verifier is not None
    assert verifier not in repr(PREPARED)
    assert "state" not in repr(PREPARED)
