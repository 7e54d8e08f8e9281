"""The provider shell against the simulator: what TikTok says, and what it becomes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.core.tiktok import TokenSet
from gateway.errors import (
    AccessTokenDead,
    GrantDead,
    ProviderError,
    ProviderMisconfigured,
    ProviderUnavailable,
    ScopeMissing,
)
from gateway.provider import TikTok, TikTokAddresses
from tests.flows.conftest import REDIRECT_URI, Process, World

pytestmark = pytest.mark.anyio


async def test_codes_with_odd_characters_are_redeemed(world: World, process: Process) -> None:
    code = world.code("dash")
    assert "*" in code.code
    assert "!" in code.code
    tokens = await process.provider.redeem(code)
    assert tokens.open_id == world.simulator.people["dash"].open_id
    assert tokens.scopes == ("user.info.basic", "user.info.profile")


async def test_a_used_code_is_dead(world: World, process: Process) -> None:
    code = world.code()
    await process.provider.redeem(code)
    with pytest.raises(GrantDead) as caught:
        await process.provider.redeem(code)
    assert caught.value.log_id


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("invalid_grant", GrantDead),
        ("invalid_client", ProviderMisconfigured),
        ("server_error", ProviderUnavailable),
    ],
)
async def test_errors_count_with_either_status(
    world: World, process: Process, status: int, error: str, kind: type[ProviderError]
) -> None:
    code = world.code()
    world.simulator.troubles.update({"token_error": error, "error_status": status})
    with pytest.raises(kind):
        await process.provider.redeem(code)


@pytest.mark.parametrize("trouble", ["html", "plain_text", "empty_body"])
async def test_what_is_no_json_is_a_passing_fault_everywhere(world: World, process: Process, trouble: str) -> None:
    code, (_, grant, _) = world.code(), await world.signed_in(process)
    world.simulator.troubles.update({trouble: True})
    calls: list[Any] = [
        process.provider.redeem(code),
        process.provider.refresh(grant.tokens),
        process.provider.user_info(grant.tokens.access_token, grant.tokens.scopes),
    ]
    if trouble != "empty_body":  # which is how TikTok says that it has revoked
        calls.append(process.provider.revoke(grant.tokens.access_token))
    for call in calls:
        with pytest.raises(ProviderUnavailable):
            await call


async def test_scopes_asked_stand_in_for_scopes_not_told(world: World, process: Process) -> None:
    world.simulator.troubles.omit_scope = True
    _, grant, _ = await world.signed_in(process)
    assert grant.tokens.scopes == ()  # nothing was asked in this test
    renewed = await process.provider.refresh(grant.tokens)
    assert renewed.scopes == grant.tokens.scopes


async def test_one_exchange_never_sees_anothers_tokens(world: World, process: Process) -> None:
    people = ["plain", "dash", "emoji", "no_union_id", "crlf"] * 4
    codes = [world.code(person) for person in people]
    found = await asyncio.gather(*(process.provider.redeem(code) for code in codes))
    assert [each.open_id for each in found] == [world.simulator.people[person].open_id for person in people]
    assert len({each.access_token for each in found}) == len(people)


@pytest.mark.parametrize("empty", [True, False])
async def test_revoking_twice_is_no_error(world: World, process: Process, empty: bool) -> None:
    world.simulator.troubles.empty_revoke_body = empty
    _, grant, _ = await world.signed_in(process)
    await process.provider.revoke(grant.tokens.access_token)
    await process.provider.revoke(grant.tokens.access_token)
    with pytest.raises(AccessTokenDead):
        await process.provider.user_info(grant.tokens.access_token, grant.tokens.scopes)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("access_token_invalid", AccessTokenDead),
        ("scope_not_authorized", ScopeMissing),
        ("rate_limit_exceeded", ProviderUnavailable),
        ("internal_error", ProviderUnavailable),
    ],
)
async def test_user_info_errors(world: World, process: Process, error: str, kind: type[ProviderError]) -> None:
    _, grant, _ = await world.signed_in(process)
    world.simulator.troubles.user_info_error = error
    with pytest.raises(kind):
        await process.provider.user_info(grant.tokens.access_token, grant.tokens.scopes)


async def test_a_tiktok_that_cannot_be_reached(world: World) -> None:
    nobody = "http://127.0.0.1:1/"
    provider = TikTok(
        TikTokAddresses(
            client_key="k",
            client_secret="hunter2",
            redirect_uri=REDIRECT_URI,
            token_url=nobody,
            revoke_url=nobody,
            user_info_url=nobody,
            get_qrcode_url=nobody,
            check_qrcode_url=nobody,
        ),
        clock=world.clock,
    )
    tokens = TokenSet("o", "act.x", "rft.x", (), world.clock(), world.clock(), world.clock())
    with pytest.raises(ProviderUnavailable) as caught:
        await provider.refresh(tokens)
    assert "hunter2" not in str(caught.value) + repr(provider._addresses)
    await provider.close()
