"""Records in a form that earlier versions know, for as long as some may run; then in the compact one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.core.grant import Grant, build_grant_key, build_index_key
from gateway.core.session import SESSION_KEY, build_session_key
from gateway.core.tiktok import Profile, TokenSet
from gateway.errors import StoreUnavailable
from gateway.flows.record_form import KEY, RecordForm
from gateway.flows.sessions import Sessions
from tests.flows.conftest import World

pytestmark = pytest.mark.anyio

DAY = timedelta(days=1)
MAP, ARRAY = range(0x80, 0x90), range(0x90, 0xA0)


def sessions_of(world: World, wait: timedelta) -> Sessions:
    client_key = world.simulator.settings.client_key
    return Sessions(world.store, world.keyring, world.limits, client_key=client_key, compact_after=wait)


def make_grant(world: World) -> Grant:
    now = world.clock()
    tokens = TokenSet("-000ada", "act.1", "rft.1", ("user.info.basic",), now, now + DAY, now + 365 * DAY)
    profile = Profile("-000ada", "union", "ada", "Ada", "https://p16.example/a.jpg", True, 1, 2, 3, 4)
    return Grant(tokens=tokens, profile=profile, profile_read_at=now, wanted=tokens.scopes)


class Stored:
    """What stands in the store of one person."""

    def __init__(self, world: World, session_id: str) -> None:
        self.world = world
        self.session_key = str(build_session_key(session_id.encode()))
        client_key = world.simulator.settings.client_key
        self.grant_key = build_grant_key(client_key, "-000ada")
        self.index = build_index_key(client_key, "-000ada")

    async def forms(self) -> tuple[int, int]:
        """Return the first bytes of session and grant."""
        session, grant = await self.world.store.read_many((self.session_key, self.grant_key))
        assert session is not None
        assert grant is not None
        keyring = self.world.keyring
        opened = keyring.open("session", session, context=self.session_key.encode())
        return opened[0], keyring.open("grant", grant, context=self.grant_key.encode())[0]

    async def members(self) -> list[str]:
        return await self.world.store.members(self.index, now=0)


async def test_till_the_window_is_over_all_is_as_earlier_versions_write_it(world: World) -> None:
    sessions, grant = sessions_of(world, DAY), make_grant(world)
    stored = Stored(world, await sessions.begin(grant, user_agent="test", now=world.clock()))
    assert all(form in MAP for form in await stored.forms())
    assert await stored.members() == [stored.session_key]


async def test_then_what_is_written_is_compact_and_what_there_is_goes_on(world: World) -> None:
    sessions, grant = sessions_of(world, DAY), make_grant(world)
    before = Stored(world, await sessions.begin(grant, user_agent="before", now=world.clock()))
    world.clock.forward(DAY)
    after = Stored(world, await sessions.begin(grant, user_agent="after", now=world.clock()))
    assert all(form in ARRAY for form in await after.forms())
    assert (await before.forms())[0] in MAP

    found = await sessions.read(before.session_key, world.clock())
    assert found is not None
    assert found.grant == grant
    now = world.clock()
    await sessions.touch(found, now)
    assert (await before.forms())[0] in ARRAY
    again = await sessions.read(before.session_key, now)
    assert again is not None
    assert again.session == found.session.touched(now)


async def test_an_index_of_both_forms_is_one_index(world: World) -> None:
    sessions, grant = sessions_of(world, DAY), make_grant(world)
    before = Stored(world, await sessions.begin(grant, user_agent="before", now=world.clock()))
    world.clock.forward(DAY)
    after = Stored(world, await sessions.begin(grant, user_agent="after", now=world.clock()))
    assert sorted(await after.members()) == sorted((before.session_key, after.session_key.removeprefix(SESSION_KEY)))
    assert set(await sessions.keys_of("-000ada", world.clock())) == {before.session_key, after.session_key}

    for stored, left in ((before, [after.session_key.removeprefix(SESSION_KEY)]), (after, [])):
        found = await sessions.read(stored.session_key, world.clock())
        assert found is not None
        await sessions.end(found)
        assert await after.members() == left
    assert await world.store.read(after.grant_key) is None  # went with the last


async def test_signing_out_everywhere_finds_both(world: World) -> None:
    sessions, grant = sessions_of(world, DAY), make_grant(world)
    before = Stored(world, await sessions.begin(grant, user_agent="before", now=world.clock()))
    world.clock.forward(DAY)
    after = Stored(world, await sessions.begin(grant, user_agent="after", now=world.clock()))
    ended = await sessions.sign_out_all("-000ada", world.clock())
    assert set(ended) == {before.session_key, after.session_key}
    assert await world.store.read_many((before.session_key, after.session_key)) == [None, None]


async def test_gateways_agree_on_the_moment(world: World) -> None:
    """The window begins with the first of them, and a restart does not prolong it."""
    first = RecordForm(world.store, DAY)
    assert not await first.settle(world.clock())
    world.clock.forward(DAY / 2)
    second = RecordForm(world.store, DAY)
    assert not await second.settle(world.clock())
    world.clock.forward(DAY / 2)
    assert await second.settle(world.clock())
    assert await first.settle(world.clock())
    assert await RecordForm(world.store, DAY).settle(world.clock())


async def test_no_window_is_asked_for(world: World) -> None:
    assert not await RecordForm(world.store, DAY).settle(world.clock())
    assert await RecordForm(world.store, timedelta()).settle(world.clock())


@pytest.mark.parametrize("noted", [b"", b"soon", b"9" * 30, b"-" + b"9" * 18])
async def test_what_somebody_else_has_left_there_is_noted_anew(world: World, noted: bytes) -> None:
    await world.store.write(KEY, noted, 60)
    assert not await RecordForm(world.store, DAY).settle(world.clock())
    world.clock.forward(DAY)
    assert await RecordForm(world.store, DAY).settle(world.clock())


async def test_while_redis_is_away_nothing_is_decided(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    form, read = RecordForm(world.store, timedelta()), world.store.read

    async def away(key: str) -> bytes | None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(world.store, "read", away)
    with pytest.raises(StoreUnavailable):
        await form.settle(world.clock())
    assert not form.compact
    monkeypatch.setattr(world.store, "read", read)
    assert await form.settle(world.clock())
