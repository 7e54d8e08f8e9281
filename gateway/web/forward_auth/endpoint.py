"""Forward-auth: a front asks whether a request that it serves itself may pass. Read the original, say it as it expects.

Yes comes with identity headers and the visitor's cookies without ours; no is 401 unauthenticated, 403 forbidden or not
to be understood, 503 the store is down. What is decided is the pipeline's affair, as for every request; how it is said
is the dialect's.

A check and a browser's request look alike, since fronts copy what browsers send. So identity is told only where it is
proven that a front asks: over a listener of its own (`listener`), or by a secret. Anybody else hears a bare
status, peers in `trusted_proxies` too: what they pass on may come from a page's script.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from time import monotonic
from typing import Final

from starlette.requests import Request

from gateway.core.decision import Challenge
from gateway.core.fields import NAMES_A_MOUNT, every, normalised
from gateway.core.forwarded import TrustedProxies
from gateway.core.headers import join_cookies
from gateway.core.original import PROOF, not_told, read_original, with_target
from gateway.core.request import RequestHead
from gateway.errors import CheckMisconfigured, CheckRefused, DeviceProofMissing, GatewayError, RequestRefused
from gateway.flows.authentication import Authentication
from gateway.flows.gate import Gate, Passage, Refusal
from gateway.flows.kept_posts import ReadBody
from gateway.telemetry.logs import log
from gateway.web.answers.answer import NO_STORE, Answer, redirect
from gateway.web.answers.answers import Answers
from gateway.web.asgi_head import head_of
from gateway.web.body_limit import read_from
from gateway.web.exchange import Exchange, exchange_of
from gateway.web.forward_auth.dialect import AUTH, IN_PATH, WHOLE, Dialect, find_dialect
from gateway.web.pipeline import Pipeline
from gateway.web.table import ANY, Table

SILENCE: Final = 60.0
"""Seconds between two warnings."""
REDIRECT: Final = b"x-auth-request-redirect"
MOST_SENT_BACK: Final = 8
"""Times that a session is sent back to a page within `SHORTLY`; browsers follow twenty redirects."""
SHORTLY: Final = 10.0  # seconds
MOST_COUNTED: Final = 10_000  # sessions


class ForwardAuth:
    """Answers checks: `{prefix}/auth` and `{prefix}/ext_authz`."""

    def __init__(
        self,
        *,
        gate: Gate,
        pipeline: Pipeline,
        authentication: Authentication,
        trusted: TrustedProxies,
        encoded_slashes: bool,
        longest_target: int,
        answers: Answers,
        own_cookies: frozenset[bytes],
        secret: str | None,
        unproven_advice: str,
    ) -> None:
        """`secret` proves a check on the public listener; without one, none there is proven.

        `unproven_advice` tells the operator what to change where a front asks there without.

        `encoded_slashes`: some route takes them in paths. `longest_target` of a visitor, in bytes.
        """
        self._gate = gate
        self._pipeline = pipeline
        self._authentication = authentication
        self._trusted = trusted
        self._encoded_slashes = encoded_slashes
        self._longest_target = longest_target
        self._answers = answers
        self._own_cookies = own_cookies
        self._in_path = f"{answers.site.prefix}/{IN_PATH.page}".encode()
        self._secret = _digest(secret.encode()) if secret is not None else None
        self._unproven_advice = unproven_advice
        self._warned_at = -SILENCE
        self._sent_back: dict[str, int] = {}  # how often, by session
        self._counted_since = 0.0

    @property
    def table(self) -> Table:
        """Where fronts ask, on the public listener."""
        return {f"/{AUTH.page}": {"GET": self}, f"/{WHOLE.page}": {ANY: self}}

    async def __call__(self, request: Request) -> Answer:
        """Answer on the public listener, where anybody may ask."""
        head, exchange = head_of(request), exchange_of(request)
        try:
            if self._is_proven(head):
                return await self.check(head, exchange, read_from(request.receive))
            return await self._answer_by_status(request, head)
        except RequestRefused as refused:
            return self.refuse(refused, exchange)

    async def check(self, head: RequestHead, exchange: Exchange, read_body: ReadBody) -> Answer:
        """Answer a check that came where only fronts ask; `read_body` reads what they pass of the visitor's body."""
        dialect = self.dialect_of(head)
        try:
            original = self.read_asked(head)
            exchange.note_original(original)
            return await self._judge(original, head, exchange, dialect, read_body)
        except RequestRefused as refused:
            return self.refuse(refused, exchange, head if dialect.whole else None)

    def dialect_of(self, head: RequestHead) -> Dialect:
        """Return the dialect of a check."""
        return find_dialect(head.path, self._rest_of(head))

    def read_asked(self, head: RequestHead) -> RequestHead:
        """Return the request that a front asks about. Raises `RequestRefused`, where it is the gateway's own too."""
        original = self._read_original(head, self._rest_of(head))
        if original is None:
            raise not_told()
        self._check_app_has(original)
        return original

    def read_another(self, original: RequestHead, target: bytes) -> RequestHead:
        """Return what is asked about by a check that is as another, but names this target, which begins with a slash.

        Raises as `read_asked` does.
        """
        another = with_target(original, target, encoded_slashes=self._encoded_slashes, longest=self._longest_target)
        self._check_app_has(another)
        return another

    def _check_app_has(self, original: RequestHead) -> None:
        if self._of_an_app(original) is None:
            raise CheckRefused("the path is the gateway's own: no app is to have it")

    def say_yes(self, dialect: Dialect, passage: Passage, cookies: bytes) -> Answer:
        """Let a request pass, with what the app is to be told; `cookies` are the visitor's, without ours."""
        kept = ((b"cookie", cookies),) if cookies else ()
        return self._say_yes(dialect, *self._gate.build_forward_auth(passage), *kept)

    def is_no_field(self, name: bytes) -> bool:
        """Whether no check may have a field of that name (lower case): it poses as identity, or names a mount."""
        return bool(self._why_no_field(name))

    def _why_no_field(self, name: bytes) -> str:
        if self._gate.identity_headers.is_look_alike(name):
            return f"a client's field poses as identity by its spelling: {name[:64].decode('ascii')}"
        if normalised(name) in NAMES_A_MOUNT:  # the front hands it on, and has no reason to look for it
            return f"a client's field would have the app look at another path: {name.decode('ascii')}"
        return ""

    def is_proof(self, shown: Sequence[bytes]) -> bool:
        """Whether what a check shows is the secret. Raises `CheckRefused` for another one: a bare yes would mislead."""
        if not shown:
            return False
        if self._secret is not None and hmac.compare_digest(_digest(b",".join(shown)), self._secret):
            return True
        raise CheckRefused("X-Gateway-Check is not what `forward_auth.secret` says: make them the same")

    def refuse(self, refused: RequestRefused, exchange: Exchange, head: RequestHead | None = None) -> Answer:
        """Answer no to what cannot be understood: as a page or a problem where there is a `head`, else by 403."""
        exchange.decision = "refused"
        exchange.error = refused
        return self._answers.error(refused, head, exchange.request_id) if head is not None else _answer(403)

    async def challenge(self, original: RequestHead, request_id: str) -> Answer:
        """Answer the browser whose request was not let in, and which the front now hands to `start`."""
        try:
            verdict = await self._pipeline.decide(original)
        except DeviceProofMissing as missing:  # the page comes back to what was asked for
            return self._answers.error(missing, original, request_id)
        if isinstance(verdict, Passage):
            # signed in meanwhile, perhaps in another tab; or the store is back
            self._count(verdict)
            return redirect(302, self._answers.site.check_return_to(original.raw_target.decode("ascii")).url)
        return await self._pipeline.answer_refusal(verdict, original, request_id)

    def find_original(self, request: Request) -> RequestHead | None:
        """Return the request that a front hands to `start`; None for a visitor's own, and for paths of ours.

        Fronts may name the address of every request, that of `start` as well. Raises `RequestRefused`.
        """
        head = head_of(request)
        if not (self._trusts_peer_of(request) or self._is_proven(head)):
            return None
        return self._of_an_app(self._read_original(head, self._rest_of(head)))

    def find_redirect(self, request: Request) -> str | None:
        """Return where a front leads back to after a sign-in, in oauth2-proxy's word for it; unchecked as a `rd` is.

        None where it does not say, or where anybody might have. Raises `CheckRefused`.
        """
        head = head_of(request)
        told = every(head.headers, REDIRECT)
        if len(told) != 1 or not (self._trusts_peer_of(request) or self._is_proven(head)):
            return None
        return told[0].decode("utf-8", "surrogateescape")

    def _count(self, passage: Passage) -> None:
        """Note that a browser is sent back. Raises `CheckMisconfigured` when it would go round and round."""
        now = monotonic()
        if now - self._counted_since > SHORTLY or len(self._sent_back) >= MOST_COUNTED:
            self._sent_back.clear()
            self._counted_since = now
        times = self._sent_back[passage.session_key] = self._sent_back.get(passage.session_key, 0) + 1
        if not passage.session_key or times > MOST_SENT_BACK:
            raise CheckMisconfigured(
                "the front keeps out what the gateway lets in: have it ask where `forward_auth` says, and see its log"
            )

    async def _judge(
        self, original: RequestHead, head: RequestHead, exchange: Exchange, dialect: Dialect, read_body: ReadBody
    ) -> Answer:
        """Decide on the original request, and say it as the dialect has it."""
        try:
            verdict = await self._pipeline.decide(original)
            exchange.note(verdict)
            if isinstance(verdict, Passage):
                return self.say_yes(dialect, verdict, join_cookies(every(head.headers, b"cookie"), self._own_cookies))
            if not dialect.whole:
                return _say_no(verdict)
            body = read_body if _has_body(head) else None
            answer = await self._pipeline.answer_refusal(verdict, original, exchange.request_id, body)
            return self._answers.share(answer, original)
        except GatewayError as error:
            if not dialect.whole:
                raise
            # such as a store that is away: told as to whoever comes without a front
            return self._pipeline.answer_error(error, original, exchange)

    def _say_yes(self, dialect: Dialect, *told: tuple[bytes, bytes]) -> Answer:
        """Let pass, with what the app is to be told, and as nobody a client says to be."""
        if not dialect.removes:
            return _answer(dialect.yes, *told)
        left_out = {*self._gate.identity_headers.names, b"cookie"}.difference(name for name, _ in told)
        return _answer(dialect.yes, *told, (dialect.removes, b",".join(sorted(left_out))))

    async def _answer_by_status(self, request: Request, head: RequestHead) -> Answer:
        """Say whether somebody is signed in and, where a front names a request all the same, whether it may pass."""
        rest = self._rest_of(head)
        dialect = find_dialect(head.path, rest)
        # the path is the front's own word; a field may be a client's, unless a front is known to overwrite it
        is_told = bool(rest) or self._trusts_peer_of(request)
        named = self._of_an_app(self._read_original(head, rest))
        if await self._authentication.read(head) is None:
            return _answer(401)
        if named is not None:  # as no page's script does it: a front asks, and its app will hear of nobody
            self._warn()
        original = named if is_told else None
        if original is None:
            return _answer(403 if dialect.whole else dialect.yes)  # a yes would hold for every path
        verdict = await self._pipeline.decide(original)
        return _say_no(verdict) if isinstance(verdict, Refusal) else self._say_yes(dialect)  # with no word of who it is

    def _read_original(self, head: RequestHead, rest: bytes) -> RequestHead | None:
        """Return what is asked about; None where that is not said."""
        for name, _ in head.headers:
            if why := self._why_no_field(name):
                raise CheckRefused(why)
        return read_original(head, rest, encoded_slashes=self._encoded_slashes, longest=self._longest_target)

    def _rest_of(self, head: RequestHead) -> bytes:
        """Return the visitor's target, where it is the rest of the check's own; b"" where it is not."""
        own = head.raw_target.removeprefix(head.front.prefix.encode())
        rest = own.removeprefix(self._in_path)
        return rest if len(rest) < len(own) and rest.startswith(b"/") else b""

    def _of_an_app(self, original: RequestHead | None) -> RequestHead | None:
        """Return what is asked about, unless it is for the gateway itself."""
        return None if original is None or self._answers.site.is_own_path(original.path) else original

    def _is_proven(self, head: RequestHead) -> bool:
        return self.is_proof(every(head.headers, PROOF))

    def _trusts_peer_of(self, request: Request) -> bool:
        client = request.scope.get("client")
        return self._trusted.trusts(client[0] if client else None)

    def _warn(self) -> None:
        now = monotonic()
        if now - self._warned_at >= SILENCE:
            self._warned_at = now
            log.warning("check_unproven", advice=self._unproven_advice)


def _digest(secret: bytes) -> bytes:
    """Make secrets one length, which would be told by the time that comparing takes."""
    return hashlib.sha256(secret).digest()


def _has_body(head: RequestHead) -> bool:
    """Whether a front passes the visitor's body (most do not)."""
    lengths = (*every(head.headers, b"transfer-encoding"), *every(head.headers, b"content-length"))
    return any(length != b"0" for length in lengths)


def _say_no(refusal: Refusal) -> Answer:
    return _answer(401 if isinstance(refusal.decision, Challenge) else 403)


def _answer(status: int, *headers: tuple[bytes, bytes]) -> Answer:
    return Answer(status, (*headers, NO_STORE), b"")
