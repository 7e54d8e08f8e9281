"""Sessions and grants in pages: all are found, and no page costs more than a few steps."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from gateway.core.grant import Grant
from gateway.core.keyring import Keyring
from gateway.core.session import SessionLimits
from gateway.core.tiktok import Profile, TokenSet
from gateway.errors import MalformedRequest
from gateway.flows.listing import MOST, SPARE, STEPS, STRIDE, Listing, Position
from gateway.flows.oversight import SessionView, is_named
from gateway.flows.sessions import Sessions
from gateway.store.redis import RedisStore
from tests.redis_server import RedisServer
from tests.store.stores import open_at

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 24, 12, 5, tzinfo=UTC)
LIMITS = SessionLimits(idle=timedelta(days=7), absolute=timedelta(days=30))


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest) -> AsyncGenerator[RedisStore]:
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        server.command("FLUSHALL")
        store = open_at(server.url)
    else:
        store = open_at("memory://")
    yield store
    await store.close()


def sessions_in(store: RedisStore, keyring: Keyring | None = None) -> Sessions:
    return Sessions(store, keyring or Keyring([b"k" * 32]), LIMITS, client_key="app")


def listing_of(store: RedisStore, sessions: Sessions | None = None) -> Listing:
    return Listing(store, sessions or sessions_in(store), LIMITS, clock=lambda: NOW)


def grant_of(name: str) -> Grant:
    later = NOW + timedelta(days=1)
    tokens = TokenSet(f"-{name}", "act." + name, "rft." + name, ("user.info.basic",), NOW, later, later)
    return Grant(tokens=tokens, profile=Profile(open_id=f"-{name}", username=name), profile_read_at=NOW)


async def begin(sessions: Sessions, *names: str) -> None:
    for name in names:
        await sessions.begin(grant_of(name), user_agent="UA", now=NOW)


async def pages(listing: Listing, most: int, subject: str | None = None) -> AsyncIterator[list[str]]:
    cursor: str | None = ""
    while cursor is not None:
        page = await listing.sessions(cursor, most, subject=subject)
        yield [each.session_id for each in page.sessions]
        cursor = page.next


@pytest.mark.parametrize("most", [1, 7, 50, MOST])
async def test_every_session_is_on_some_page_and_no_page_is_too_long(store: RedisStore, most: int) -> None:
    sessions = sessions_in(store)
    await begin(sessions, *(f"p{number}" for number in range(60)), *["many"] * 40)
    found = [page async for page in pages(listing_of(store), most)]
    assert all(len(page) <= most for page in found)
    assert len({each for page in found for each in page}) == 100
    of_one = [page async for page in pages(listing_of(store), most, "-many")]
    assert all(len(page) <= most for page in of_one)
    assert len([each for page in of_one for each in page]) == 40
    assert {each for page in of_one for each in page} < {each for page in found for each in page}


async def test_a_page_has_who_it_is_and_never_a_token(store: RedisStore) -> None:
    await begin(sessions_in(store), "ada")
    (session,) = (await listing_of(store).sessions()).sessions
    (grant,) = (await listing_of(store).grants()).grants
    assert (session.open_id, session.username, session.scopes) == ("-ada", "ada", ("user.info.basic",))
    assert (grant.open_id, grant.username) == ("-ada", "ada")
    for each in (session, grant):
        assert b"act." not in msgspec.json.encode(each)
        assert b"rft." not in msgspec.json.encode(each)


async def test_among_very_many_others_keys_a_page_is_a_few_steps(store: RedisStore) -> None:
    """A store that is shared: 30 000 keys of somebody else's, and one session."""
    await begin(sessions_in(store), "ada")
    await store._client.mset({f"other:{number}": "x" for number in range(30_000)})
    steps: list[int] = []
    step = store.step

    async def count(kind: str, at: str, stride: int) -> tuple[list[str], str | None]:
        steps.append(stride)
        return await step(kind, at, stride)

    store.step = count  # type: ignore[method-assign,assignment]
    found, cursor, rounds = 0, "", 0
    while True:
        steps.clear()
        page = await listing_of(store).sessions(cursor, 5)
        assert len(steps) <= STEPS
        assert max(steps) <= STRIDE
        found, rounds = found + len(page.sessions), rounds + 1
        if page.next is None:
            break
        cursor = page.next
    assert found == 1
    assert 1 < rounds < 20


