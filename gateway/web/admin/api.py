"""The sessions, grants and tokens API of the admin listener, for programs with a key (see `operations`).

What wants an operator's key takes one of `admin.keys`; `/tokens` takes the key of one of `tokens.clients`. A request
that a browser makes (it says so, or names an origin) is refused (CSRF), whatever key it has.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from starlette.requests import Request

from gateway.core.audit import Asker, AuditEvent, What, Who
from gateway.errors import (
    GatewayError,
    InsufficientScope,
    MalformedRequest,
    MethodRefused,
    NoSuchGrant,
    NoSuchPage,
    NoSuchSession,
    Unauthenticated,
)
from gateway.flows.audit import Announce, asked_by, asker, identify
from gateway.flows.listing import MOST, GrantPage, Listing, SessionPage
from gateway.flows.operator_sign_in import OperatorKey, Operators
from gateway.flows.oversight import Erased, GrantView, Oversight, SessionView, is_named
from gateway.flows.token_desk import IssuedToken, TokenClient, TokenDesk
from gateway.telemetry.logs import log
from gateway.web.admin.acts import Acts
from gateway.web.admin.key import read_key
from gateway.web.admin.openapi import describe_api
from gateway.web.admin.operations import OPERATIONS, Ended, Operation, TokenRequest
from gateway.web.answers.answer import Answer, json_answer, problem, send_answer
from gateway.web.body_limit import MAX_FORM, read_from
from gateway.web.exchange import new_request_id
from gateway.web.table import Handler, build_router

_CHALLENGE: Final = (b"www-authenticate", b'Bearer realm="admin"')  # RFC 6750 §3
PATHS: Final = tuple(dict.fromkeys("/" + each.path.split("/")[1] for each in OPERATIONS))
"""How what is asked of the API begins."""


class AdminApi:
    """An ASGI app. Without keys, and without clients, it is not there."""

    def __init__(
        self, oversight: Oversight, listing: Listing, operators: Operators, desk: TokenDesk, announce: Announce
    ) -> None:
        self._announce = announce
        self._oversight = oversight
        self._listing = listing
        self._operators = operators
        self._desk = desk
        self._acts = Acts(oversight)
        table: dict[str, dict[str, Handler]] = {}
        for operation in OPERATIONS:
            table.setdefault(operation.path, {})[operation.method] = self._answering(operation)
        self._router = build_router(table)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request (ASGI 3); what goes wrong is a problem (RFC 9457)."""
        with asked_by(read_asker(scope)):
            try:
                await self._router(scope, receive, send)
            except GatewayError as error:
                if isinstance(error, Unauthenticated):
                    self._announce(AuditEvent(what=What.ADMIN_REFUSED, cause=error.code))
                await send_answer(_build_problem(error), send)

    def _answering(self, operation: Operation) -> Handler:
        """Return the handler of an operation: the key first, so that who has none is told nothing else."""
        answer: Callable[..., Awaitable[object]] = getattr(self, operation.name)

        async def handle(request: Request) -> Answer:
            match operation.key:
                case "operator":
                    asking: tuple[object, ...] = (self._read_operator(request).name,)
                case "client":
                    asking = (self._read_client(request),)
                case None:
                    asking = ()
            _check_query(operation, request)
            return json_answer(200, msgspec.to_builtins(await answer(request, *asking)))

        return handle

    async def describe(self, request: Request) -> dict[str, Any]:
        """Describe this API."""
        return describe_api()

    async def list_sessions(self, request: Request, who: str) -> SessionPage:
        """List live sessions, of a person or of everybody."""
        cursor, subject = request.query_params.get("cursor", ""), request.query_params.get("user")
        return await self._listing.sessions(cursor, _read_limit(request), subject=subject, name=_read_name(request))

    async def show_session(self, request: Request, who: str) -> SessionView:
        """Show one session."""
        session_id = request.path_params["session_id"]
        found = await self._oversight.find_session(session_id, request.query_params.get("user"))
        if found is None:
            raise NoSuchSession(f"no live session is called {session_id}")
        return found

    async def end_session(self, request: Request, who: str) -> Ended:
        """End one session."""
        session_id = request.path_params["session_id"]
        if not await self._acts.end_session(who, session_id, request.query_params.get("user")):
            raise NoSuchSession(f"no live session is called {session_id}")
        return Ended(1)

    async def end_sessions(self, request: Request, who: str) -> Ended:
        """End all sessions of a person."""
        subject = request.query_params.get("user")
        if not subject:
            raise MalformedRequest("whose? DELETE /sessions?user=OPEN_ID")
        return Ended(await self._acts.end_sessions(who, subject))

    async def list_grants(self, request: Request, who: str) -> GrantPage:
        """List grants, of a person or of everybody."""
        cursor, subject = request.query_params.get("cursor", ""), request.query_params.get("user")
        name = _read_name(request)
        if subject is None:
            return await self._listing.grants(cursor, _read_limit(request), name=name)
        found = await self._oversight.find_grant(subject)
        return GrantPage((found,) if found is not None and (not name or is_named(found, name)) else ())

    async def show_grant(self, request: Request, who: str) -> GrantView:
        """Show a person's grant."""
        found = await self._oversight.find_grant(request.path_params["open_id"])
        if found is None:
            raise NoSuchGrant("nobody of that open_id has a grant")
        return found

    async def end_grant(self, request: Request, who: str) -> Ended | Erased:
        """End a person's grant, here and at TikTok; or with `erase=1` everything that is known of them."""
        subject, erase = request.path_params["open_id"], request.query_params.get("erase")
        if erase not in {None, "1"}:
            raise MalformedRequest("`erase` is 1, or not there")
        if erase is not None:
            return await self._acts.erase(who, subject)
        if not await self._acts.end_grant(who, subject):
            raise NoSuchGrant("nobody of that open_id has a grant")
        return Ended(1)

    async def issue_token(self, request: Request, client: TokenClient) -> IssuedToken:
        """Give a person's access token to one of the app's own jobs."""
        asked = await _read_body(request)
        return await self._desk.issue(client, asked.open_id, asked.scopes)

    def _read_operator(self, request: Request) -> OperatorKey:
        found = self._operators.find(read_key(request))
        if found is None:
            raise Unauthenticated("none of `admin.keys`")
        identify(Who.OPERATOR, found.name)
        return found

    def _read_client(self, request: Request) -> TokenClient:
        client = self._desk.find_client(read_key(request))
        if client is None:
            raise Unauthenticated("the key of none of `tokens.clients`")
        identify(Who.JOB, client.name)
        return client


