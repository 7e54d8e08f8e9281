"""The admin listener: health checks and metrics for whoever reaches it, and an API for who has a key.

A page of anybody's can have its own name lead to an address of ours (DNS rebinding), and would then read what stands
here as its own. So it is asked for by an address, a loopback name, or a name that the operator has listed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol
from urllib.parse import parse_qs

from gateway.core.forwarded import is_host
from gateway.telemetry.metrics import CONTENT_TYPE, Metrics
from gateway.web.admin.api import PATHS
from gateway.web.admin.reload import PATH as RELOAD
from gateway.web.admin.views import ROOT
from gateway.web.answers.answer import Answer, redirect, send_answer, text_answer

_HERE: Final = ", ".join((ROOT, "/livez", "/readyz", "/metrics", *PATHS))
_ABROAD: Final = "this listener is not known by that name: ask by its address, or list the name in `admin.hosts`\n"


class Readiness(Protocol):
    """Whether requests can be answered now."""

    async def __call__(self) -> str | None:
        """Return why not, or None when ready."""

    def notes(self) -> Mapping[str, str]:
        """Return what does not make it unready, and is worth a word all the same."""


class Admin:
    """`/livez`, `/readyz` and `/metrics` (ASGI 3); `/reload` goes to `reload`.

    The rest goes to `pages`, or to `api`, which is None while nobody has a key.

    `hosts` are the names that it may be asked for by, besides addresses and loopback names; None: any.
    """

    def __init__(
        self,
        metrics: Metrics,
        readiness: Readiness,
        api: Any | None,
        hosts: Iterable[str] | None = (),
        *,
        reload: Any | None = None,
        pages: Any | None = None,
    ) -> None:
        self._hosts = frozenset(host.lower() for host in hosts) if hosts is not None else None
        self._metrics = metrics
        self._readiness = readiness
        self._api = api
        self._reload = reload
        self._pages = pages

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request (ASGI 3)."""
        if scope["type"] != "http":
            return
        if not self._is_asked_by_name(scope["headers"]):
            await send_answer(text_answer(421, _ABROAD), send, head_only=scope["method"] == "HEAD")
            return
        if self._reload is not None and scope["path"] == RELOAD:
            await self._reload(scope, receive, send)
            return
        if self._api is not None and scope["path"].startswith(PATHS):
            await self._api(scope, receive, send)
            return
        if self._pages is not None and (scope["path"] == ROOT or scope["path"].startswith(f"{ROOT}/")):
            await self._pages(scope, receive, send)
            return
        answer = await self._answer(scope["method"], scope["path"], scope["query_string"])
        await send_answer(answer, send, head_only=scope["method"] == "HEAD")

    def _is_asked_by_name(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Whether the name is one of ours; a request without Host is none of a browser's."""
        named = [value for name, value in headers if name.lower() == b"host"]
        if self._hosts is None or not named:
            return True
        return len(named) == 1 and is_host(named[0]) and _is_own_name(named[0].decode("ascii"), self._hosts)

    async def _answer(self, method: str, path: str, query: bytes) -> Answer:
        if path.startswith(PATHS):
            return text_answer(404, "set `admin.keys` or `tokens.clients` to use this\n")
        if method not in {"GET", "HEAD"}:
            return text_answer(405, "method not allowed\n")
        match path:
            case "/livez":
                return text_answer(200, "ok\n")
            case "/readyz":
                return await self._tell_readiness(verbose=b"verbose" in parse_qs(query, keep_blank_values=True))
            case "/metrics":
                headers = ((b"content-type", CONTENT_TYPE.encode()), (b"cache-control", b"no-store"))
                return Answer(200, headers, self._metrics.exposition())
            case "/" if self._pages is not None:
                return redirect(302, ROOT)
            case _:
                return text_answer(404, f"not found: there are {_HERE}\n")

    async def _tell_readiness(self, *, verbose: bool) -> Answer:
        reason = await self._readiness()
        notes = "".join(f"{name}: {said}\n" for name, said in self._readiness.notes().items()) if verbose else ""
        return text_answer(200, f"ok\n{notes}") if reason is None else text_answer(503, f"not ready: {reason}\n{notes}")


def _is_own_name(host: str, hosts: frozenset[str]) -> bool:
    name = host.lower().rpartition("]")[0].lstrip("[") if host.startswith("[") else host.lower().partition(":")[0]
    name = name.removesuffix(".")
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost" or name.endswith(".localhost") or name in hosts
    return True
