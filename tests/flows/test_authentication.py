"""Who a request comes from: of which cookies, of whose grant, and at what cost."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from gateway.core.grant import Grant
from gateway.core.record import seal_record
from gateway.core.session import build_session_key, new_session_id
from gateway.errors import SessionsDiffer
from gateway.flows.authentication import MOST_NAMED, Authentication
from tests.flows.conftest import Process, World
from tests.flows.test_gate import ask

pytestmark = pytest.mark.anyio


@pytest.fixture
async def authentication(world: World, process: Process) -> Authentication:
    return Authentication(process.sessions, process.refresh, cookie_name="gateway", clock=world.clock)


def key_of(session_id: str) -> str:
    key = build_session_key(session_id.encode())
    assert key is not None
    return key


async def test_a_cookie_names_its_session_and_nothing_else_does(authentication: Authentication) -> None:
    one, other = new_session_id(), new_session_id()
    assert authentication.read_session_keys(ask("/", one).headers) == (key_of(one),)
    assert authentication.read_session_keys(ask("/", one, other, one).headers) == (key_of(one), key_of(other))
    for value in ("", "x", one + "x", one[:-1] + "!", "A" * 8000):
        assert authentication.read_session_keys(ask("/", value).headers) == ()
        assert authentication.read_session_keys(ask("/", value, one).headers) == (key_of(one),)
    assert authentication.read_session_keys(ask("/", cookie=f"other={one}; agateway={one}").headers) == ()


async def test_nobody_has_the_store_search_for_long(
    world: World, process: Process, authentication: Authentication
) -> None:
    _, _, live = await world.signed_in(process)
    asked: list[str] = []
    read = process.sessions.read

    async def count(key: str, now: object) -> object:
        asked.append(key)
        return await read(key, now)  # type: ignore[arg-type]

    process.sessions.read = count  # type: ignore[method-assign,assignment]
    few = [new_session_id() for _ in range(MOST_NAMED - 1)]
    assert await authentication.choose([*map(key_of, few), key_of(live)]) == key_of(live)
    assert len(asked) == MOST_NAMED
    asked.clear()
    with pytest.raises(SessionsDiffer, match="more than"):
        await authentication.choose([*map(key_of, few), key_of(live), key_of(new_session_id())])
    assert asked == []
    assert await authentication.find_live(ask("/", *few, new_session_id(), live)) == ()
    assert len(asked) == MOST_NAMED


async def test_a_grant_of_somebody_else_under_the_sessions_key_is_nobodys(
    world: World, process: Process, authentication: Authentication
) -> None:
    key, grant, session_id = await world.signed_in(process)
    tokens = msgspec.structs.replace(grant.tokens, open_id="-000somebody-else")
    other = msgspec.structs.replace(grant, tokens=tokens)
    await world.store.write(key, seal_record(world.keyring, key, other), 600)
    assert await process.read(session_id) is None
    assert await authentication.read(ask("/", session_id)) is None


async def test_so_is_one_that_a_refresh_brings(
    world: World, process: Process, authentication: Authentication, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, grant, session_id = await world.signed_in(process)
    assert await authentication.read(ask("/", session_id)) is not None
    tokens = msgspec.structs.replace(grant.tokens, open_id="-000somebody-else")

    async def of_another(key: str, before: Grant) -> Grant:
        return msgspec.structs.replace(before, tokens=tokens)

    monkeypatch.setattr(process.refresh, "fresh", of_another)
    assert await authentication.read(ask("/", session_id)) is None


async def test_our_own_pages_ask_whatever_the_state_of_the_token(
    world: World, process: Process, authentication: Authentication
) -> None:
    _, grant, session_id = await world.signed_in(process)
    world.simulator.simulator.disconnect(grant.subject)
    world.clock.forward(grant.tokens.access_expires_at - world.clock() + timedelta(seconds=1))
    assert await authentication.peek(ask("/", session_id)) is not None
    assert await authentication.read(ask("/", session_id)) is None  # which has found the grant dead
    assert await authentication.peek(ask("/", session_id)) is None
