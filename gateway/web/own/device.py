"""Where browsers bind sessions to their devices, and prove that they still are there: `device/register`, `/refresh`.

These answer browsers, not people or scripts, and Chromium 156 takes each answer for something (tried, not only read):

    200 with JSON and the cookie   it goes on
    403 with a challenge           it signs that, and asks again; after four of them it gives up
    503                            it asks again with the next request, which goes out without a proof meanwhile
    200 {"continue": false}        the binding has ended
    401, 404, 429, a redirect to a page, any other text: the binding has ended, and nobody has meant it

So nothing of the kind is said here, whatever happens, and no limit counts these requests. Cookies may be missing: after
a navigation that another site's page has begun, as a sign-in's callback is, the browser sends none of ours.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

from starlette.requests import Request

from gateway.core.cookies import CookieSpec
from gateway.core.device_binding import mark_of, name_binding
from gateway.core.device_key import ALGORITHMS
from gateway.core.fields import Headers
from gateway.errors import DeviceProofRefused, GatewayError, NoSuchPage
from gateway.flows.device_binding import Challenged, Confirmed, DeviceBinding
from gateway.telemetry.logs import log
from gateway.web.answers.answer import NO_SNIFF, NO_STORE, Answer, json_answer
from gateway.web.asgi_head import head_of
from gateway.web.table import ANY, Table

RESPONSE: Final = b"secure-session-response"
SESSION_ID: Final = b"sec-secure-session-id"
REGISTER: Final = "/device/register"
REFRESH: Final = "/device/refresh"
_LEFT_OUT: Final = ("/device", "/start", "/sign_in", "/callback", "/static", "/livez", "/readyz")
"""Pages for which no proof is asked, and which no browser should hold back."""
ENDED: Final = json_answer(200, {"continue": False})


class DevicePages:
    """Handlers for browsers that bind sessions."""

    def __init__(
        self,
        binding: DeviceBinding,
        cookie: CookieSpec,
        *,
        read_session_keys: Callable[[Headers], tuple[str, ...]],
        host: str,
        prefix: str,
        offers: bool,
    ) -> None:
        """`host` is the one of the public address, without a port.

        Without `offers` no session is bound any more, and what bound sessions' browsers ask for is answered all the
        same: should it be on again, nobody has to sign in anew. There are no such pages for anybody else then.
        """
        self._offers = offers
        self._binding = binding
        self._cookie = cookie
        self._read_session_keys = read_session_keys
        self._host = host
        self._prefix = prefix

    @property
    def table(self) -> Table:
        """Where they are."""
        if not self._offers:
            return {REFRESH: {ANY: self.go_on}}
        return {REGISTER: {"POST": self.register}, REFRESH: {"POST": self.refresh}}

    def offer(self, session_id: str) -> Headers:
        """Return the fields that offer a browser to bind its new session."""
        if not self._offers:
            return ()
        offer = self._binding.offer(session_id)
        asked = f'challenge="{offer.challenge}";authorization="{offer.authorization}"'
        told = f'({" ".join(ALGORITHMS)});path="{self._prefix}{REGISTER}";{asked}'
        return ((b"secure-session-registration", told.encode()),)

    async def register(self, request: Request) -> Answer:
        """Bind a session to the key that a browser shows."""
        try:
            found = await self._binding.register(_read(request, RESPONSE) or b"")
        except DeviceProofRefused as refused:
            log.warning("device_registration_refused", reason=str(refused))
            return ENDED
        except GatewayError as error:
            return _later(error)
        return self._confirm(found) if found is not None else ENDED

    async def refresh(self, request: Request) -> Answer:
        """Renew the proof of the device that holds the key."""
        try:
            named = self._read_session_keys(head_of(request).headers)
            found = await self._binding.refresh(
                _read(request, SESSION_ID) or b"", _read(request, RESPONSE), named=named
            )
        except GatewayError as error:
            return _later(error)
        if isinstance(found, Challenged):
            return Answer(403, (NO_STORE, NO_SNIFF, _challenge(found.challenge, found.session_key)), b"")
        return self._confirm(found) if found is not None else ENDED

    async def go_on(self, request: Request) -> Answer:
        """As `refresh`, for sessions that were bound before. Raises `NoSuchPage` for all others."""
        if request.method == "POST" and _read(request, SESSION_ID) is not None:
            answer = await self.refresh(request)
            if answer is not ENDED:
                return answer
        raise NoSuchPage("no session is bound to a device: see `session.device_binding`")

    def _confirm(self, confirmed: Confirmed) -> Answer:
        key, seconds = confirmed.session_key, self._binding.seconds
        cookie = self._cookie.marked(mark_of(key))
        extra: Headers = (
            (b"content-type", b"application/json"),
            NO_STORE,
            NO_SNIFF,
            (b"set-cookie", cookie.set(confirmed.proof, seconds)),
            _challenge(confirmed.challenge, key),
        )
        return Answer(200, extra, json.dumps(self._describe(key, cookie)).encode())

    def _describe(self, key: str, cookie: CookieSpec) -> dict[str, object]:
        """Return what a browser is told of a binding (session instructions).

        The attributes must be those that the cookie is set with, but for its age: else each request is held back.
        """
        left_out = [{"type": "exclude", "domain": self._host, "path": self._prefix + path} for path in _LEFT_OUT]
        return {
            "session_identifier": name_binding(key),
            "refresh_url": self._prefix + REFRESH,
            "scope": {"include_site": False, "scope_specification": left_out},
            "credentials": [{"type": "cookie", "name": cookie.name, "attributes": cookie.attributes}],
            "allowed_refresh_initiators": ["*"],  # a link from elsewhere is held back till there is a proof, too
        }


def _challenge(challenge: str, key: str) -> tuple[bytes, bytes]:
    return b"secure-session-challenge", f'"{challenge}";id="{name_binding(key)}"'.encode()


def _read(request: Request, name: bytes) -> bytes | None:
    """Return a field's value, with or without the quotes that the draft asks for; None unless it came once."""
    found = [value for field, value in request.scope["headers"] if field == name]  # of the head they are gone
    return found[0].strip().removeprefix(b'"').removesuffix(b'"') if len(found) == 1 else None


def _later(error: GatewayError) -> Answer:
    """Have a browser keep its binding, and ask again: something is away."""
    log.warning("device_binding_waits", code=error.code)
    return Answer(503, (NO_STORE, NO_SNIFF, (b"retry-after", b"1")), b"")
