"""`POST /reload` on the admin listener: read the settings anew, and say what became of it.

It wants one of `admin.keys`. Over a unix socket it wants none: whoever may open that is let in by its permissions. A
request that a browser makes is refused (CSRF).
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import msgspec
from starlette.requests import Request

from gateway.core.audit import Asker, AuditEvent, What, Who
from gateway.errors import CrossSite, SettingsError
from gateway.flows.audit import Announce, asked_by, keep_silent
from gateway.flows.operator_sign_in import OperatorKeys
from gateway.web.admin.key import read_key
from gateway.web.answers.answer import Answer, json_answer, send_answer, text_answer

PATH: Final = "/reload"


class ReloadOutcome(msgspec.Struct, frozen=True):
    """What became of a reload."""

    applied: bool
    reason: str = ""
    """Why it was refused."""
    changed: tuple[str, ...] = ()
    """Top-level keys of the settings that are others now."""
    needs_restart: tuple[str, ...] = ()
    """Keys that differ, and stay as they were until the process is restarted."""
    from_environment: tuple[str, ...] = ()
    """Keys whose values come from variables, which a process has from its start: others need a restart."""


class Reloads(Protocol):
    """Reads settings anew."""

    @property
    def refused(self) -> str:
        """Why the settings that were read last are not in force; "" when they are."""

    async def reload(self) -> ReloadOutcome:
        """Read them, and put them in force unless they are refused; returns when that is done."""


class ReloadApi:
    """An ASGI app; `reloads` is None where settings do not come from a file.

    `over_unix_socket`: the listener is one. (No request tells: of a TCP client that has left, no address is known.)
    """

    def __init__(
        self,
        reloads: Reloads | None,
        keys: OperatorKeys,
        *,
        announce: Announce = keep_silent,
        over_unix_socket: bool = False,
    ) -> None:
        self._reloads = reloads
        self._keys = keys
        self._announce = announce
        self._over_unix_socket = over_unix_socket

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request (ASGI 3)."""
        await send_answer(await self._answer(Request(scope)), send, head_only=scope["method"] == "HEAD")

    async def _answer(self, request: Request) -> Answer:
        if request.method != "POST":
            return text_answer(405, "method not allowed: POST reads the settings anew\n")
        try:
            known = self._keys.find(read_key(request))
        except CrossSite as error:
            return text_answer(403, f"{error}\n")
        if not self._over_unix_socket and known is None:
            return text_answer(401, _NO_KEY if self._keys else _NO_KEYS)
        if self._reloads is None:
            return text_answer(404, "these settings come from no file that could be read again\n")
        outcome = await self._reloads.reload()
        client = request.client.host if request.client is not None else ""
        with asked_by(Asker(who=Who.OPERATOR, client=client, key=known.name if known is not None else "")):
            self._announce(AuditEvent(what=What.SETTINGS_RELOADED, cause="" if outcome.applied else SettingsError.code))
        return json_answer(200 if outcome.applied else 422, msgspec.to_builtins(outcome))


_NO_KEY: Final = "none of the `admin.keys` in force\n"
_NO_KEYS: Final = "there are no `admin.keys` in force, and without one nobody may ask for this\n"
