"""The page that shows a code for a phone to scan: `qr`, and `qr/status` for its script.

Opening it without a name begins a sign-in; with one it shows that, and once the phone has confirmed, ends it as the
callback does: the session begins in the browser that has shown the code, and proved so by its binding cookie.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never
from urllib.parse import quote

from markupsafe import Markup
from starlette.requests import Request

from gateway.core.challenge import is_navigation, is_prefetch
from gateway.core.qr_code import ScanStatus
from gateway.core.request import RequestHead
from gateway.core.session import SessionLimits
from gateway.errors import MethodRefused, SignInRefused
from gateway.flows.authentication import Authentication
from gateway.flows.qr_sign_in import QrSignIn, Shown
from gateway.flows.sign_in import Completed, Unchanged
from gateway.web.answers.answer import Answer, json_answer, page, redirect
from gateway.web.answers.answers import Answers
from gateway.web.asgi_head import head_of
from gateway.web.exchange import request_id_of
from gateway.web.own.home import at_home
from gateway.web.own.reading import read_rd, read_visitor
from gateway.web.table import Table


class QrPages:
    """Handlers of the sign-in by QR code; `draw` makes an image of an address."""

    def __init__(
        self,
        *,
        answers: Answers,
        authentication: Authentication,
        qr_sign_in: QrSignIn,
        session_limits: SessionLimits,
        draw: Callable[[str], Markup],
    ) -> None:
        self._answers = answers
        self._authentication = authentication
        self._qr = qr_sign_in
        self._limits = session_limits
        self._draw = draw

    @property
    def table(self) -> Table:
        """Where they are."""
        return {"/qr": {"GET": at_home(self._answers, self.qr)}, "/qr/status": {"GET": self.status}}

    async def qr(self, request: Request) -> Answer:
        """Begin a sign-in, show how far it is, or end it; only for a person's own navigation."""
        head = head_of(request)
        if head.method == "HEAD" or is_prefetch(head):
            raise MethodRefused("neither a HEAD nor a prefetch begins or ends a sign-in")
        if not is_navigation(head):
            return self._answers.ask_to_sign_in(head, request_id_of(request))
        name = _read_name(request)
        if not name:
            return await self._begin(request)
        opened = await self._qr.open(name, await read_visitor(head, self._answers.cookies, self._authentication))
        match opened:
            case Completed():
                return self._complete(head, opened)
            case Unchanged():
                return redirect(302, opened.return_to)
            case Shown():
                return self._show(head, name, opened)

    async def status(self, request: Request) -> Answer:
        """Tell the page's script how far the phone is, in the page's words."""
        if head_of(request).method == "HEAD":
            raise MethodRefused("a HEAD asks TikTok nothing")
        try:
            shown = await self._qr.look(
                _read_name(request), bindings=self._answers.cookies.read_bindings(head_of(request))
            )
        except SignInRefused:  # the page itself says more
            return json_answer(200, {"status": "ended"})
        return json_answer(200, {"status": _in_words(shown.status)})

    async def _begin(self, request: Request) -> Answer:
        head = head_of(request)
        return_to = self._answers.site.check_return_to(read_rd(head))
        binding = self._answers.cookies.choose_binding(head).forget()
        name = await self._qr.begin(return_to, binding=binding, client_address=head.client_address)
        # relative: who has been sent to the public address once, and is not there for all that, is not sent again
        location = f"{self._answers.site.prefix}/qr?id={name}"
        return redirect(302, location, extra=self._answers.cookies.bind(head, binding))

    def _complete(self, head: RequestHead, completed: Completed) -> Answer:
        cookies, seconds = self._answers.cookies, int(self._limits.absolute.total_seconds())
        extra = (*cookies.keep_session(head, completed.session_id, seconds), *cookies.bind(head, completed.binding))
        return redirect(302, completed.location, extra=extra)

    def _show(self, head: RequestHead, name: str, shown: Shown) -> Answer:
        own_page, pages = self._answers.site.own_page, self._answers.pages_for(head)
        rd = quote(shown.return_to, safe="/")
        status = _in_words(shown.status)
        return page(
            200,
            pages.qr(
                status,
                drawing=self._draw(shown.qr.url) if status == "new" else Markup(),
                ask_url=f"{own_page('qr/status')}?id={name}",
                again_url=f"{own_page('qr')}?rd={rd}",
                sign_in_url=f"{own_page('sign_in')}?rd={rd}",
            ),
        )


def _in_words(status: ScanStatus) -> str:
    """Return what the page calls it."""
    match status:
        case ScanStatus.NEW | ScanStatus.SCANNED | ScanStatus.CONFIRMED | ScanStatus.REFUSED:
            return str(status)
        case ScanStatus.EXPIRED | ScanStatus.UTILISED:
            return "expired"
        case _ as never:
            assert_never(never)


def _read_name(request: Request) -> str:
    """Return the name of an attempt; "" for none, or for several."""
    names = request.query_params.getlist("id")
    return names[0] if len(names) == 1 else ""
