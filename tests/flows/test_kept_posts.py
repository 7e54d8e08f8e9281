"""Forms that wait for their sender: given back once, to the browser that sent them, and bounded for all together."""

from __future__ import annotations

import asyncio

import pytest

from gateway.core.binding import Binding, new_binding
from gateway.core.kept_post import KEPT_LASTS, MOST_BYTES, build_post_key, new_post_id
from gateway.core.keyring import Keyring
from gateway.core.path import canonicalise
from gateway.core.request import RequestHead
from gateway.errors import SignInsBusy, TooManyAttempts
from gateway.flows import kept_posts
from gateway.flows.kept_posts import KeptPosts
from tests.flows.conftest import World

pytestmark = pytest.mark.anyio

HEAD = RequestHead(
    method="POST",
    scheme="https",
    host="app.example",
    path=canonicalise(b"/form"),
    query=b"a=1",
    raw_target=b"/form?a=1",
    headers=((b"host", b"app.example"), (b"content-type", b"application/x-www-form-urlencoded")),
    client_address="192.0.2.7",
)
FORM = b"text=very+private"


class Shelf:
    """Kept forms; `counted` are the addresses for which an attempt was counted."""

    def __init__(self, world: World, keyring: Keyring | None = None) -> None:
        self.counted: list[str] = []
        self.most = 1000
        self.asked: list[int] = []
        self.posts = KeptPosts(world.store, keyring or world.keyring, self._count)

    async def _count(self, address: str) -> None:
        self.counted.append(address)
        if len(self.counted) > self.most:
            raise TooManyAttempts("enough")

    async def keep(self, binding: Binding, body: bytes | None = FORM) -> str | None:
        async def read_body(limit: int) -> bytes | None:
            self.asked.append(limit)
            return body

        return await self.posts.keep(HEAD, read_body, binding)


@pytest.fixture
async def shelf(world: World) -> Shelf:
    return Shelf(world)


async def test_it_is_given_back_once(shelf: Shelf) -> None:
    binding = new_binding()
    post_id = await shelf.keep(binding)
    assert post_id is not None
    post = await shelf.posts.take(post_id, [new_binding(), binding])
    assert post is not None
    assert (post.target, [(field.name, field.value) for field in post.fields]) == (
        "/form?a=1",
        [("text", "very private")],
    )
    assert await shelf.posts.take(post_id, [binding]) is None


async def test_of_many_who_ask_at_once_one_gets_it(shelf: Shelf) -> None:
    binding = new_binding()
    post_id = await shelf.keep(binding)
    assert post_id is not None
    found = await asyncio.gather(*(shelf.posts.take(post_id, [binding]) for _ in range(10)))
    assert sum(post is not None for post in found) == 1


async def test_another_browser_neither_gets_it_nor_takes_it_away(shelf: Shelf) -> None:
    binding = new_binding()
    post_id = await shelf.keep(binding)
    assert post_id is not None
    for others in ([], [new_binding()], [new_binding() for _ in range(8)]):
        assert await shelf.posts.take(post_id, others) is None
    assert await shelf.posts.take(post_id, [binding]) is not None


@pytest.mark.parametrize("post_id", ["", "x", "x" * 44, "../" + "x" * 40, "é" * 43])
async def test_what_is_no_id_of_ours_is_not_looked_for(shelf: Shelf, world: World, post_id: str) -> None:
    async def never(key: str) -> bytes | None:
        raise AssertionError(f"{key} was read")

    world.store.read = never  # type: ignore[method-assign]
    assert await shelf.posts.take(post_id, [new_binding()]) is None


async def test_an_id_that_names_nothing_is_no_form(shelf: Shelf) -> None:
    assert await shelf.posts.take(new_post_id(), [new_binding()]) is None


async def test_what_is_stored_is_sealed_and_ends_by_itself(shelf: Shelf, world: World) -> None:
    binding = new_binding()
    post_id = await shelf.keep(binding)
    assert post_id is not None
    key = build_post_key(post_id)
    sealed = await world.store.read(key)
    assert sealed is not None
    assert b"private" not in sealed
    assert post_id not in key
    assert 0 < await world.store._client.ttl("test:" + key) <= KEPT_LASTS.total_seconds()
    assert await Shelf(world, Keyring([b"other" * 8])).posts.take(post_id, [binding]) is None
    assert await shelf.posts.take(post_id, [binding]) is not None


async def test_a_sender_is_counted_before_the_body_is_read_and_no_more_is_read_than_may_be_kept(shelf: Shelf) -> None:
    assert await shelf.keep(new_binding(), None) is None  # too large
    assert (shelf.counted, shelf.asked) == (["192.0.2.7"], [MOST_BYTES])
    shelf.most = 1
    with pytest.raises(TooManyAttempts):
        await shelf.keep(new_binding())
    assert shelf.asked == [MOST_BYTES]


async def test_the_bytes_of_all_are_bounded_and_what_is_too_much_is_not_stored(
    shelf: Shelf, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_posts, "MOST_OF_ALL", 3000)
    large = b"text=" + b"x" * 1000
    for _ in range(2):
        assert await shelf.keep(new_binding(), large) is not None
    with pytest.raises(SignInsBusy):
        await shelf.keep(new_binding(), large)
    assert len([key async for key in world.store.walk("kept-post:")]) == 2
