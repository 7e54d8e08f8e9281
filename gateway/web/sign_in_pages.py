"""The pages that lead to TikTok and back: `sign_in`, `start`, `callback`."""

from __future__ import annotations

from starlette.requests import Request

from gateway.core.binding import Binding
from gateway.core.challenge import is_navigation, is_prefetch
from gateway.core.session import SessionLimits
from gateway.core.sign_in import Callback, read_callback
from gateway.errors import AttemptUnknown, GatewayError, MethodRefused, SignInRefused
from gateway.flows.authentication import Authentication
from gateway.flows.sessions import SignedIn
from gateway.flows.sign_in import SignIn
from gateway.telemetry.metrics import Metrics
from gateway.web.answers import Answers
from gateway.web.forward_auth import ForwardAuth
from gateway.web.reading import head_of, read_rd, request_id_of
from gateway.web.responses import Answer, redirect


class SignInPages:
    """Handlers of the sign-in."""

    def __init__(
        self,
        *,
        answers: Answers,
        authentication: Authentication,
        sign_in: SignIn,
        forward_auth: ForwardAuth,
        session_limits: SessionLimits,
        metrics: Metrics,
        usual_scopes: tuple[str, ...],
        scopes: frozenset[str],
    ) -> None:
        """`usual_scopes` are asked for at every sign-in, `scopes` are all that the settings name."""
        self._usual_scopes = usual_scopes
        self._scopes = scopes
        self._answers = answers
        self._authentication = authentication
        self._sign_in = sign_in
        self._forward_auth = forward_auth
        self._limits = session_limits
        self._metrics = metrics

    async def sign_in_page(self, request: Request) -> Answer:
        """Show the button. Somebody who is signed in already sees it too, and may switch."""
        return_to = self._answers.check_return_to(read_rd(request))
        return self._answers.sign_in_page(200, return_to.url, None)

    async def start(self, request: Request) -> Answer:
        """Begin a sign-in; only for a person's own navigation."""
        head = head_of(request)
        original = self._forward_auth.find_original(request)
        if original is not None:
            return await self._forward_auth.challenge(original, request_id_of(request))
        if not is_navigation(head):
            return self._answers.unauthenticated(request_id_of(request))
        signed_in = await self._authentication.peek(head)
        wanted = self._read_scopes(request)
        if wanted:
            granted = signed_in.grant.tokens.scopes if signed_in is not None else self._usual_scopes
            answer = await self._answers.begin_consent(read_rd(request), head, {*granted, *wanted})
        else:
            answer = await self._answers.begin(read_rd(request), head, signed_in=signed_in is not None)
        self._metrics.count_sign_in("begun")
        return answer

    def _read_scopes(self, request: Request) -> set[str]:
        """Return the scopes that are asked for besides; only such as the settings name anywhere."""
        values = request.query_params.getlist("scopes")
        return {scope for value in values for scope in value.split(",")} & self._scopes

    async def callback(self, request: Request) -> Answer:
        """Complete a sign-in, and return to where it began."""
        head = head_of(request)
        if head.method == "HEAD":
            raise MethodRefused("a HEAD must not use up the authorization code")
        if is_prefetch(head):
            raise SignInRefused("a prefetch must not use up the authorization code")
        callback = read_callback(head.query)
        binding = self._answers.read_binding(head)
        presented = await self._authentication.peek(head)
        try:
            completed = await self._sign_in.complete(
                callback,
                binding=binding,
                presented=presented,
                user_agent=request.headers.get("user-agent", ""),
            )
        except AttemptUnknown:
            return await self._reloaded(callback, binding, presented)
        except GatewayError as error:
            self._metrics.count_sign_in(error.code)
            raise
        self._metrics.count_sign_in("completed")
        cookie = self._answers.session_cookie.set(completed.session_id, int(self._limits.absolute.total_seconds()))
        extra = ((b"set-cookie", cookie), self._answers.binding_header(completed.binding))
        return redirect(302, completed.return_to, extra=extra)

    async def _reloaded(self, callback: Callback, binding: Binding | None, presented: SignedIn | None) -> Answer:
        """Lead a callback that is opened again to where the sign-in ended; without a session it has expired."""
        return_to = await self._sign_in.read_finished(callback, binding=binding) if presented else None
        if return_to is None:
            self._metrics.count_sign_in(AttemptUnknown.code)
            raise AttemptUnknown("no sign-in attempt has this state: it expired or was used")
        return redirect(302, return_to)
