"""What is under way for people who are signed in, and its end when they no longer are (session revocation).

Rules
1. Whoever lets a request or a WebSocket in keeps it in `Live` until it is over.
2. When the store tells that a session or a grant has changed, wherever that was done, what leans on it is judged
   again, by the same gate that let it in. So sign-out, revocation, an event of TikTok's, a lost scope and expiry all
   end alike, on every replica. A token refresh is a change, too, and ends nothing.
3. While changes are not told, the store says `None` about once a second, and everything is judged again.
4. A WebSocket ends at once. A request has `GRACE` to end by itself: most do, and a page that signs somebody out may be
   the one that asked for it.
5. A store that does not answer ends nothing.
6. A WebSocket of a session that is bound to a device outlives the proof with which it was opened by `SOCKET_LASTS`,
   and not for ever, as a thief would like. It is told that we are going away: its browser opens another one.
7. When other rules come into force (a reload), everything that was let in by the rules of before is judged by them.

Application close codes (RFC 6455 §7.4.2): 4401 the session ended, 4403 access was taken away. 1001 is "going away".
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

import msgspec

from gateway.core.frames import GOING_AWAY
from gateway.core.path import CanonicalPath
from gateway.core.policy import needs_caller
from gateway.errors import Forbidden, GatewayError, MalformedRequest, ProviderError, SessionEnded, StoreUnavailable
from gateway.flows.gate import Gate, Passage
from gateway.flows.memory import KnownCaller
from gateway.tasks import stop
from gateway.telemetry.logs import log

SIGNED_OUT: Final = 4401
FORBIDDEN: Final = 4403

TICK: Final = 1.0
"""Seconds between two looks for what is due."""
GATHER: Final = 0.2
"""Seconds in which changes are gathered, so that many cost one look."""
GRACE: Final = 1.0
"""Seconds that a request has to end by itself; see `seconds_of_grace`."""
SOCKET_LASTS: Final = timedelta(hours=1)
"""How long a WebSocket may outlive the proof of the device that it was opened with."""
_AT_ONCE: Final = 500
"""Most sessions that are judged at the same time."""


class Asked(NamedTuple):
    """What a request asks for, as far as rules see it, and whose session it names; "" for nobody's."""

    method: str
    host: str
    path: CanonicalPath
    session_key: str


class Open(Protocol):
    """A request under way, or a WebSocket."""

    passage: Passage | None
    """What let it in; None: nothing yet."""

    @property
    def asked(self) -> Asked | None:
        """What it asks for, should other rules come into force; None: it is judged by its route as it was."""

    def end(self, code: int) -> None:
        """End it: with that close code, or with the error for it (see `why`)."""


class Carrier(Protocol):
    """A connection, on which one request is under way at a time."""

    @property
    def under_way(self) -> Open | None:
        """That request."""

    def forget(self) -> None:
        """Keep nothing that was found out under the rules of before."""


class Live:
    """What is under way in this process: some by itself, some on a connection that is always here.

    So the short way of a request need not pass by here at all. All generations of a process have one.
    """

    def __init__(self) -> None:
        self.opened: set[Open] = set()
        self.carriers: set[Carrier] = set()

    def count_websockets(self) -> int:
        """Return how many WebSockets are open."""
        return sum(isinstance(each, OpenSocket) for each in tuple(self.opened))

    def close_websockets(self) -> None:
        """Close every WebSocket, since the process is about to end. Requests may finish."""
        for each in tuple(self.opened):
            if isinstance(each, OpenSocket):
                each.end(GOING_AWAY)

    def let_in(self) -> Iterator[tuple[Open, Passage]]:
        """Yield what was let in, and by what."""
        carried = [carrier.under_way for carrier in self.carriers]
        for each in (*self.opened, *carried):  # a copy: other threads may add to it
            passage = each.passage if each is not None else None
            if each is not None and passage is not None:
                yield each, passage


class OpenSocket:
    """A WebSocket; `close` closes it with a code."""

    __slots__ = ("_close", "_open", "asked", "close_code", "passage")

    def __init__(self, passage: Passage, close: Callable[[int], None], asked: Asked | None = None) -> None:
        self.passage: Passage | None = passage
        self.asked = asked
        self.close_code: int | None = None  # once we have decided to end it
        self._close = close
        self._open = True

    def let_go(self) -> None:
        """Close it no more: it is closed."""
        self._open = False

    def end(self, code: int) -> None:
        """Close it from our side."""
        if self.close_code is None and self._open:
            self.close_code = code
            self._close(code)


