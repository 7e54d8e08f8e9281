"""Pages that people see at the public address only, where the gateway's cookies hold."""

from __future__ import annotations

from starlette.requests import Request

from gateway.web.answers.answer import Answer
from gateway.web.answers.answers import Answers
from gateway.web.asgi_head import head_of
from gateway.web.table import Handler


def at_home(answers: Answers, handler: Handler) -> Handler:
    """Return a handler that sends a person home first."""

    async def show(request: Request) -> Answer:
        return answers.send_home(head_of(request)) or await handler(request)

    return show
