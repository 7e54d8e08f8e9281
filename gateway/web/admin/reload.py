"""`POST /reload` on the admin listener: read the settings anew, and say what became of it.

It wants one of `admin.keys`. Over a unix socket it wants none: whoever may open that is let in by its permissions. A
request that a browser makes is refused (CSRF).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

import msgspec

from gateway.core.audit import Asker, AuditEvent, What, Who
from gateway.errors import SettingsError
from gateway.flows.audit import Announce, asked_by, keep_silent
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
    `names` are those of the keys, for the audit trail.
    """

    def __init__(
        self,
        reloads: Reloads | None,
        keys: Iterable[str],
        *,
        names: Sequence[str] = (),
        announce: Announce = keep_silent,
        over_unix_socket: bool = False,
    ) -> None:
        self._names = tuple(names)
        self._announce = announce
        self._reloads = reloads
        self._over_unix_socket = over_unix_socket
        self._digests = tuple(_digest(key.encode()) for key in keys)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request (ASGI 3)."""
        await send_answer(await self._answer(scope), send, head_only=scope["method"] == "HEAD")

    async def _answer(self, scope: Any) -> Answer:
        headers = {name.lower(): value for name, value in scope["headers"]}
        if scope["method"] != "POST":
            return text_answer(405, "method not allowed: POST reads the settings anew\n")
        if b"origin" in headers or b"sec-fetch-site" in headers:
            return text_answer(403, "a browser must not use the admin listener\n")
        client, name = scope.get("client"), self._find_key(headers.get(b"authorization", b""))
        if not self._over_unix_socket and name is None:
            return text_answer(401, _NO_KEY if self._digests else _NO_KEYS)
        if self._reloads is None:
            return text_answer(404, "these settings come from no file that could be read again\n")
        outcome = await self._reloads.reload()
        with asked_by(Asker(who=Who.OPERATOR, client=client[0] if client else "", key=name or "")):
            self._announce(AuditEvent(what=What.SETTINGS_RELOADED, cause="" if outcome.applied else SettingsError.code))
        return json_answer(200 if outcome.applied else 422, msgspec.to_builtins(outcome))

    def _find_key(self, authorization: bytes) -> str | None:
        """Return the name of the key that was shown; None for none of them."""
        scheme, _, key = authorization.partition(b" ")
        given = _digest(key.strip())
        # every key is compared, so that time tells nothing
        same = [number for number, digest in enumerate(self._digests) if hmac.compare_digest(given, digest)]
        if not same or scheme.lower() != b"bearer":
            return None
        return self._names[same[0]] if self._names else "admin"


_NO_KEY: Final = "none of the `admin.keys` in force\n"
_NO_KEYS: Final = "set `admin.keys` to use this, or send the process SIGHUP\n"


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
