"""Who is at the operator's pages, and whether it is they who act.

A page that only shows wants the cookie. What changes anything is a POST, and wants besides that the browser says it
comes from a page of this listener, and the token that stands in this operator's forms (CSRF).
"""

from __future__ import annotations

import hmac
from typing import Final, NamedTuple

from starlette.requests import Request

from gateway.core.audit import AuditEvent, What, Who
from gateway.core.cookies import read
from gateway.core.operator_session import ABSOLUTE, COOKIE, OperatorSession, build_cookie
from gateway.errors import CrossSite, TooManyAttempts, Unauthenticated
from gateway.flows.audit import Announce, identify
from gateway.flows.operator_sign_in import Operators
from gateway.web.own.reading import read_form

SetCookie = tuple[bytes, bytes]
_NAME: Final = COOKIE.encode()


class Operator(NamedTuple):
    """Who is signed in, and what goes back with every page."""

    session: OperatorSession
    who: str
    cookies: tuple[SetCookie, ...]


class Door:
    """Lets operators in, and out."""

    def __init__(self, operators: Operators, announce: Announce) -> None:
        self._announce = announce
        self._operators = operators

    @property
    def have_keys(self) -> bool:
        """Whether anybody may come in."""
        return self._operators.have_keys

    async def recognise(self, request: Request) -> Operator | None:
        """Return who has sent the cookie; None for nobody."""
        for value in read(tuple(request.scope["headers"]), _NAME):
            if (recalled := await self._operators.recall(value)) is not None:
                session, key = recalled
                newer = self._operators.renew(session)
                return Operator(session, key.name, (_keep(newer, secure=session.secure),) if newer is not None else ())
        return None

    async def read_form(self, request: Request, operator: Operator | None) -> dict[str, str]:
        """Return the form that a page of ours has sent, by this operator. Raises `CrossSite`, `MalformedRequest`."""
        _check_origin(request)
        form = await read_form(request)
        if operator is not None and not hmac.compare_digest(
            form.get("token", "").encode(), operator.session.form_token.encode()
        ):
            raise CrossSite("the form is not one that this operator was shown")
        return form

    async def sign_in(self, request: Request, key: str) -> SetCookie:
        """Return the cookie for who shows a key. Raises `Unauthenticated`, `TooManyAttempts`."""
        address = request.client.host if request.client is not None else ""
        secure = request.url.scheme == "https" or request.headers["origin"].startswith("https:")
        try:
            known, value = await self._operators.sign_in(key.strip(), address, secure=secure)
        except (Unauthenticated, TooManyAttempts) as error:
            self._announce(AuditEvent(what=What.ADMIN_REFUSED, cause=error.code))
            raise
        identify(Who.OPERATOR, known.name)
        self._announce(AuditEvent(what=What.OPERATOR_SIGNED_IN))
        return _keep(value, secure=secure)

    async def sign_out(self, operator: Operator) -> SetCookie:
        """End the session. Raises `StoreUnavailable`, when only the browser can forget it."""
        identify(Who.OPERATOR, operator.who)
        await self._operators.sign_out(operator.session)
        self._announce(AuditEvent(what=What.OPERATOR_SIGNED_OUT))
        return self.forget(operator)

    def forget(self, operator: Operator) -> SetCookie:
        """Return what has the browser forget the cookie."""
        return b"set-cookie", build_cookie(secure=operator.session.secure).delete()


def _keep(value: str, *, secure: bool) -> SetCookie:
    return b"set-cookie", build_cookie(secure=secure).set(value, int(ABSOLUTE.total_seconds()))


def _check_origin(request: Request) -> None:
    """Raise `CrossSite` unless the browser says that a page of this listener asks.

    Every browser sends `Origin` with a POST (Fetch §3.2), and most say `Sec-Fetch-Site` besides where that is safe. Our
    pages' referrer policy lets it be their own; so `null` is somebody else's. TLS may end in front of us: the scheme is
    the browser's, host and port are as it has asked us for.
    """
    origins, sites = request.headers.getlist("origin"), request.headers.getlist("sec-fetch-site")
    hosts = request.headers.getlist("host")
    ours = {f"{scheme}://{host.lower()}" for host in hosts for scheme in ("http", "https")}
    if len(origins) != 1 or len(hosts) != 1 or origins[0].lower() not in ours or sites not in ([], ["same-origin"]):
        raise CrossSite("not from a page of the admin listener")