class Watch:
    """Ends what may no longer go on. `note` is to be called with each change that the store tells."""

    def __init__(self, live: Live, gate: Gate, *, clock: Callable[[], datetime]) -> None:
        self._live = live
        self._gate = gate
        self._clock = clock
        self._changed: set[str] = set()
        self._everything = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def note(self, key: str | None) -> None:
        """Note that a session or grant has changed; None: anything may have."""
        if key is None:
            self._everything = True
        else:
            self._changed.add(key)
        self._wake.set()
        if self._task is None and not self._closed:  # whatever tells a change runs in the event loop
            self._task = asyncio.get_running_loop().create_task(self._run(), name="live")

    def start(self) -> None:
        """Begin with the first change: nothing is under way before."""

    async def close(self) -> None:
        """Stop watching."""
        self._closed = True
        if self._task is not None:
            await stop(self._task)

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(TICK):
                    await self._wake.wait()
                    await asyncio.sleep(GATHER)
            except TimeoutError:
                pass
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 -- a bug in one look must not end all further ones
                log.error("bug", exc_info=error)

    async def look(self) -> None:
        """Judge again what leans on a change, or whose time has come, and end what is not admitted any more."""
        self._wake.clear()
        changed, self._changed = self._changed, set()
        everything, self._everything = self._everything, False
        now, due = self._clock(), defaultdict[str, list[tuple[Open, Passage]]](list)
        for each, passage in self._live.let_in():
            if isinstance(each, OpenSocket) and _outlasts_proof(passage, now):
                each.end(GOING_AWAY)
            elif not self._gate.has(passage.match):  # other rules are in force than when it was let in
                asked = each.asked
                due[passage.session_key or (asked.session_key if asked is not None else "")].append((each, passage))
            elif passage.caller is not None and (everything or _is_due(passage, changed, now)):
                due[passage.session_key].append((each, passage))
        groups = list(due.items())
        for start in range(0, len(groups), _AT_ONCE):
            batch = groups[start : start + _AT_ONCE]
            await asyncio.gather(*(self._judge(session_key, group) for session_key, group in batch))

    async def _judge(self, session_key: str, group: list[tuple[Open, Passage]]) -> None:
        """Judge all that leans on one session; "": on none."""
        try:
            caller = await self._gate.read_caller(session_key) if session_key else None
        except (StoreUnavailable, ProviderError):
            self._changed.add(session_key)  # with the next look
            return
        for each, passage in group:
            if caller is None and passage.caller is not None:
                each.end(SIGNED_OUT)
            elif (again := self._judge_one(each, passage, caller)) is not None:
                each.passage = msgspec.structs.replace(again, until=passage.until)
            elif passage.caller is not None or each.asked is None or each.asked.method != "OPTIONS":
                each.end(FORBIDDEN)  # a preflight passes as nobody, and is over soon

    def _judge_one(self, each: Open, passage: Passage, caller: KnownCaller | None) -> Passage | None:
        match, asked = passage.match, each.asked
        if asked is None or self._gate.has(match):
            return self._gate.admit(match, caller)
        try:
            found = self._gate.match(asked.method, asked.host, asked.path)
        except MalformedRequest:  # the path has a form that the route does not take
            return None
        return self._gate.admit(found, caller if needs_caller(found) else None)


def seconds_of_grace(began_at: float, now: float) -> float:
    """Return how many seconds a request that began at `began_at` still has to end by itself, by the same clock."""
    return max(0.0, began_at + GRACE - now)


def why(code: int) -> GatewayError:
    """Return the error for what ends with a close code."""
    if code == SIGNED_OUT:
        return SessionEnded("the session ended while the request was under way")
    return Forbidden("what the request needs was taken away while it was under way")


def _outlasts_proof(passage: Passage, now: datetime) -> bool:
    return passage.until is not None and now >= passage.until + SOCKET_LASTS


def _is_due(passage: Passage, changed: set[str], now: datetime) -> bool:
    caller = passage.caller
    if caller is None:
        return False
    signed_in = caller.signed_in
    return now >= caller.settled_until or signed_in.session_key in changed or signed_in.session.grant_key in changed