class Crowded:
    """A store whose steps find more than they were asked for."""

    def __init__(self, store: RedisStore) -> None:
        self.store = store

    async def step(self, kind: str, at: str, count: int) -> tuple[list[str], str | None]:
        first = int(at or "0")
        then = min(first + count + SPARE, 500)
        return [f"{kind}{number:064}" for number in range(first, then)], str(then) if then < 500 else None

    def walk(self, kind: str) -> AsyncIterator[str]:
        return self.store.walk(kind)


@pytest.mark.parametrize("most", [1, 10, 300])
async def test_what_a_step_finds_too_much_is_on_the_next_page(store: RedisStore, most: int) -> None:
    listing = Listing(Crowded(store), sessions_in(store), LIMITS, clock=lambda: NOW)
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        keys, cursor = await listing._find("session:", cursor, most)
        assert len(keys) <= most
        assert len(cursor or "") < 8192
        found += keys
    assert found == [f"session:{number:064}" for number in range(500)]


async def test_sessions_that_another_key_has_sealed_are_counted(store: RedisStore) -> None:
    await begin(sessions_in(store, Keyring([b"x" * 32])), "ada", "bob")
    unreadable: set[str] = set()
    page = await listing_of(store).sessions(unreadable=unreadable)
    assert (page.sessions, page.next, len(unreadable)) == ((), None, 2)


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "é",
        "AAAA",
        "=" * 4,
        "A" * 10_000,
        "\0",
        Position("not a number").write() or "",
        Position("-5").write() or "",
    ],
)
async def test_a_cursor_that_no_page_has_named_is_refused(store: RedisStore, cursor: str) -> None:
    with pytest.raises(MalformedRequest, match="cursor"):
        await listing_of(store).sessions(cursor)


async def test_people_are_found_by_name_in_any_case(store: RedisStore) -> None:
    sessions = sessions_in(store)
    await begin(sessions, "Ada", "Ada", "bob")
    listing = listing_of(store)
    assert [grant.open_id for grant in (await listing.grants(username="@aDA")).grants] == ["-Ada"]
    assert (await listing.grants(username="ad")).grants == ()
    found = [session.open_id async for session in listing.every_session(username="ada")]
    assert found == ["-Ada", "-Ada"]
    assert [session async for session in listing.every_session(username="ada", subject="-bob")] == []


async def test_who_has_no_username_is_found_by_how_their_name_begins(store: RedisStore) -> None:
    sessions = sessions_in(store)
    for name in ("Ada  Lovelace", "\U0001d4d0\U0001d4ed\U0001d4ea \u2728", "Bob", None):
        grant = grant_of(name or "nameless")
        profile = msgspec.structs.replace(grant.profile, username=None, display_name=name)
        await sessions.begin(msgspec.structs.replace(grant, profile=profile), user_agent="UA", now=NOW)
    await begin(sessions, "adalbert")
    listing = listing_of(store)

    async def found(name: str) -> set[str | None]:
        grants = {each.display_name or each.username async for each in listing.every_grant(name=name)}
        assert grants == {each.display_name or each.username async for each in listing.every_session(name=name)}
        of_pages = (await listing.sessions(name=name)).sessions
        assert grants == {each.display_name or each.username for each in of_pages}
        return grants

    assert await found("ADA") == {"Ada  Lovelace", "\U0001d4d0\U0001d4ed\U0001d4ea \u2728", "adalbert"}
    assert await found("ada love") == {"Ada  Lovelace"}
    assert await found("@adal") == {"adalbert"}
    assert await found("ovelace") == set()


def test_a_name_that_is_longer_than_any_is_nobodys_and_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """In its other form one letter may be eighteen: for each of a thousand people that held up everybody."""
    who = SessionView("id", "-000ada", None, "\ufdfa" * 200, (), NOW, NOW, NOW, "")
    monkeypatch.setattr("gateway.flows.oversight._plain", lambda _: pytest.fail("it was worked out"))
    assert not is_named(who, "\ufdfa" * 101)
