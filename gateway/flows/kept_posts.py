"""Forms that wait in the store for their sender's sign-in.

A form may have as many bytes as a hundred attempts, so attempts alone would not bound what strangers can fill the store
with: the bytes of all forms in a minute are counted too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from gateway.core.binding import Binding, is_opaque
from gateway.core.kept_post import KEPT_LASTS, MOST_BYTES, KeptPost, build_post_key, new_post_id, read_post
from gateway.core.keyring import Keyring
from gateway.core.record import read_record, seal_record
from gateway.core.request import RequestHead
from gateway.errors import SignInsBusy
from gateway.flows.attempt_limit import WINDOW
from gateway.flows.ports import Counter, Records

MOST_OF_ALL: Final = 4 * 1024 * 1024
"""Most bytes that are kept in a minute, of whomever: some 60 MiB at a time."""

ReadBody = Callable[[int], Awaitable[bytes | None]]
"""Reads a request's whole body, of so many bytes at most; None when there are more."""


class PostStore(Records, Counter, Protocol):
    """What forms are kept in, and their bytes counted."""


class KeptPosts:
    """Keeps forms, and gives each back once. `count_attempt` limits one client address, as for sign-ins."""

    def __init__(self, store: PostStore, keyring: Keyring, count_attempt: Callable[[str], Awaitable[None]]) -> None:
        self._store = store
        self._keyring = keyring
        self._count_attempt = count_attempt

    async def keep(self, head: RequestHead, read_body: ReadBody, binding: Binding) -> str | None:
        """Keep the form of a request that `may_be_kept`; returns its id, or None when it cannot be kept.

        Raises `TooManyAttempts` or `SignInsBusy`, the latter also where all have sent too much, and `StoreUnavailable`.
        """
        await self._count_attempt(head.client_address)
        body = await read_body(MOST_BYTES)
        post = read_post(head, body, binding) if body is not None else None
        if post is None:
            return None
        post_id = new_post_id()
        key = build_post_key(post_id)
        sealed = seal_record(self._keyring, key, post)
        if await self._store.increment("kept-bytes", ttl=WINDOW, by=len(sealed)) > MOST_OF_ALL:
            raise SignInsBusy(f"forms of more than {MOST_OF_ALL >> 20} MiB a minute are to be kept: see `keep_post`")
        await self._store.write(key, sealed, int(KEPT_LASTS.total_seconds()))
        return post_id

    async def take(self, post_id: str, bindings: Sequence[Binding]) -> KeptPost | None:
        """Return a form to the browser that sent it, once; another browser's stays where it is."""
        if not is_opaque(post_id):
            return None
        key = build_post_key(post_id)
        sealed = await self._store.read(key)
        post = read_record(self._keyring, key, sealed, KeptPost)
        if post is None or not any(map(post.belongs_to, bindings)) or await self._store.take(key) != sealed:
            return None
        return post
