"""`gateway sessions` and `gateway grants`: the operator's view, straight on the store.

No gateway has to run: whatever is changed, the replicas that do run hear of it from Redis.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from gateway.cli.document import print_document
from gateway.printable import escape_controls
from gateway.runtime.oversight import (
    GrantView,
    Overseen,
    SessionView,
    describe_unreadable,
    describe_user_agent,
    oversee,
)
from gateway.settings import Problem, find, load

T = TypeVar("T")
Environ = Mapping[str, str]
_PENDING: Final = "TikTok has not confirmed yet; a gateway that runs will ask again, and erase the rest then"

_NAMELESS: Final = "TikTok tells it only of who has granted user.info.profile: --name looks for display names, too"


class Called(NamedTuple):
    """Whose are listed: of a username, of a name that begins so; of everybody, where both are empty."""

    username: str = ""
    name: str = ""


def list_sessions(
    config: Path | None, environ: Environ, *, user: str, called: Called, limit: int, as_json: bool
) -> int:
    """Print live sessions; returns the exit code, 1 when there are records that cannot be opened."""
    unreadable: set[str] = set()

    async def take(overseen: Overseen) -> list[SessionView]:
        found = overseen.listing.every_session(subject=user or None, **called._asdict(), unreadable=unreadable)
        return await _take(found, limit)

    found = _do(config, environ, take)
    if as_json:
        return print_document({"sessions": [*map(_plain, found)]}, problems=_read_unreadable(unreadable))
    _hint(called, found)
    _print(found, ("session_id", "open_id", "username", "display_name", "last_seen_at", "device"))
    return _tell_unreadable(unreadable)


def show_session(config: Path | None, environ: Environ, session_id: str, *, user: str, as_json: bool) -> int:
    """Print one session; returns the exit code."""
    unreadable: set[str] = set()
    found = _do(config, environ, lambda overseen: overseen.oversight.find_session(session_id, user or None, unreadable))
    if found is None:
        return _tell_none(session_id, unreadable, as_json=as_json)
    return print_document({"session": _plain(found)}) if as_json else _print_one(found)


def revoke_sessions(config: Path | None, environ: Environ, session_id: str, *, user: str, as_json: bool) -> int:
    """End one session, or all of a person; returns the exit code."""
    if not session_id and not user:
        return _complain("which? Name a session, or a person with --user OPEN_ID", code=2)
    if session_id:
        unreadable: set[str] = set()
        ended = int(
            _do(config, environ, lambda overseen: overseen.oversight.end_session(session_id, user or None, unreadable))
        )
        if not ended:
            return _tell_none(session_id, unreadable, as_json=as_json)
    else:
        ended = _do(config, environ, lambda overseen: overseen.oversight.end_sessions(user))
    return _tell({"ended": ended}, f"ended {ended} session{'' if ended == 1 else 's'}", as_json=as_json)


def list_grants(config: Path | None, environ: Environ, *, called: Called, limit: int, as_json: bool) -> int:
    """Print grants; returns the exit code, 1 when there are records that cannot be opened."""
    unreadable: set[str] = set()

    async def take(overseen: Overseen) -> list[GrantView]:
        return await _take(overseen.listing.every_grant(**called._asdict(), unreadable=unreadable), limit)

    found = _do(config, environ, take)
    if as_json:
        return print_document({"grants": found}, problems=_read_unreadable(unreadable))
    _hint(called, found)
    _print(found, ("open_id", "username", "display_name", "scopes", "refresh_expires_at"))
    return _tell_unreadable(unreadable)


def revoke_grant(config: Path | None, environ: Environ, user: str, *, as_json: bool) -> int:
    """End a grant; returns the exit code."""
    if not _do(config, environ, lambda overseen: overseen.oversight.revoke_grant(user)):
        return _refuse(f"there is no grant of {user}", as_json=as_json)
    return _tell({"ended": 1}, "ended the grant, here and at TikTok", as_json=as_json)


def erase(config: Path | None, environ: Environ, user: str, *, even_unreadable: bool, as_json: bool) -> int:
    """Erase what is known of a person; returns the exit code.

    1 while TikTok has not confirmed, and when there was nothing of such a person: it may be a slip of the hand.
    """
    erased = _do(config, environ, lambda overseen: overseen.oversight.erase(user, even_unreadable=even_unreadable))
    wrong = _PENDING if erased.pending else f"nothing was kept of {user}: is that the open_id?" * erased.was_nobody
    if as_json:
        return print_document({"erased": erased}, problems=[Problem("", "", wrong)] if wrong else [])
    _print_one(erased)
    return _complain(wrong) if wrong else 0


def _do(config: Path | None, environ: Environ, act: Callable[[Overseen], Coroutine[Any, Any, T]]) -> T:
    settings = load(find(environ, config), environ, needs_upstream=False)

    async def within() -> T:
        async with oversee(settings) as overseen:
            return await act(overseen)

    return asyncio.run(within())


async def _take(items: AsyncIterator[T], limit: int) -> list[T]:
    taken: list[T] = []
    async for item in items:
        taken.append(item)
        if len(taken) == limit:
            print(f"gateway: only the first {limit}: there may be more, see --limit", file=sys.stderr)
            break
    return taken


def _hint(called: Called, found: Sequence[msgspec.Struct]) -> None:
    """Say why nobody may be found by a username that is right."""
    if called.username and not found:
        print(f"gateway: nobody has that username here; {_NAMELESS}", file=sys.stderr)


def _print(found: Sequence[msgspec.Struct], columns: Sequence[str]) -> None:
    rows = [_plain(each) for each in found]
    table = [columns, *([_cell(row[column]) for column in columns] for row in rows)]
    widths = [max(len(line[number]) for line in table) for number in range(len(columns))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _print_one(found: msgspec.Struct) -> int:
    for name, value in _plain(found).items():
        print(f"{name}: {_cell(value)}")
    return 0


def _tell(value: Mapping[str, object], words: str, *, as_json: bool) -> int:
    if as_json:
        return print_document(value)
    print(words)
    return 0


def _refuse(words: str, *, as_json: bool) -> int:
    return print_document(problems=[Problem("", "", words)]) if as_json else _complain(words)


def _tell_none(session_id: str, unreadable: Collection[str], *, as_json: bool) -> int:
    """Say that a session is not there, and that it may be among what cannot be opened."""
    words = f"there is no live session {session_id}"
    if as_json:
        return print_document(problems=[*_read_unreadable(unreadable), Problem("", "", words)])
    _tell_unreadable(unreadable)
    return _complain(words)


def _complain(words: str, *, code: int = 1) -> int:
    print(f"gateway: {escape_controls(words)}", file=sys.stderr)
    return code


def _read_unreadable(unreadable: Collection[str]) -> list[Problem]:
    return [Problem("", "secret_keys", describe_unreadable(unreadable))] if unreadable else []


def _tell_unreadable(unreadable: Collection[str]) -> int:
    return _complain(describe_unreadable(unreadable)) if unreadable else 0


def _plain(found: msgspec.Struct) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(found)
    if isinstance(found, SessionView):
        plain["device"] = describe_user_agent(found.user_agent)
    return plain


def _cell(value: object) -> str:
    text = ",".join(value) if isinstance(value, list | tuple) else "" if value is None else str(value)
    # whatever a browser or TikTok called itself: never a control character on a terminal
    return escape_controls(text)
