"""The forward-auth answer: nginx asks in a subrequest whether the original request may pass.

202 with identity headers, 401 unauthenticated, 403 forbidden. The original request comes in headers, which count only
when the asking peer is a trusted proxy. Asked by anybody else, or about a path of the gateway's own, the answer is by
status alone: a browser that reaches this address through a front must not be told a token.
"""

from __future__ import annotations

from typing import Final, assert_never

import msgspec
from starlette.requests import Request

from gateway.core.decision import Challenge, Consent, Deny
from gateway.core.headers import every, first
from gateway.core.path import canonicalise
from gateway.core.request import RequestHead
from gateway.errors import MalformedRequest, RequestRefused
from gateway.flows.authentication import Authentication
from gateway.flows.gate import Gate, Passage, Refusal
from gateway.web.answers import Answers
from gateway.web.reading import head_of
from gateway.web.responses import Answer, redirect
from gateway.web.scope import HeadReader

_NO_STORE: Final = (b"cache-control", b"no-store")


class ForwardAuth:
    """Answers `GET {prefix}/auth`."""

    def __init__(self, *, gate: Gate, authentication: Authentication, reader: HeadReader, answers: Answers) -> None:
        self._gate = gate
        self._authentication = authentication
        self._reader = reader
        self._answers = answers

    async def __call__(self, request: Request) -> Answer:
        """Answer one subrequest."""
        head = head_of(request)
        try:
            original = self.read_original(request)
            if original is None or self._answers.is_own_path(original.path):
                return await self._by_status(head)
            verdict = await self._gate.check(original)
        except RequestRefused:
            # fronts know 401 and 403 only, and make a 500 of anything else
            return _answer(403)
        if isinstance(verdict, Refusal):
            return _answer(401 if isinstance(verdict.decision, Challenge) else 403)
        return _answer(202, *self._gate.build_forward_auth(verdict))

    async def _by_status(self, head: RequestHead) -> Answer:
        signed_in = await self._authentication.read(head)
        return _answer(202 if signed_in is not None else 401)

    async def challenge(self, original: RequestHead, request_id: str) -> Answer:
        """Answer the browser whose request the gate did not let in, and which the front now hands to `start`."""
        verdict = await self._gate.check(original)
        if isinstance(verdict, Passage):
            # signed in meanwhile, perhaps in another tab
            return redirect(302, self._answers.check_return_to(original.raw_target.decode("ascii")).url)
        match verdict.decision:
            case Challenge() as challenge:
                return await self._answers.challenge(challenge, original, request_id)
            case Consent() as consent:
                return self._answers.ask_for_scopes(consent, original, request_id)
            case Deny() as deny:
                return self._answers.deny(deny, original, request_id)
            case _ as never:
                assert_never(never)

    def read_original(self, request: Request) -> RequestHead | None:
        """Return the request the front asks about; None when it cannot be believed or does not say.

        Raises `MalformedRequest` for a target that the upstream might read as another path than the one judged: the
        front forwards it as it came (`fixed`), so only a path that is canonical but for its percent-encoding may pass.
        """
        head = head_of(request)
        client = request.scope.get("client")
        if not self._reader.trusted.trusts(client[0] if client else None):
            return None
        target = _read_target(head)
        if target is None:
            return None
        path, _, query = target.partition(b"?")
        canonical = canonicalise(path, encoded_slashes=self._reader.encoded_slashes, fixed=True)
        method = first(head.headers, b"x-forwarded-method") or first(head.headers, b"x-original-method") or b"GET"
        return msgspec.structs.replace(
            head, method=method.decode("latin-1"), path=canonical, query=query, raw_target=target
        )


def _read_target(head: RequestHead) -> bytes | None:
    """Return the original request target, from nginx's `X-Original-URL` or the others' `X-Forwarded-Uri`.

    Where a front sets one of them and a client smuggles in the other, they disagree, and nothing is believed.
    """
    found = {
        _strip_origin(value)
        for name in (b"x-forwarded-uri", b"x-original-uri", b"x-original-url")
        for value in every(head.headers, name)
    }
    if len(found) > 1:
        raise MalformedRequest("the headers that name the original address disagree")
    return found.pop() if found else None


def _strip_origin(url: bytes) -> bytes:
    _, separator, rest = url.partition(b"://")
    return b"/" + rest.partition(b"/")[2] if separator and not url.startswith(b"/") else url


def _answer(status: int, *headers: tuple[bytes, bytes]) -> Answer:
    return Answer(status, (*headers, _NO_STORE), b"")
