"""The app in this process is told of each sign-in, by a function of its own (hook, signal, webhook without HTTP).

It is told once the session is written, before the visitor goes on, so that the app can have its own record of a person
before their first request. A sign-in does not fail for it: by then the person is signed in, and would be told first
another time, so an app that could not keep its record must be able to make it later in any case.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

import msgspec

from gateway.core.identity import Identity
from gateway.telemetry.logs import log

LONGEST: Final = timedelta(seconds=10)
"""How long a visitor waits for the app's function; it is cancelled then, unless it runs in a thread of its own."""


class NewSignIn(msgspec.Struct, frozen=True):
    """Somebody has signed in.

    `first` says that nothing was known of them here: they come for the first time, or anew after they had signed out
    everywhere or taken the app off at TikTok. So it is a hint, and the app's own database has the last word.
    """

    person: Identity
    first: bool

    @property
    def open_id(self) -> str:
        """The one stable id of the person in this app."""
        return self.person.open_id

    @property
    def scopes(self) -> tuple[str, ...]:
        """What they have granted."""
        return self.person.scopes


SignInHook = Callable[[NewSignIn], Awaitable[None] | None]
"""A coroutine function, or a plain one, which may block: it is called in a thread."""


async def call_hook(hook: SignInHook, sign_in: NewSignIn) -> None:
    """Tell the app; what its function raises, and that it takes too long, is told in the log."""
    try:
        async with asyncio.timeout(LONGEST.total_seconds()):
            may_block = not inspect.iscoroutinefunction(hook)
            told = await asyncio.to_thread(hook, sign_in) if may_block else hook(sign_in)
            if told is not None:
                await told
    except Exception as error:  # noqa: BLE001 -- the app's own affair, and no reason to fail the sign-in
        log.error("on_sign_in_failed", session=sign_in.person.session_id, exc_info=error)
