"""The sessions, grants and tokens API of the admin listener, for programs with a key.

    GET    /sessions[?user=OPEN_ID][&limit=N]       GET    /grants[?limit=N]
    GET    /sessions/{id}[?user=OPEN_ID]            GET    /grants/{open_id}
    DELETE /sessions/{id}[?user=OPEN_ID]            DELETE /grants/{open_id}[?erase=1]
    DELETE /sessions?user=OPEN_ID                   POST   /tokens   {"open_id": …, "scopes": […]}

Everything but `/tokens` wants one of `admin.keys`; `/tokens` wants the key of one of `tokens.clients`. A request that a
browser makes for another site (it says so, or names an origin) is refused (CSRF), whatever key it has.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import msgspec
from starlette.requests import Request

from gateway.core.audit import Asker, AuditEvent, What, Who
from gateway.errors import (
    CrossSite,
    GatewayError,
    InsufficientScope,
    MalformedRequest,
    MethodRefused,
    NoSuchGrant,
    NoSuchSession,
    Unauthenticated,
)
from gateway.flows.audit import Announce, asked_by, asker, identify
from gateway.flows.oversight import Oversight
from gateway.flows.token_desk import TokenClient, TokenDesk
from gateway.telemetry.logs import log
from gateway.web.answers.answer import Answer, json_answer, problem, send_answer
from gateway.web.body_limit import MAX_FORM, read_from
from gateway.web.exchange import new_request_id
from gateway.web.table import Table, build_router

_CHALLENGE: Final = (b"www-authenticate", b'Bearer realm="admin"')  # RFC 6750 §3
MOST: Final = 1000
"""Most items of a list; `limit` asks for fewer."""


class TokenRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `POST /tokens`."""

    open_id: str
    scopes: tuple[str, ...] = ()


class AdminApi:
    """An ASGI app. Without keys, and without clients, it is not there."""

    def __init__(
        self, oversight: Oversight, desk: TokenDesk, keys: Sequence[tuple[str, str]], announce: Announce
    ) -> None:
        """`keys` are those of operators, each after its name."""
        self._announce = announce
        self._oversight = oversight
        self._desk = desk
        self._keys = tuple((name, _digest(key)) for name, key in keys)
        table: Table = {
            "/sessions": {"GET": self.list_sessions, "DELETE": self.end_sessions},
            "/sessions/{session_id}": {"GET": self.show_session, "DELETE": self.end_session},
            "/grants": {"GET": self.list_grants},
            "/grants/{open_id}": {"GET": self.show_grant, "DELETE": self.end_grant},
            "/tokens": {"POST": self.issue_token},
        }
        self._router = build_router(table)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request (ASGI 3); what goes wrong is a problem (RFC 9457)."""
        peer = scope.get("client")
        asked = Asker(who=Who.UNKNOWN, client=peer[0] if peer else "", request_id=new_request_id())
        with asked_by(asked):
            try:
                await self._router(scope, receive, send)
            except GatewayError as error:
                if isinstance(error, Unauthenticated):
                    self._announce(AuditEvent(what=What.ADMIN_REFUSED, cause=error.code))
                await send_answer(_build_problem(error), send)

    async def list_sessions(self, request: Request) -> Answer:
        """List live sessions, of a person or of everybody."""
        self._check_operator(request)
        found = await _take(self._oversight.list_sessions(request.query_params.get("user")), _read_limit(request))
        return _json({"sessions": found})

    async def show_session(self, request: Request) -> Answer:
        """Show one session."""
        self._check_operator(request)
        session_id = request.path_params["session_id"]
        found = await self._oversight.find_session(session_id, request.query_params.get("user"))
        if found is None:
            raise NoSuchSession(f"no live session is called {session_id}")
        return _json(found)

    async def end_session(self, request: Request) -> Answer:
        """End one session."""
        self._check_operator(request)
        session_id = request.path_params["session_id"]
        if not await self._oversight.end_session(session_id, request.query_params.get("user")):
            raise NoSuchSession(f"no live session is called {session_id}")
        return _json({"ended": 1})

    async def end_sessions(self, request: Request) -> Answer:
        """End all sessions of a person."""
        self._check_operator(request)
        subject = request.query_params.get("user")
        if not subject:
            raise MalformedRequest("whose? DELETE /sessions?user=OPEN_ID")
        ended = await self._oversight.end_sessions(subject)
        return _json({"ended": ended})

    async def list_grants(self, request: Request) -> Answer:
        """List grants."""
        self._check_operator(request)
        return _json({"grants": await _take(self._oversight.list_grants(), _read_limit(request))})

    async def show_grant(self, request: Request) -> Answer:
        """Show a person's grant."""
        self._check_operator(request)
        found = await self._oversight.find_grant(request.path_params["open_id"])
        if found is None:
            raise NoSuchGrant("nobody of that open_id has a grant")
        return _json(found)

    async def end_grant(self, request: Request) -> Answer:
        """End a person's grant, here and at TikTok; or with `erase=1` everything that is known of them."""
        self._check_operator(request)
        subject, erase = request.path_params["open_id"], request.query_params.get("erase") == "1"
        if erase:
            return _json(await self._oversight.erase(subject))
        if not await self._oversight.revoke_grant(subject):
            raise NoSuchGrant("nobody of that open_id has a grant")
        return _json({"ended": 1})

    async def issue_token(self, request: Request) -> Answer:
        """Give a person's access token to one of the app's own jobs."""
        client = self._check_client(request)
        asked = await _read_body(request)
        issued = await self._desk.issue(client, asked.open_id, asked.scopes)
        return _json(issued)

    def _check_operator(self, request: Request) -> None:
        given = _digest(_read_key(request))
        # every key is compared, so that time tells nothing
        found = [name for name, digest in self._keys if hmac.compare_digest(given, digest)]
        if not found:
            raise Unauthenticated("none of `admin.keys`")
        identify(Who.OPERATOR, found[0])

    def _check_client(self, request: Request) -> TokenClient:
        client = self._desk.find_client(_read_key(request))
        if client is None:
            raise Unauthenticated("the key of none of `tokens.clients`")
        identify(Who.JOB, client.name)
        return client


