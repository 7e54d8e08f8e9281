"""What apps sent: a list of requests, kept for whoever develops one, with secrets shortened."""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from gateway.simulator.page import PAGE
from gateway.simulator.refusal import read_error, read_notes

MOST: Final = 200
"""Requests kept; the oldest go first."""
LONGEST: Final = 300
"""Characters of a value that are kept."""
SECRETS: Final = frozenset({"client_secret", "code", "code_verifier", "refresh_token", "token", "access_token"})


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """A request of an app's, and what it was answered."""

    at: float
    """When it came: seconds since the epoch."""
    method: str
    path: str
    given: Mapping[str, str]
    """Its parameters, from the query, the form and `Authorization`."""
    status: int
    said: str
    """The error that it was answered; "" for none."""
    notes: tuple[str, ...]
    """What would have been right, or is worth knowing."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {name: getattr(self, name) for name in self.__slots__}

    def describe(self) -> str:
        """Return it as lines for a console."""
        given = " ".join(f"{name}={value}" for name, value in self.given.items())
        lead = f"{self.method} {self.path} {given}".rstrip()
        told = f"{self.status} {self.said}".rstrip()
        return "\n".join([f"{lead} -> {told}", *(f"    {words}" for words in self.notes)])


class SeenRequests:
    """The latest requests. Safe to read from another thread."""

    def __init__(self) -> None:
        self._kept: collections.deque[SeenRequest] = collections.deque(maxlen=MOST)
        self._lock = threading.Lock()
        self.tell: Callable[[SeenRequest], None] | None = None
        """Is told each one as it was answered."""

    def __iter__(self) -> Iterator[SeenRequest]:
        """Go through them, the oldest first."""
        with self._lock:
            return iter(tuple(self._kept))

    def __len__(self) -> int:
        """Count them."""
        return len(self._kept)

    def __repr__(self) -> str:
        """Show them, as on a console."""
        return "\n".join(seen.describe() for seen in self) or "no request yet"

    def clear(self) -> None:
        """Forget them."""
        with self._lock:
            self._kept.clear()

    async def add(self, request: Request, answer: Response) -> None:
        """Keep a request, now that it was answered."""
        seen = SeenRequest(
            at=time.time(),
            method=request.method,
            path=_shorten(request.url.path),
            given=await _read_given(request),
            status=answer.status_code,
            said=read_error(request),
            notes=read_notes(request),
        )
        with self._lock:
            self._kept.append(seen)
        if self.tell is not None:
            self.tell(seen)


async def _read_given(request: Request) -> dict[str, str]:
    pairs: Sequence[tuple[str, str]] = request.query_params.multi_items()
    kind = request.headers.get("content-type", "")
    body = await request.body()
    if body and kind.startswith("application/x-www-form-urlencoded"):
        own = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
        # with a query there is only the form of the consent page: a person's choice, and not the app's
        pairs = [*pairs, *((f"chosen {name}", value) for name, value in own)] if pairs else own
    given: dict[str, str] = {}
    for name, value in pairs:
        shown = _shorten_secret(value) if name in SECRETS else _shorten(value)
        given[_shorten(name)] = f"{given[name]} and {shown}" if name in given else shown
    if body and not kind.startswith("application/x-www-form-urlencoded"):
        given["(body)"] = f"{len(body)} bytes of {_shorten(kind) or 'no Content-Type'}"
    if authorization := request.headers.get("authorization"):
        scheme, _, value = authorization.partition(" ")
        given["(Authorization)"] = f"{_shorten(scheme)} {_shorten_secret(value)}".rstrip()
    return given


def _shorten(text: str) -> str:
    kept = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in kept)


def _shorten_secret(text: str) -> str:
    """Return enough of a secret to tell two apart: never more than a third of it."""
    return f"{_shorten(text[: min(8, len(text) // 3)])}...({len(text)} characters)"


async def show_requests(request: Request) -> Response:
    """Show the requests: a page for a browser, JSON for everybody else. The newest first."""
    kept = list(reversed(list(request.app.state.simulator.requests)))
    if "text/html" not in request.headers.get("accept", ""):
        return JSONResponse([seen.as_dict() for seen in kept])
    body = f"<h1>Requests</h1><p class='note'>The newest first, at most {MOST}; times in UTC.</p>"
    body += "".join(_build_row(seen) for seen in kept) or "<p>None yet.</p>"
    return HTMLResponse(PAGE.format(title="TikTok simulator: requests", body=body))


def _build_row(seen: SeenRequest) -> str:
    came = time.strftime("%H:%M:%S", time.gmtime(seen.at))
    given = "".join(f"<dt>{escape(name)}<dd>{escape(value)}" for name, value in seen.given.items())
    notes = "".join(f"<p><strong>{escape(words)}</strong></p>" for words in seen.notes)
    lead = f"{seen.method} {escape(seen.path)} → {seen.status} {escape(seen.said)}"
    return f"<h2><time>{came}</time> {lead}</h2>{notes}<dl>{given}</dl>"
