"""What all pages of the operator's have in common: they are for who has signed in, and have the same frame."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from starlette.requests import Request

from gateway.core.fields import Headers
from gateway.errors import GatewayError, MethodRefused
from gateway.web.admin.door import Door, Operator
from gateway.web.admin.views import ROOT, Views
from gateway.web.answers.answer import Answer, redirect
from gateway.web.table import Handler

Inside = Callable[[Request, Operator], Awaitable[Answer]]
Act = Callable[[dict[str, str], Operator], Awaitable[Answer]]


class Frame:
    """Lets in who is signed in, and shows pages."""

    def __init__(self, door: Door, views: Views) -> None:
        self.door = door
        self.views = views

    def inside(self, shown: Inside) -> Handler:
        """Return the handler of a page that only who is signed in sees."""

        async def answer(request: Request) -> Answer:
            operator = await self.door.recognise(request)
            if operator is None:
                return redirect(303, f"{ROOT}/sign_in?to={quote(request.url.path)}")
            return await shown(request, operator)

        return answer

    def act(self, done: Act) -> Handler:
        """Return the handler of a form that changes something: it is sent by whom it was shown to."""

        async def answer(request: Request, operator: Operator) -> Answer:
            return await done(await self.door.read_form(request, operator), operator)

        return self.inside(answer)

    def show(
        self,
        operator: Operator,
        template: str,
        *,
        here: str,
        status: int = 200,
        headers: Headers = (),
        notice: str = "",
        **values: Any,
    ) -> Answer:
        """Answer with a page; `here` is its place, `notice` what was done."""
        return self.views.page(
            template,
            status=status,
            headers=(*operator.cookies, *headers),
            here=here,
            who=operator.who,
            token=operator.session.form_token,
            notice=notice,
            **values,
        )

    async def tell(self, error: GatewayError, request: Request) -> Answer:
        """Answer with a page for what went wrong. Who has signed in may know why."""
        operator = await self.door.recognise(request)
        extra = ((b"allow", ", ".join(error.allowed).encode()),) if isinstance(error, MethodRefused) else ()
        if operator is None:
            return self.views.page("refused.html", status=error.status, headers=extra, error=error)
        return self.show(
            operator, "error.html", here="-", status=error.status, headers=extra, error=error, reason=str(error)
        )