def _read_key(request: Request) -> str:
    if "origin" in request.headers or "sec-fetch-site" in request.headers:
        raise CrossSite("a browser must not use the admin listener")
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _read_limit(request: Request) -> int:
    text = request.query_params.get("limit", str(MOST))
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= MOST:
        raise MalformedRequest(f"`limit` is a number from 1 to {MOST}")
    return int(text)


async def _read_body(request: Request) -> TokenRequest:
    body = await read_from(request.receive)(MAX_FORM)
    if body is None:
        raise MalformedRequest(f"the body is larger than {MAX_FORM} bytes")
    try:
        return msgspec.json.decode(body, type=TokenRequest)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise MalformedRequest('the body is JSON like {"open_id": "-000…", "scopes": ["video.list"]}') from None


async def _take(items: AsyncIterator[msgspec.Struct], limit: int) -> list[msgspec.Struct]:
    taken: list[msgspec.Struct] = []
    async for item in items:
        taken.append(item)
        if len(taken) == limit:
            break
    return taken


def _json(value: object) -> Answer:
    return json_answer(200, msgspec.to_builtins(value))


def _build_problem(error: GatewayError) -> Answer:
    extra = ((b"retry-after", str(error.retry_after).encode()),) if error.retry_after is not None else ()
    if isinstance(error, MethodRefused):
        extra = ((b"allow", ", ".join(error.allowed).encode()),)
    members = {"missing_scopes": error.missing} if isinstance(error, InsufficientScope) else {}
    request_id = asker().request_id
    log.info("admin_refused", request_id=request_id, error=error.code, reason=str(error))
    # whoever is told what is malformed has shown a key: keys are looked at first
    detail = f"Refused: {error}" if isinstance(error, MalformedRequest) else error.advice
    return problem(
        error.status, error.code, error.title, detail, request_id, extra=extra, challenge=_CHALLENGE, **members
    )


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
