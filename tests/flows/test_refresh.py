"""The refresh protocol, as told at the top of `flows/refresh.py`."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from gateway.core.grant import build_lease_key
from gateway.core.tiktok import TokenSet
from gateway.errors import ProviderMisconfigured, ProviderUnavailable, StoreUnavailable
from tests.flows.conftest import Process, World

pytestmark = pytest.mark.anyio

DUE = timedelta(seconds=7200 * 0.85)
EXPIRED = timedelta(seconds=7200)


async def test_a_fresh_token_is_left_alone(world: World, process: Process) -> None:
    key, grant, _ = await world.signed_in(process)
    assert await process.refresh.fresh(key, grant) is grant
    assert world.simulator.refreshes == 0


async def test_a_due_token_serves_while_it_is_renewed_beside(world: World, process: Process) -> None:
    key, grant, _ = await world.signed_in(process)
    world.clock.forward(DUE)
    world.simulator.troubles.token_delay = 0.3
    found = await asyncio.gather(*(process.refresh.fresh(key, grant) for _ in range(50)))
    assert {each.tokens.access_token for each in found if each} == {grant.tokens.access_token}
    await process.refresh.close()
    stored = await process.sessions.read_grant(key)
    assert stored is not None
    assert stored.grant.tokens.access_token != grant.tokens.access_token
    assert world.simulator.refreshes == 1


async def test_fifty_requests_at_expiry_on_three_processes_refresh_once(world: World) -> None:
    processes = [world.process() for _ in range(3)]
    key, grant, _ = await world.signed_in(processes[0])
    world.clock.forward(EXPIRED)
    world.simulator.troubles.token_delay = 0.5
    found = await asyncio.gather(*(process.refresh.fresh(key, grant) for process in processes for _ in range(50)))
    tokens = {each.tokens.access_token for each in found if each}
    assert len(tokens) == 1
    assert None not in found
    assert tokens != {grant.tokens.access_token}
    assert world.simulator.refreshes == 1


async def test_who_read_the_grant_before_another_process_refreshed_it_asks_for_nothing(
    world: World, process: Process
) -> None:
    key, grant, _ = await world.signed_in(process)
    world.clock.forward(EXPIRED)
    renewed = await world.process().refresh.fresh(key, grant)
    found = await process.refresh.fresh(key, grant)
    assert found is not None
    assert renewed is not None
    assert found.tokens == renewed.tokens
    assert world.simulator.refreshes == 1


async def test_a_client_that_hangs_up_cancels_nothing(world: World, process: Process) -> None:
    key, grant, _ = await world.signed_in(process)
    world.clock.forward(EXPIRED)
    world.simulator.troubles.token_delay = 0.3
    waiting = asyncio.create_task(process.refresh.fresh(key, grant))
    await asyncio.sleep(0.1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await process.refresh.close()
    stored = await process.sessions.read_grant(key)
    assert stored is not None
    assert stored.grant.tokens.refresh_token != grant.tokens.refresh_token


async def test_the_rotated_token_is_saved_although_the_store_is_away_for_a_while(
    world: World, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, grant, _ = await world.signed_in(process)
    world.clock.forward(EXPIRED)
    replace, failures = process.sessions.replace_grant, 0

    async def flaky(*args: Any) -> bool:
        nonlocal failures
        failures += 1
        if failures < 4:
            raise StoreUnavailable("away")
        return await replace(*args)

    monkeypatch.setattr(process.sessions, "replace_grant", flaky)
    found = await process.refresh.fresh(key, grant)
    assert found is not None
    stored = await process.sessions.read_grant(key)
    assert stored is not None
    assert stored.grant.tokens == found.tokens
    assert world.simulator.refreshes == 1


async def test_only_a_dead_grant_ends_the_sessions(world: World, process: Process) -> None:
    key, grant, session_id = await world.signed_in(process)
    world.simulator.simulator.disconnect(grant.subject)
    world.clock.forward(EXPIRED)
    assert await process.refresh.fresh(key, grant) is None
    assert await process.read(session_id) is None
    assert await process.sessions.read_grant(key) is None


@pytest.mark.parametrize(
    ("troubles", "kind"),
    [
        ({"html": True}, ProviderUnavailable),
        ({"plain_text": True}, ProviderUnavailable),
        ({"empty_body": True}, ProviderUnavailable),
        ({"token_error": "server_error"}, ProviderUnavailable),
        ({"token_error": "server_error", "error_status": 200}, ProviderUnavailable),
        ({"token_error": "something_new"}, ProviderUnavailable),
        ({"token_error": "invalid_client"}, ProviderMisconfigured),
        ({"token_error": "invalid_request", "error_status": 200}, ProviderMisconfigured),
    ],
)
async def test_any_other_failure_keeps_everything_and_is_remembered(
    world: World, process: Process, troubles: dict[str, Any], kind: type[Exception]
) -> None:
    key, grant, session_id = await world.signed_in(process)
    world.simulator.troubles.update(troubles)
    world.clock.forward(DUE)
    assert await process.refresh.fresh(key, grant) is grant
    await process.refresh.close()
    world.clock.forward(EXPIRED - DUE)
    for _ in range(20):
        with pytest.raises(kind):
            await process.refresh.fresh(key, grant)
    assert world.simulator.refreshes <= 2
    assert await process.read(session_id) is not None
    world.simulator.troubles.reset()
    world.clock.forward(timedelta(seconds=6))
    await world.store.delete("refresh-failed:" + key)  # the store keeps time by itself
    assert await process.refresh.fresh(key, grant) is not None


async def test_a_failure_is_remembered_by_the_other_processes_too(world: World, process: Process) -> None:
    key, grant, _ = await world.signed_in(process)
    world.simulator.troubles.html = True
    world.clock.forward(EXPIRED)
    for each in (process, world.process(), world.process()):
        with pytest.raises(ProviderUnavailable):
            await each.refresh.fresh(key, grant)
    assert world.simulator.refreshes == 1


async def test_an_answer_that_was_lost_ends_nobody_while_the_access_token_lives(world: World, process: Process) -> None:
    key, grant, session_id = await world.signed_in(process)
    world.clock.forward(DUE)
    world.simulator.troubles.lose_token_answers = 1
    assert await process.refresh.fresh(key, grant) is grant
    await process.refresh.close()
    world.clock.forward(timedelta(seconds=6))
    await world.store.delete("refresh-failed:" + key)
    assert await process.refresh.fresh(key, grant) is grant  # now TikTok says that the refresh token is dead
    await process.refresh.close()
    assert world.simulator.refreshes == 2
    stored = await process.sessions.read_grant(key)
    assert stored is not None
    assert await process.refresh.fresh(key, stored.grant) is stored.grant
    assert await process.read(session_id) is not None
    world.clock.forward(EXPIRED - DUE)
    assert await process.refresh.fresh(key, stored.grant) is None  # never an expired one
    assert world.simulator.refreshes == 2  # and nobody asks in vain


async def test_an_answer_that_was_lost_costs_nothing_where_tokens_do_not_rotate(world: World, process: Process) -> None:
    key, grant, _ = await world.signed_in(process)
    world.simulator.troubles.update({"rotate": "never", "lose_token_answers": 1})
    world.clock.forward(EXPIRED)
    with pytest.raises(ProviderUnavailable):
        await process.refresh.fresh(key, grant)
    world.clock.forward(timedelta(seconds=6))
    await world.store.delete("refresh-failed:" + key)
    found = await process.refresh.fresh(key, grant)
    assert found is not None
    assert found.tokens.access_token != grant.tokens.access_token


async def test_a_holder_that_was_away_still_saves_what_it_got(world: World, process: Process) -> None:
    """Its lease ran out, and its successor found the refresh token dead: the tokens it has are the only ones."""
    key, grant, session_id = await world.signed_in(process)
    late = await process.sessions.read_grant(key)
    assert late is not None
    world.clock.forward(DUE)
    tokens = await process.provider.refresh(grant.tokens)
    await process.refresh._attempts.begin(key, grant.tokens.refresh_token)
    successor = world.process()
    assert await successor.refresh.fresh(key, grant) is grant
    await successor.refresh.close()
    stored = await process.sessions.read_grant(key)
    assert stored is not None
    assert stored.grant.refresh_lost
    saved = await process.refresh._save(late, tokens)
    assert saved is not None
    assert saved.tokens == tokens
    assert not saved.refresh_lost
    assert await process.read(session_id) is not None


async def test_the_lease_is_kept_while_tiktok_is_slow(
    world: World, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.flows.refresh.LEASE", timedelta(milliseconds=300))
    monkeypatch.setattr("gateway.flows.refresh.RENEW", timedelta(milliseconds=100))
    key, grant, _ = await world.signed_in(process)
    world.clock.forward(EXPIRED)
    world.simulator.troubles.token_delay = 1
    other = world.process()
    found = await asyncio.gather(process.refresh.fresh(key, grant), other.refresh.fresh(key, grant))
    assert len({each.tokens.access_token for each in found if each}) == 1
    assert world.simulator.refreshes == 1


async def test_a_refresh_that_answers_for_somebody_else_ends_it(world: World, process: Process) -> None:
    key, grant, session_id = await world.signed_in(process, "dash")
    world.simulator.troubles.other_open_id = True
    world.clock.forward(EXPIRED)
    assert await process.refresh.fresh(key, grant) is None
    assert await process.read(session_id) is None


async def test_a_token_that_is_not_rotated_keeps_its_own_end(world: World, process: Process) -> None:
    key, grant, _ = await world.signed_in(process)
    world.simulator.troubles.rotate = "never"
    world.clock.forward(EXPIRED)
    found = await process.refresh.fresh(key, grant)
    assert found is not None
    assert found.tokens.refresh_token == grant.tokens.refresh_token


async def test_a_new_sign_in_meanwhile_wins_over_a_dead_refresh_token(
    world: World, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, grant, _ = await world.signed_in(process)
    world.clock.forward(EXPIRED)
    world.simulator.simulator.disconnect(grant.subject)
    ask_tiktok, asking, signed_in_anew = process.provider.refresh, asyncio.Event(), asyncio.Event()

    async def ask_once_signed_in_anew(tokens: TokenSet) -> TokenSet:
        asking.set()
        await signed_in_anew.wait()
        return await ask_tiktok(tokens)

    monkeypatch.setattr(process.provider, "refresh", ask_once_signed_in_anew)
    waiting = asyncio.create_task(process.refresh.fresh(key, grant))
    await asking.wait()
    _, newer, _ = await world.signed_in(process)
    signed_in_anew.set()
    found = await waiting
    assert found is not None
    assert found.tokens == newer.tokens


async def test_a_late_writer_is_fenced_off(world: World, process: Process) -> None:
    key, grant, _ = await world.signed_in(process)
    late = await process.sessions.read_grant(key)
    assert late is not None
    world.clock.forward(EXPIRED)
    successor = await process.refresh.fresh(key, grant)
    assert successor is not None
    assert not await process.sessions.replace_grant(late, grant)
    stored = await process.sessions.read_grant(key)
    assert stored is not None
    assert stored.grant.tokens == successor.tokens


async def test_when_the_holder_of_the_lease_dies_another_takes_over(world: World, process: Process) -> None:
    key, grant, _ = await world.signed_in(process)
    world.clock.forward(EXPIRED)
    assert await world.store.acquire_lease(build_lease_key(key), "dead", 400)
    assert await process.refresh.fresh(key, grant) is not None
    assert world.simulator.refreshes == 1


async def test_a_forced_refresh_renews_what_is_not_due(world: World, process: Process) -> None:
    key, grant, _ = await world.signed_in(process)
    found = await process.refresh.renew(key, force=True)
    assert found is not None
    assert found.tokens.access_token != grant.tokens.access_token


async def test_forced_refreshes_are_few_in_all_processes_together(world: World, process: Process) -> None:
    """One signed-in browser must not use up TikTok's limit, which is everybody's."""
    key, _, _ = await world.signed_in(process)
    first = await process.refresh.renew(key, force=True)
    assert first is not None
    for each in (process, world.process(), world.process()) * 5:
        again = await each.refresh.renew(key, force=True)
        assert again is not None
        assert again.tokens == first.tokens
    assert world.simulator.refreshes == 1
    # whoever else is signed in has a turn of their own
    other, _, _ = await world.signed_in(process, "dash")
    assert await process.refresh.renew(other, force=True) is not None
    assert world.simulator.refreshes == 2
    # what is due is refreshed whatever was forced
    world.clock.forward(EXPIRED)
    due = await process.refresh.renew(key, force=True)
    assert due is not None
    assert due.tokens != first.tokens
    assert world.simulator.refreshes == 3


async def test_a_forced_refresh_that_fails_counts_too(
    world: World, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, grant, _ = await world.signed_in(process)
    asked: list[str] = []

    async def fail(tokens: TokenSet) -> TokenSet:
        asked.append(tokens.refresh_token)
        raise ProviderUnavailable("not now")

    monkeypatch.setattr(process.provider, "refresh", fail)
    with pytest.raises(ProviderUnavailable):
        await process.refresh.renew(key, force=True)
    for _ in range(5):
        world.clock.forward(timedelta(seconds=6))
        await world.store.delete(f"refresh-failed:{key}")  # that of a moment ago is over
        found = await process.refresh.renew(key, force=True)
        assert found is not None
        assert found.tokens == grant.tokens
    assert len(asked) == 1


async def test_a_minute_later_it_may_be_forced_again(
    world: World, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.flows.refresh_attempts.FORCED_EVERY", timedelta(seconds=1))
    key, _, _ = await world.signed_in(process)
    await process.refresh.renew(key, force=True)
    while world.simulator.refreshes < 2:
        await process.refresh.renew(key, force=True)
        await asyncio.sleep(0.1)


async def test_an_old_profile_is_read_again_beside_the_refresh(world: World, process: Process) -> None:
    key, grant, _ = await world.signed_in(process)
    world.clock.forward(timedelta(hours=13))
    assert await process.refresh.fresh(key, grant) is not None
    await process.refresh.close()
    stored = await process.sessions.read_grant(key)
    assert stored is not None
    assert stored.grant.profile.username == "ada.plain"
