"""The operator's sign-in and sign-out."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request

from gateway.errors import NoSuchPage, TooManyAttempts, Unauthenticated
from gateway.web.admin.door import Operator
from gateway.web.admin.frame import Frame
from gateway.web.admin.views import PLACES, ROOT
from gateway.web.answers.answer import Answer, redirect
from gateway.web.table import Table

_TO: Final = frozenset(ROOT + path for path, _ in PLACES)


class Entrance:
    """Handlers of what needs no session."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    @property
    def table(self) -> Table:
        """Where they are."""
        return {
            "/sign_in": {"GET": self.sign_in_page, "POST": self.sign_in},
            "/sign_out": {"POST": self._frame.act(self.sign_out)},
            "/static/{name}": {"GET": self.static_file},
        }

    async def sign_in_page(self, request: Request) -> Answer:
        """Ask for a key."""
        if await self._frame.door.recognise(request) is not None:
            return redirect(303, ROOT)
        return self._ask(_read_to(request.query_params.get("to")))

    async def sign_in(self, request: Request) -> Answer:
        """Take a key."""
        form = await self._frame.door.read_form(request, None)
        to = _read_to(form.get("to"))
        try:
            cookie = await self._frame.door.sign_in(request, form.get("key", ""))
        except Unauthenticated:
            return self._ask(to, status=403, wrong="That is none of the keys.")
        except TooManyAttempts:
            return self._ask(to, status=429, wrong="Too many wrong keys. Wait for a minute.")
        return redirect(303, to, extra=(cookie,))

    async def sign_out(self, _: dict[str, str], operator: Operator) -> Answer:
        """End the operator's session."""
        return redirect(303, f"{ROOT}/sign_in", extra=(await self._frame.door.sign_out(operator),))

    async def static_file(self, request: Request) -> Answer:
        """Give out a file of ours."""
        found = self._frame.views.static_file(request.path_params["name"])
        if found is None:
            raise NoSuchPage("there is no such file")
        return found

    def _ask(self, to: str, *, status: int = 200, wrong: str = "") -> Answer:
        have_keys = self._frame.door.have_keys
        return self._frame.views.page("sign_in.html", status=status, have_keys=have_keys, to=to, wrong=wrong)


def _read_to(text: str | None) -> str:
    """Return where to go after the sign-in: one of the pages, and nowhere else (open redirect)."""
    return text if text in _TO else ROOT
