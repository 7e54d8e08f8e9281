"""The operator's pages: `/admin` and below, on the admin listener, for who has signed in with one of `admin.keys`."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from gateway.errors import GatewayError
from gateway.flows.audit import asked_by
from gateway.flows.listing import Listing
from gateway.flows.oversight import Oversight
from gateway.web.admin.api import read_asker
from gateway.web.admin.door import Door
from gateway.web.admin.entrance import Entrance
from gateway.web.admin.frame import Frame
from gateway.web.admin.people import People
from gateway.web.admin.state import State, Workings
from gateway.web.admin.views import ROOT, Views
from gateway.web.answers.answer import send_answer
from gateway.web.table import build_router


class AdminPages:
    """An ASGI app; what goes wrong is a page, too."""

    def __init__(self, door: Door, views: Views, oversight: Oversight, listing: Listing, workings: Workings) -> None:
        self._frame = Frame(door, views)
        parts = (Entrance(self._frame), People(self._frame, oversight, listing), State(self._frame, workings))
        self._router = build_router({path: way for part in parts for path, way in part.table.items()}, ROOT)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request (ASGI 3)."""
        with asked_by(read_asker(scope)):
            try:
                await self._router(scope, receive, send)
            except GatewayError as error:
                answer = await self._frame.tell(error, Request(scope, receive))
                await send_answer(answer, send, head_only=scope["method"] == "HEAD")