def read_asker(scope: Any) -> Asker:
    """Return who asks the admin listener, as far as that is known before they have shown a key."""
    peer = scope.get("client")
    return Asker(who=Who.UNKNOWN, client=peer[0] if peer else "", request_id=new_request_id())


def _read_limit(request: Request) -> int:
    text = request.query_params.get("limit", str(MOST))
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= MOST:
        raise MalformedRequest(f"`limit` is a number from 1 to {MOST}")
    return int(text)


def _read_name(request: Request) -> str:
    """Return the beginning of a name that is looked for, "" for none; an empty one would be everybody's."""
    name = request.query_params.get("name")
    if name is not None and not name.removeprefix("@").strip():
        raise MalformedRequest("`name` is how a username or display name begins, or not there")
    return name or ""


async def _read_body(request: Request) -> TokenRequest:
    body = await read_from(request.receive)(MAX_FORM)
    if body is None:
        raise MalformedRequest(f"the body is larger than {MAX_FORM} bytes")
    try:
        return msgspec.json.decode(body, type=TokenRequest)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise MalformedRequest('the body is JSON like {"open_id": "-000…", "scopes": ["video.list"]}') from None


def _check_query(operation: Operation, request: Request) -> None:
    """Refuse what an operation does not take: a filter that is misspelt would be none."""
    known = [each.name for each in operation.parameters]
    given = [name for name, _ in request.query_params.multi_items()]
    for name in given:
        if name not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise MalformedRequest(f"{name[:40]!r} is no parameter of {operation.method} {operation.path}: {takes}")
        if given.count(name) > 1:
            raise MalformedRequest(f"`{name}` is there twice")


def _build_problem(error: GatewayError) -> Answer:
    extra = ((b"retry-after", str(error.retry_after).encode()),) if error.retry_after is not None else ()
    if isinstance(error, MethodRefused):
        extra = ((b"allow", ", ".join(error.allowed).encode()),)
    members = {"missing_scopes": error.missing} if isinstance(error, InsufficientScope) else {}
    request_id = asker().request_id
    log.info("admin_refused", request_id=request_id, error=error.code, reason=str(error))
    # whoever is told what is malformed has shown a key: keys are looked at first
    detail = f"Refused: {error}" if isinstance(error, MalformedRequest) else error.advice
    if isinstance(error, NoSuchPage):
        detail = f"There are {', '.join(dict.fromkeys(each.path for each in OPERATIONS))}."
    return problem(
        error.status, error.code, error.title, detail, request_id, extra=extra, challenge=_CHALLENGE, **members
    )
